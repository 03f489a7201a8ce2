import { setTimeout } from 'node:timers/promises';

/** Far longer than anything here takes, so that a busy machine fails no test. */
const patienceMs = 20_000;

/**
 * Looks again and again until `look` finds something: anything but null, undefined and false. What it threw
 * or returned last is told when it never does.
 */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  options: { timeoutMs?: number; describe?: () => unknown } = {},
): Promise<T> {
  const deadline = performance.now() + (options.timeoutMs ?? patienceMs);
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > deadline) {
      const seen = options.describe === undefined ? '' : `; last seen: ${JSON.stringify(options.describe())}`;
      throw new Error(`waited in vain for ${what}${seen}`);
    }
    await setTimeout(20);
  }
}
