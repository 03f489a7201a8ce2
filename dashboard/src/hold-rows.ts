/** What of a list is shown, and what has come since and waits to be shown. */
export type Held<T> = { rows: T[]; arrived: number; more: boolean };

/**
 * A newer answer for a list, newest first, put into what somebody is reading: rows that are there are brought up to date
 * where they stand, those that are gone go, and new ones wait. `hasMore`: the answer ends at its limit, so that what new rows have
 * pushed off its end is not gone.
 */
export function holdRows<T>(
  shown: readonly T[],
  newer: readonly T[],
  { keyOf, hasMore }: { keyOf: (row: T) => string | number; hasMore: boolean },
): Held<T> {
  if (shown.length === 0) return { rows: [...newer], arrived: 0, more: false };
  const byKey = new Map(newer.map((row) => [keyOf(row), row]));
  const known = new Set(shown.map(keyOf));
  const lastThere = shown.findLastIndex((row) => byKey.has(keyOf(row)));
  const rows = shown.flatMap((row, at) => {
    const again = byKey.get(keyOf(row));
    if (again !== undefined) return [again];
    return hasMore && at > lastThere ? [row] : [];
  });
  const lastKnown = newer.findLastIndex((row) => known.has(keyOf(row)));
  const isNew = (row: T) => !known.has(keyOf(row));
  if (lastKnown < 0) {
    // Everything is new, or everything that was shown is gone.
    if (rows.length === 0) return { rows: [...newer], arrived: 0, more: false };
    return { rows, arrived: newer.length, more: hasMore };
  }
  // What has moved up from further down stands below, unless others were pushed there.
  const pushed = rows.some((row) => !byKey.has(keyOf(row)));
  const waiting = (pushed ? newer : newer.slice(0, lastKnown)).filter(isNew);
  const below = pushed ? [] : newer.slice(lastKnown + 1);
  return { rows: [...rows, ...below], arrived: waiting.length, more: false };
}
