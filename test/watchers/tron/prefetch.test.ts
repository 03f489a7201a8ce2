import { describe, expect, test } from 'vitest';
import { createPrefetch } from '../../../src/watchers/tron/prefetch.ts';
import type { ProvenBlock } from '../../../src/watchers/tron/validate.ts';

/** Answers when told to. */
function slowNode() {
  const asked: { signal: AbortSignal; answer(): void; fail(): void }[] = [];
  const read = (signal: AbortSignal) => {
    const { promise, resolve, reject } = Promise.withResolvers<ProvenBlock[]>();
    asked.push({ signal, answer: () => resolve([]), fail: () => reject(new Error('it broke')) });
    return promise;
  };
  return { asked, read };
}

describe('blocks that are asked for before they are wanted', () => {
  test('are asked for once, and taken once, before they come or after it', async () => {
    const { asked, read } = slowNode();
    const prefetch = createPrefetch();
    prefetch.ask(11, read);
    prefetch.ask(11, read);
    expect(asked).toHaveLength(1);
    const taken = prefetch.take(11);
    asked[0]?.answer();
    expect(await taken).toEqual([]);
    expect(asked[0]?.signal.aborted).toBe(false);
    expect(prefetch.take(11)).toBeNull();
  });

  test('are given up where others are wanted, or asked for', () => {
    const { asked, read } = slowNode();
    const prefetch = createPrefetch();
    prefetch.ask(11, read);
    // Fewer came before them than were asked for.
    expect(prefetch.take(8)).toBeNull();
    prefetch.ask(11, read);
    prefetch.ask(15, read);
    expect(asked.map(({ signal }) => signal.aborted)).toEqual([true, true, false]);
    prefetch.forget();
    expect(asked[2]?.signal.aborted).toBe(true);
  });

  test('fail when they are wanted, and not before', async () => {
    const { asked, read } = slowNode();
    const prefetch = createPrefetch();
    prefetch.ask(11, read);
    asked[0]?.fail();
    await new Promise(setImmediate);
    await expect(prefetch.take(11)).rejects.toThrow('it broke');
  });
});
