/** A day of the calendar (UTC), as a number since 1970. */
export const dayMs = 24 * 3_600_000;

export function dayOf(unixMs: number): number {
  return Math.floor(unixMs / dayMs);
}
