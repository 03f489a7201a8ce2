/** Unix milliseconds. Passed to whatever needs the time, so that a test can pass its own. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();

/**
 * The same, but what it tells never goes back: where `clock` was set back it goes on from where it was. For waits of
 * which this process alone knows; not for what is stored, or compared with other times.
 */
export function steadyClock(clock: Clock): Clock {
  let last = Number.NEGATIVE_INFINITY;
  let ahead = 0;
  return () => {
    const now = clock();
    if (now < last) ahead += last - now;
    last = now;
    return now + ahead;
  };
}
