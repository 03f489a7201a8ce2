import { setTimeout } from 'node:timers/promises';

/** Far longer than anything here takes, so that a busy machine fails no test. */
const patienceMs = 20_000;

/** Soon after the beginning, then ever more seldom, ms: to look costs the processors that the thing waited for needs. */
const pause = (elapsedMs: number) => Math.min(250, Math.max(20, elapsedMs / 8));

/**
 * Looks again and again until `look` finds something: anything but null, undefined and false. What it threw
 * or returned last is told when it never does.
 */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  options: { timeoutMs?: number; describe?: () => unknown } = {},
): Promise<T> {
  const begunAt = performance.now();
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found;
    const elapsedMs = performance.now() - begunAt;
    if (elapsedMs > (options.timeoutMs ?? patienceMs)) {
      const seen = options.describe === undefined ? '' : `; last seen: ${JSON.stringify(options.describe())}`;
      throw new Error(`waited in vain for ${what}${seen}`);
    }
    await setTimeout(pause(elapsedMs));
  }
}
