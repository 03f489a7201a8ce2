import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressState, forecastPool, type PoolPace } from '../../src/core/pool.ts';

const pace = fc.record<PoolPace>({
  paymentsPerHour: fc.nat(2_000),
  lockSeconds: fc.integer({ min: 10, max: 7_200 }),
  held: fc.nat(400),
  capacity: fc.integer({ min: 1, max: 400 }),
});

/** Seconds until `capacity` addresses are held, second by second; null when that does not happen in a day. */
function simulate({ paymentsPerHour, lockSeconds, held, capacity }: PoolPace): number | null {
  let now = held;
  for (let second = 0; second < 86_400; second++) {
    if (now >= capacity) return second;
    now += paymentsPerHour / 3600 - now / lockSeconds;
  }
  return null;
}

describe('the forecast of a pool', () => {
  test('is that it suffices where the payments of an hour hold fewer addresses than there are', () => {
    expect(forecastPool({ paymentsPerHour: 60, lockSeconds: 600, held: 5, capacity: 11 })).toEqual({
      expectedHeld: 10,
      exhaustedInSeconds: null,
    });
  });

  test('is the time until all are held where it does not', () => {
    const forecast = forecastPool({ paymentsPerHour: 120, lockSeconds: 600, held: 0, capacity: 10 });
    expect(forecast.expectedHeld).toBe(20);
    // Half of what is expected is reached after ln 2 of a lock's time.
    expect(forecast.exhaustedInSeconds).toBe(Math.round(600 * Math.LN2));
  });

  test('is now where none is left, also of a pool without addresses and without payments', () => {
    expect(
      forecastPool({ paymentsPerHour: 1, lockSeconds: 60, held: 3, capacity: 3 }).exhaustedInSeconds,
    ).toBe(0);
    expect(
      forecastPool({ paymentsPerHour: 0, lockSeconds: 60, held: 0, capacity: 0 }).exhaustedInSeconds,
    ).toBe(0);
    expect(
      forecastPool({ paymentsPerHour: 0, lockSeconds: 60, held: 0, capacity: 1 }).exhaustedInSeconds,
    ).toBeNull();
  });

  test('agrees with counting second by second', () => {
    fc.assert(
      fc.property(pace, (at) => {
        const { expectedHeld, exhaustedInSeconds } = forecastPool(at);
        // Right at the edge the answer is a matter of rounding.
        fc.pre(Math.abs(expectedHeld - at.capacity) > 0.02 * at.capacity);
        const simulated = simulate(at);
        if (exhaustedInSeconds === null) expect(simulated).toBeNull();
        else {
          expect(simulated).not.toBeNull();
          expect(Math.abs((simulated ?? 0) - exhaustedInSeconds)).toBeLessThan(
            10 + 0.15 * exhaustedInSeconds,
          );
        }
      }),
    );
  });

  test('never comes later for more payments, more held or fewer addresses', () => {
    const when = (at: PoolPace) => forecastPool(at).exhaustedInSeconds ?? Number.POSITIVE_INFINITY;
    fc.assert(
      fc.property(pace, fc.nat(50), (at, more) => {
        expect(when({ ...at, paymentsPerHour: at.paymentsPerHour + more })).toBeLessThanOrEqual(when(at));
        expect(when({ ...at, held: at.held + more })).toBeLessThanOrEqual(when(at));
        expect(when({ ...at, capacity: at.capacity + more })).toBeGreaterThanOrEqual(when(at));
      }),
    );
  });
});

test.each([
  ['free', { id: 8, active: true, lockedBy: null, releasedAt: 0 }],
  ['free', { id: 8, active: true, lockedBy: null, releasedAt: 100 }],
  ['quarantined', { id: 8, active: true, lockedBy: null, releasedAt: 101 }],
  ['quarantined', { id: 7, active: true, lockedBy: null, releasedAt: 0 }],
  ['held', { id: 7, active: true, lockedBy: 7, releasedAt: null }],
  ['retired', { id: 8, active: false, lockedBy: null, releasedAt: 101 }],
  ['retired', { id: 7, active: false, lockedBy: 7, releasedAt: null }],
] as const)('an address is %s as its pool counts it: %j', (state, address) => {
  expect(addressState(address, { releasedAfter: 100, heldBackUpTo: 7 })).toBe(state);
});
