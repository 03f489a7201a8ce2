import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parityRate, parseRate, type Rate } from '../../src/core/money.ts';
import { findConsensus, type Opinion, outlierBps, peg } from '../../src/rates/consensus.ts';
import type { AskedSourceName } from '../../src/rates/source.ts';

const names: AskedSourceName[] = ['binance', 'coinbase', 'coingecko', 'kraken'];
const now = 1_700_000_000_000;
const maxAgeMs = 60_000;

function rate(text: string): Rate {
  const parsed = parseRate(text);
  if (parsed === null) throw new Error(`not a rate: ${text}`);
  return parsed;
}

/** One opinion of each source in alphabetical order, all observed just now. */
function opinions(...prices: string[]): Opinion[] {
  return prices.map((price, index) => ({
    source: names[index] as AskedSourceName,
    usdPerCoin: rate(price),
    observedAt: now,
  }));
}

function agreedRate(list: readonly Opinion[]): Rate | string {
  const consensus = findConsensus(list, now, maxAgeMs);
  return consensus.kind === 'agreed' ? consensus.usdPerCoin : consensus.reason;
}

describe('the consensus', () => {
  test('of three is their median', () => {
    expect(agreedRate(opinions('600', '603', '601'))).toBe(rate('601'));
  });

  test('of four is the mean of the two in the middle', () => {
    expect(agreedRate(opinions('600', '604', '602', '601'))).toBe(rate('601.5'));
  });

  test('of two that agree is their mean', () => {
    expect(agreedRate(opinions('600', '602'))).toBe(rate('601'));
  });

  test('of one is its price', () => {
    expect(agreedRate(opinions('600'))).toBe(rate('600'));
  });

  test.each(['6000', '60', '660', '0.000000000000000001'])(
    'of three drops the one that says %s where two say 600, and names it',
    (price) => {
      expect(findConsensus(opinions('600', price, '600.2'), now, maxAgeMs)).toEqual({
        kind: 'agreed',
        usdPerCoin: rate('600.1'),
        sources: ['binance', 'coingecko'],
        outliers: ['coinbase'],
        observedAt: now,
      });
    },
  );

  test('of four drops one ten times too high', () => {
    expect(agreedRate(opinions('600', '601', '6000', '602'))).toBe(rate('601'));
  });

  test.each([
    ['two that contradict each other', ['600', '6000']],
    ['two that are a tenth apart', ['600', '660']],
    ['three that all differ', ['500', '600', '700']],
    ['four in two camps', ['600', '600', '700', '700']],
    ['four of which only two stand together', ['600', '600', '700', '800']],
    ['four of which only the two in the middle stand together', ['590', '600', '612', '700']],
  ])('of %s is none', (_what, prices) => {
    expect(agreedRate(opinions(...prices))).toBe('sources disagree');
  });

  test('of nobody is none', () => {
    expect(agreedRate([])).toBe('no fresh price');
  });

  test('leaves out what is older than the limit by a millisecond and counts what is exactly as old', () => {
    const [first, second] = opinions('600', '602') as [Opinion, Opinion];
    const old = { ...first, observedAt: now - maxAgeMs };
    expect(findConsensus([old, second], now, maxAgeMs)).toMatchObject({
      sources: ['binance', 'coinbase'],
      observedAt: now - maxAgeMs,
    });
    const older = { ...first, observedAt: now - maxAgeMs - 1 };
    expect(agreedRate([older, second])).toBe(rate('602'));
    expect(agreedRate([older])).toBe('no fresh price');
  });

  test('does not count what was observed long after now, as when the clock was set back', () => {
    const [first] = opinions('600') as [Opinion];
    expect(agreedRate([{ ...first, observedAt: now + maxAgeMs + 1 }])).toBe('no fresh price');
  });
});

/** Around one price, with some wild and some old ones among them. */
const anyOpinions = fc.uniqueArray(fc.constantFrom(...names), { maxLength: names.length }).chain((sources) =>
  fc.tuple(
    ...sources.map((source) =>
      fc
        .record({
          usdPerCoin: fc.oneof(
            fc.bigInt({ min: rate('590'), max: rate('610') }),
            fc.bigInt({ min: 1n, max: rate('100000') }),
          ),
          observedAt: fc.integer({ min: now - 2 * maxAgeMs, max: now }),
        })
        .map((opinion): Opinion => ({ source, ...opinion })),
    ),
  ),
);

describe('whatever the sources say', () => {
  test('the consensus lies between the lowest and the highest fresh price that is no outlier', () => {
    fc.assert(
      fc.property(anyOpinions, (list) => {
        const consensus = findConsensus(list, now, maxAgeMs);
        if (consensus.kind === 'none') return;
        const counted = list.filter(({ source }) => consensus.sources.includes(source));
        expect(counted.length).toBeGreaterThan(0);
        expect(counted.every(({ observedAt }) => now - observedAt <= maxAgeMs)).toBe(true);
        const rates = counted.map(({ usdPerCoin }) => usdPerCoin);
        expect(rates.some((one) => one <= consensus.usdPerCoin)).toBe(true);
        expect(rates.some((one) => one >= consensus.usdPerCoin)).toBe(true);
        expect(consensus.observedAt).toBe(Math.min(...counted.map(({ observedAt }) => observedAt)));
      }),
    );
  });

  test('the order of the answers does not matter', () => {
    fc.assert(
      fc.property(
        anyOpinions.chain((list) =>
          fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
        ),
        ([list, shuffled]) => {
          expect(findConsensus(shuffled, now, maxAgeMs)).toEqual(findConsensus(list, now, maxAgeMs));
        },
      ),
    );
  });

  test('those who agree are more than half of the fresh ones and stand close together', () => {
    fc.assert(
      fc.property(anyOpinions, (list) => {
        const consensus = findConsensus(list, now, maxAgeMs);
        const fresh = list.filter(({ observedAt }) => now - observedAt <= maxAgeMs);
        if (consensus.kind === 'none') {
          expect(consensus.reason).toBe(fresh.length === 0 ? 'no fresh price' : 'sources disagree');
          return;
        }
        expect(consensus.sources.length * 2).toBeGreaterThan(fresh.length);
        expect([...consensus.sources, ...consensus.outliers].sort()).toEqual(
          fresh.map(({ source }) => source).sort(),
        );
        const rates = list
          .filter(({ source }) => consensus.sources.includes(source))
          .map(({ usdPerCoin }) => Number(usdPerCoin));
        const widest = (10_000 + Number(outlierBps)) / (10_000 - Number(outlierBps));
        expect(Math.max(...rates) / Math.min(...rates)).toBeLessThanOrEqual(widest * (1 + 1e-9));
      }),
    );
  });

  test('no single source moves an agreement of three others beyond their own prices', () => {
    fc.assert(
      fc.property(
        fc.tuple(...Array.from({ length: 3 }, () => fc.bigInt({ min: rate('599'), max: rate('601') }))),
        fc.bigInt({ min: 1n, max: rate('1000000') }),
        (honest, wild) => {
          const list = [...honest, wild].map((usdPerCoin, index) => ({
            source: names[index] as AskedSourceName,
            usdPerCoin,
            observedAt: now,
          }));
          const agreed = agreedRate(list);
          expect(honest.some((one) => one <= (agreed as Rate))).toBe(true);
          expect(honest.some((one) => one >= (agreed as Rate))).toBe(true);
        },
      ),
    );
  });
});

describe('the peg', () => {
  test.each(['1', '0.995', '1.005', '0.9999', '1.0012'])(
    'a stablecoin at %s counts as one dollar',
    (price) => {
      expect(peg(parityRate, rate(price), 50)).toBe(parityRate);
    },
  );

  test.each(['0.994999', '1.005001', '0.05', '10'])('a stablecoin at %s is quoted at that', (price) => {
    expect(peg(parityRate, rate(price), 50)).toBe(rate(price));
  });

  test('a band of nothing pegs only the exact dollar', () => {
    expect(peg(parityRate, rate('1.000000000000000001'), 0)).toBe(rate('1.000000000000000001'));
    expect(peg(parityRate, rate('1'), 0)).toBe(parityRate);
  });

  test('other coins are never pegged', () => {
    expect(peg(null, rate('1.001'), 50)).toBe(rate('1.001'));
  });
});
