/** `first`, twice as long each time, at most `most`; all in ms. */
export function doubled(first: number, times: number, most: number): number {
  return Math.min(most, first * 2 ** Math.min(times, 30));
}
