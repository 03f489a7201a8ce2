/** Unix milliseconds. Passed to whatever needs the time, so that a test can pass its own. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();
