/** Unix milliseconds. Passed to whatever needs the time, so that a test can pass its own. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();

/**
 * The same, but what it tells never goes back: where `clock` was set back it goes on from where it was; the system's clock
 * set forward does not move it either. For durations within this process; not to be compared with other times.
 */
export function steadyClock(clock: Clock): Clock {
  const known = steadyClocks.get(clock);
  if (known !== undefined) return known;
  const steady = clock === systemClock ? monotonicClock : neverBack(clock);
  steadyClocks.set(clock, steady);
  return steady;
}

/** Whoever asks for the steady clock of one clock gets the same: what they note can be compared. */
const steadyClocks = new WeakMap<Clock, Clock>();

const monotonicClock: Clock = () => Math.floor(performance.timeOrigin + performance.now());

function neverBack(clock: Clock): Clock {
  let last = Number.NEGATIVE_INFINITY;
  let ahead = 0;
  return () => {
    const now = clock();
    if (now < last) ahead += last - now;
    last = now;
    return now + ahead;
  };
}

/** Whether `promise` resolves within so long, ms; waits no longer. */
export async function within(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(late.resolve, ms, false);
  try {
    return await Promise.race([promise.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
