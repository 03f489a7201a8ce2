/*
 * Times in HTTP headers, as strangers send them.
 */

/** Unix ms of an HTTP date (`Fri, 20 Nov 2026 12:00:30 GMT`), or null: `Date.parse` alone understands almost anything. */
export function parseHttpDate(value: string | undefined): number | null {
  if (value === undefined) return null;
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value.trim())) return null;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : at;
}

/** `Retry-After`, seconds (some send fractions) or an HTTP date, as ms from `now` (Unix ms); null when it is neither. */
export function parseRetryAfter(value: string | undefined, now: number): number | null {
  if (value === undefined) return null;
  const text = value.trim();
  if (/^\d{1,9}(\.\d{1,9})?$/.test(text)) return Math.ceil(Number(text) * 1000);
  const at = parseHttpDate(text);
  return at === null ? null : Math.max(0, at - now);
}
