import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BlockHash } from '../../../src/core/chain.ts';
import { createTempo, type Tempo } from '../../../src/watchers/evm/tempo.ts';

const refAt = (height: number, time: number) => ({ height, hash: `0x${height}` as BlockHash, time });

/** Polls a chain that makes a block every `blockMs`, as the reader does, and says how often its guess was right. */
function poll(tempo: Tempo, { blockMs, pollMs, ticks }: { blockMs: number; pollMs: number; ticks: number }) {
  let head = refAt(0, 0);
  let missed = 0;
  let exceeded = 0;
  for (let tick = 1; tick <= ticks; tick++) {
    const now = tick * pollMs;
    const height = Math.floor(now / blockMs);
    const expected = tempo.expected(head, now);
    if (tick > 64) {
      if (height < expected) missed += 1;
      if (height > expected) exceeded += 1;
    }
    if (height < expected) tempo.missed();
    if (height > expected) tempo.exceeded();
    head = refAt(height, Math.floor((height * blockMs) / 1000));
    tempo.note(head, now);
  }
  return { missed, exceeded };
}

describe('the tempo of a chain', () => {
  test('says nothing before it is known', () => {
    const tempo = createTempo();
    expect(tempo.expected(refAt(5, 50), 10_000)).toBe(5);
    for (let height = 5; height < 12; height++) tempo.note(refAt(height, height), height * 1000);
    expect(tempo.expected(refAt(11, 11), 15_000)).toBe(11);
  });

  test('says which block must exist by now', () => {
    const tempo = createTempo();
    for (let height = 5; height < 30; height++) tempo.note(refAt(height, height), height * 1000 + 500);
    const head = refAt(29, 29);
    expect(tempo.expected(head, 29_900)).toBe(29);
    expect(tempo.expected(head, 30_500)).toBe(30);
    expect(tempo.expected(head, 32_600)).toBe(32);
  });

  test('says nothing of a head that is not the last one seen, nor where the clock was set back, nor of a chain that stands', () => {
    const tempo = createTempo();
    for (let height = 5; height < 30; height++) tempo.note(refAt(height, height), height * 1000);
    expect(tempo.expected(refAt(20, 20), 31_000)).toBe(20);
    expect(tempo.expected(refAt(29, 29), 20_000)).toBe(29);
    expect(tempo.expected(refAt(29, 29), 29_000 + 3_600_000)).toBe(29);
  });

  test('is measured anew after a head that went backwards', () => {
    const tempo = createTempo();
    for (let height = 5; height < 30; height++) tempo.note(refAt(height, height), height * 1000);
    tempo.note(refAt(27, 27), 31_000);
    expect(tempo.expected(refAt(27, 27), 35_000)).toBe(27);
  });

  test.each([
    [1_000, 1_005],
    [450, 1_005],
    [450, 455],
    [12_000, 3_010],
    [3_000, 1_500],
  ])(
    'is right nearly always where a block comes every %i ms and is asked for every %i ms',
    (blockMs, pollMs) => {
      const ticks = 2_000;
      const { missed, exceeded } = poll(createTempo(), { blockMs, pollMs, ticks });
      expect(missed).toBeLessThan(ticks / 12);
      expect(exceeded).toBeLessThan(ticks / 8);
    },
  );

  test('never says less than the head, whatever was seen', () => {
    const sighting = fc.record({ height: fc.nat(1_000), time: fc.nat(10_000), at: fc.nat(1_000_000) });
    fc.assert(
      fc.property(fc.array(sighting), fc.nat(2_000_000), (sightings, now) => {
        const tempo = createTempo();
        for (const { height, time, at } of sightings) {
          tempo.note(refAt(height, time), at);
          tempo.missed();
        }
        const last = sightings.at(-1);
        const head = refAt(last?.height ?? 7, last?.time ?? 7);
        const expected = tempo.expected(head, now);
        expect(expected).toBeGreaterThanOrEqual(head.height);
        expect(Number.isSafeInteger(expected)).toBe(true);
      }),
    );
  });
});
