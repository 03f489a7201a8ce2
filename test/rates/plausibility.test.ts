import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parityRate, parseRate, type Rate } from '../../src/core/money.ts';
import type { Consensus } from '../../src/rates/consensus.ts';
import {
  driftBpsPerDay,
  isPlausible,
  type Judge,
  jumpBps,
  type Memory,
  remember,
} from '../../src/rates/plausibility.ts';
import type { SourceName } from '../../src/rates/source.ts';

const start = 1_700_000_000_000;
const second = 1000;
const hour = 3_600 * second;
const day = 24 * hour;
const eth: Judge = { parity: null, pegBandBps: 50, everyoneAsked: true };
const busd: Judge = { ...eth, parity: parityRate };

function rate(text: string): Rate {
  return parseRate(text) ?? 0n;
}

function agreed(usdPerCoin: Rate, sources: readonly SourceName[] = ['kraken']): Consensus {
  return { kind: 'agreed', usdPerCoin, sources, outliers: [], observedAt: start };
}

const at600: Memory = { reference: rate('600'), at: start };

describe('a source that stands alone', () => {
  test.each(['540', '599', '600', '660'])('may say %s after two agreed on 600', (price) => {
    expect(isPlausible(agreed(rate(price)), rate('600'), eth)).toBe(true);
  });

  test.each(['6000', '60', '660.01', '539.99'])('is not believed when it says %s after 600', (price) => {
    expect(isPlausible(agreed(rate(price)), rate('600'), eth)).toBe(false);
  });

  test('is believed at once when a second source says the same', () => {
    const both = agreed(rate('6000'), ['binance', 'kraken']);
    expect(isPlausible(both, rate('600'), eth)).toBe(true);
    expect(remember(at600, both, start + 1, eth)).toEqual({ reference: rate('6000'), at: start + 1 });
  });

  test('is believed with nothing to compare with only once the others were asked', () => {
    const one = agreed(rate('600'));
    const early = { ...eth, everyoneAsked: false };
    expect(isPlausible(one, null, early)).toBe(false);
    expect(isPlausible(one, null, eth)).toBe(true);
    const unknown: Memory = { reference: null, at: 0 };
    expect(remember(unknown, one, start, early)).toEqual(unknown);
    expect(remember(unknown, one, start, eth)).toEqual({ reference: rate('600'), at: start });
  });

  test('moves what it is measured against by a tenth in a day, and not faster', () => {
    let memory = at600;
    for (let now = start; now <= start + day; now += 20 * second) {
      memory = remember(memory, agreed(rate('660')), now, eth);
    }
    const drifted = Number(memory.reference) / Number(rate('600'));
    expect(drifted).toBeGreaterThan(1.0999);
    // Compounded over the day, a tenth is at most 10.52 %.
    expect(drifted).toBeLessThan(1.1053);
  });

  test('moves it by an hour’s worth at most after a silence, or when the clock jumps', () => {
    const memory = remember(at600, agreed(rate('660')), start + 365 * day, eth);
    expect(memory.reference).toBe(rate('600') + (rate('600') * driftBpsPerDay) / 10_000n / 24n);
    expect(remember(at600, agreed(rate('660')), start - day, eth).reference).toBe(rate('600'));
  });

  test('of a stablecoin may only say that it keeps its peg', () => {
    expect(isPlausible(agreed(rate('1.005')), null, busd)).toBe(true);
    expect(isPlausible(agreed(rate('1.005001')), null, busd)).toBe(false);
    expect(isPlausible(agreed(rate('0.994')), rate('0.994'), busd)).toBe(false);
    expect(isPlausible(agreed(rate('0.5'), ['coingecko', 'kraken']), rate('1'), busd)).toBe(true);
  });
});

test('what one source alone says in an hour is never quoted farther than 11 % from what two agreed on', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ bps: fc.integer({ min: -9_999, max: 100_000 }), greedy: fc.boolean() }), {
        maxLength: 180,
      }),
      (claims) => {
        let memory = at600;
        claims.forEach(({ bps, greedy }, index) => {
          const now = start + index * 20 * second;
          const { reference } = memory;
          const base = reference ?? rate('600');
          // The greedy ones ask for just as much as is believed.
          const usdPerCoin = greedy
            ? base + (base * jumpBps) / 10_000n
            : base + (base * BigInt(bps)) / 10_000n;
          const consensus = agreed(usdPerCoin);
          if (isPlausible(consensus, reference, eth)) {
            const distance = usdPerCoin > rate('600') ? usdPerCoin - rate('600') : rate('600') - usdPerCoin;
            expect(distance * 10_000n <= rate('600') * 1_100n).toBe(true);
          }
          memory = remember(memory, consensus, now, eth);
        });
      },
    ),
  );
});
