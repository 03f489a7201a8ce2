import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRate, type Rate } from '../../src/core/money.ts';
import type { Consensus } from '../../src/rates/consensus.ts';
import {
  isPlausible,
  jumpBps,
  type Memory,
  remember,
  repetitionMs,
  repetitions,
} from '../../src/rates/plausibility.ts';
import type { SourceName } from '../../src/rates/source.ts';

const start = 1_700_000_000_000;
const minute = 60_000;

function rate(text: string): Rate {
  return parseRate(text) ?? 0n;
}

function agreed(price: string, observedAt: number, sources: readonly SourceName[] = ['kraken']): Consensus {
  return { kind: 'agreed', usdPerCoin: rate(price), sources, outliers: [], observedAt };
}

const disagreement: Consensus = { kind: 'none', reason: 'sources disagree' };
const silence: Consensus = { kind: 'none', reason: 'no fresh price' };
const at600: Memory = { believed: rate('600'), claim: null };

/** What is believed after these, one a minute. */
function memoryAfter(memory: Memory, consensuses: readonly ((observedAt: number) => Consensus)[]): Memory {
  return consensuses.reduce((last, make, index) => {
    const now = start + index * minute;
    return remember(last, make(now), now, true);
  }, memory);
}

function repeated(count: number, price: string, source: SourceName = 'kraken') {
  return Array.from({ length: count }, () => (now: number) => agreed(price, now, [source]));
}

describe('a source that stands alone', () => {
  test.each(['540', '599', '600', '660'])('may say %s after 600 was believed', (price) => {
    expect(isPlausible(agreed(price, start), rate('600'), true)).toBe(true);
    expect(remember(at600, agreed(price, start), start, true)).toEqual({
      believed: rate(price),
      claim: null,
    });
  });

  test.each(['6000', '60', '661', '539'])('is not believed when it says %s after 600', (price) => {
    expect(isPlausible(agreed(price, start), rate('600'), true)).toBe(false);
    expect(remember(at600, agreed(price, start), start, true).believed).toBe(rate('600'));
  });

  test('is believed at once when a second source says the same', () => {
    const both = agreed('6000', start, ['binance', 'kraken']);
    expect(isPlausible(both, rate('600'), true)).toBe(true);
    expect(remember(at600, both, start, true).believed).toBe(rate('6000'));
  });

  test('is believed with nothing to compare with only once the others were asked', () => {
    expect(isPlausible(agreed('600', start), null, false)).toBe(false);
    expect(isPlausible(agreed('600', start), null, true)).toBe(true);
    const unknown: Memory = { believed: null, claim: null };
    expect(remember(unknown, agreed('600', start), start, false)).toEqual(unknown);
    expect(remember(unknown, agreed('600', start), start, true).believed).toBe(rate('600'));
  });
});

describe('a jump that one source claims alone', () => {
  test('is believed after ten fresh prices over ten minutes, and not one price or minute earlier', () => {
    expect(memoryAfter(at600, repeated(10, '900')).believed).toBe(rate('600'));
    expect(memoryAfter(at600, repeated(11, '900'))).toEqual({ believed: rate('900'), claim: null });
    // Eleven prices within less than ten minutes.
    let quick = at600;
    for (let i = 0; i <= repetitions; i++) {
      const now = start + (i * (repetitionMs - 1)) / repetitions;
      quick = remember(quick, agreed('900', now), now, true);
    }
    expect(quick.believed).toBe(rate('600'));
  });

  test('is not confirmed by the same old price read again', () => {
    const stuck = Array.from({ length: 60 }, () => () => agreed('900', start));
    expect(memoryAfter(at600, stuck)).toMatchObject({ believed: rate('600'), claim: { count: 1 } });
  });

  test.each([
    ['a return to the old price', agreed('601', start)],
    ['disagreement', disagreement],
    ['silence', silence],
    ['another implausible price', agreed('1200', start)],
    ['another source', agreed('900', start, ['binance'])],
  ])('begins anew after %s', (_what, interruption) => {
    const memory = memoryAfter(at600, [...repeated(9, '900'), () => interruption, ...repeated(9, '900')]);
    expect(memory.claim?.count).toBe(9);
    expect([rate('600'), rate('601')]).toContain(memory.believed);
  });

  test('may drift while it is repeated, and the last price is believed', () => {
    const drifting = Array.from({ length: 11 }, (_, i) => (now: number) => agreed(`${900 + i * 9}`, now));
    expect(memoryAfter(at600, drifting).believed).toBe(rate('990'));
  });
});

test('in less than ten minutes one source alone never moves what is believed by more than a tenth at once', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 1n, max: rate('100000') }), { maxLength: 20 }), (prices) => {
      let memory = at600;
      prices.forEach((usdPerCoin, index) => {
        const before = memory.believed as Rate;
        // Twenty prices in less than ten minutes.
        const now = start + index * 20_000;
        const consensus = { ...agreed('1', now), usdPerCoin } as Consensus;
        memory = remember(memory, consensus, now, true);
        const after = memory.believed as Rate;
        const change = after > before ? after - before : before - after;
        expect(change * 10_000n <= before * jumpBps).toBe(true);
      });
    }),
  );
});
