/** What a forecast goes by. */
export type PoolPace = {
  /** Payments an hour. */
  paymentsPerHour: number;
  /** How long one keeps an address from others, seconds. */
  lockSeconds: number;
  /** Addresses that others cannot have now. */
  held: number;
  /** All of them, those that can still be derived included. */
  capacity: number;
};

export type Forecast = {
  /** How many addresses this pace holds at once in the end (Little's law). */
  expectedHeld: number;
  /** When all are held if it lasts, seconds from now; null when they suffice. */
  exhaustedInSeconds: number | null;
};

/**
 * When a pool runs dry if payments keep coming at this pace. Addresses are taken at a steady rate and given back
 * in proportion to how many are held, so the number held nears `expectedHeld` exponentially, with the time of a lock
 * as its time constant.
 */
export function forecastPool({ paymentsPerHour, lockSeconds, held, capacity }: PoolPace): Forecast {
  const expectedHeld = (paymentsPerHour / 3600) * lockSeconds;
  if (held >= capacity) return { expectedHeld, exhaustedInSeconds: 0 };
  if (expectedHeld <= capacity) return { expectedHeld, exhaustedInSeconds: null };
  const seconds = lockSeconds * Math.log((expectedHeld - held) / (expectedHeld - capacity));
  return { expectedHeld, exhaustedInSeconds: Math.round(seconds) };
}
