/** In files that people export: Excel writes semicolons where a comma is the decimal sign. */
export const separators = [',', ';', '\t'] as const;
export type Separator = (typeof separators)[number];

/** The text of a file in UTF-8 or UTF-16; null when it is neither. */
export function decodeText(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder(encodingOf(bytes), { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** By its byte order mark, or by the zero byte that UTF-16 gives one of the first two. */
function encodingOf([first, second]: Uint8Array): string {
  if (first === undefined || second === undefined) return 'utf-8';
  if ((first === 0xff && second === 0xfe) || (first !== 0 && second === 0)) return 'utf-16le';
  if ((first === 0xfe && second === 0xff) || (first === 0 && second !== 0)) return 'utf-16be';
  return 'utf-8';
}

/** Ended as on Unix, Windows or an old Mac. */
export function splitLines(text: string): string[] {
  return text.split(/\r\n|\n|\r/);
}

/**
 * The trimmed fields of one line (RFC 4180). A quoted field may hold separators and doubled quotation marks but
 * no line break: then a forgotten quotation mark loses its own line and none after it.
 */
export function splitFields(line: string, separator: Separator): { fields: string[] } | { fault: string } {
  const fields: string[] = [];
  for (let at = 0; ; ) {
    const quote = / *"/y;
    quote.lastIndex = at;
    if (quote.test(line)) {
      const start = quote.lastIndex;
      let end = line.indexOf('"', start);
      while (end !== -1 && line[end + 1] === '"') end = line.indexOf('"', end + 2);
      if (end === -1) return { fault: 'a quotation mark is opened and not closed on this line' };
      fields.push(line.slice(start, end).replaceAll('""', '"').trim());
      at = endOfField(line, separator, end + 1);
      if (line.slice(end + 1, at).trim() !== '') return { fault: 'text follows a closing quotation mark' };
    } else {
      const end = endOfField(line, separator, at);
      fields.push(line.slice(at, end).trim());
      at = end;
    }
    if (at === line.length) return { fields };
    at += 1;
  }
}

function endOfField(line: string, separator: Separator, from: number): number {
  const end = line.indexOf(separator, from);
  return end === -1 ? line.length : end;
}
