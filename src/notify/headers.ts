/*
 * Headers that an operator gives an endpoint, such as `Authorization`: their values are secrets. They are sealed
 * in the database, listed by name, and hidden in whatever a receiver sends back.
 */

export type Headers = Readonly<Record<string, string>>;

const mostHeaders = 5;
const longestValue = 2_048;

/** What HTTP itself, or this program, writes. */
const reserved = [
  /^(host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|date|via|forwarded)$/,
  /^(user-agent|accept-encoding|content-.*|proxy-.*|webhook-.*|x-payhook-.*|sec-.*|:.*)$/,
];

/** What is wrong with an endpoint's headers, one phrase each; none: nothing. No phrase holds a value. */
export function findHeaderFaults(headers: Headers, headerPrefix: string): string[] {
  const names = Object.keys(headers);
  const faults: string[] = [];
  if (names.length > mostHeaders) faults.push(`there must not be more than ${mostHeaders}`);
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(headers).slice(0, mostHeaders + 1)) {
    const lower = name.toLowerCase();
    const shown = JSON.stringify(name.slice(0, 100));
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/.test(name)) faults.push(`${shown} is no name of a header`);
    else if (
      reserved.some((pattern) => pattern.test(lower)) ||
      lower.startsWith(`${headerPrefix.toLowerCase()}-`)
    )
      faults.push(`${shown} is written by depositd or by HTTP itself`);
    if (seen.has(lower)) faults.push(`${shown} is given twice`);
    seen.add(lower);
    // No line break can hide in it, and no letter that HTTP cannot carry.
    if (value.length > longestValue || !/^[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?$/.test(value))
      faults.push(
        `the value of ${shown} must be 1 to ${longestValue} plain ASCII characters, no space at either end`,
      );
  }
  return faults;
}

/** Shorter pieces would hide parts of ordinary words. */
const shortestHidden = 4;

const hidden = '[hidden]';

/** `text`, which a receiver wrote, without the values of headers that were sent to it. */
export function hideHeaders(text: string, headers: Headers): string {
  const values = Object.values(headers).flatMap(secretsIn);
  const literals = [...new Set(values.flatMap((value) => [value, JSON.stringify(value).slice(1, -1)]))]
    .filter((value) => value.length >= shortestHidden)
    .toSorted((a, b) => b.length - a.length);
  let clean = text;
  for (const literal of literals) clean = clean.replaceAll(literal, hidden);
  // What is kept of an answer may end within one.
  for (const literal of literals) clean = withoutBeginningAtEnd(clean, literal);
  return clean;
}

/** The value, its word after the scheme (`Bearer …`), and what `Basic …` stands for. */
function secretsIn(value: string): string[] {
  const [scheme = '', word] = value.split(/\s+/, 2);
  if (word === undefined) return [value];
  if (scheme.toLowerCase() !== 'basic') return [value, word];
  const credentials = Buffer.from(word, 'base64').toString('utf8');
  return [value, word, credentials, credentials.slice(credentials.indexOf(':') + 1)];
}

function withoutBeginningAtEnd(text: string, literal: string): string {
  for (let length = Math.min(literal.length - 1, text.length); length >= shortestHidden; length--) {
    if (text.endsWith(literal.slice(0, length))) return text.slice(0, -length) + hidden;
  }
  return text;
}
