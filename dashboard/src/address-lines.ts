/** What a text or a file names, each with its line, counted from 1; `ignored`: columns that are not read here. */
export type AddressLines = { rows: { line: number; address: string }[]; ignored: string[] };

const addressPattern = /^(?:0x[0-9a-f]{40}|41[0-9a-f]{40}|T[1-9A-HJ-NP-Z]{33})$/i;

/**
 * Addresses one a line, several a line, or in the column `address` of a table whose first line names its columns. Nothing is
 * judged here: what is no address is sent as it stands, and refused with its reason.
 */
export function readAddressLines(text: string): AddressLines {
  const lines = text
    .replace(/^\ufeff/, '')
    .split(/\r\n|\n|\r/)
    .map((content, at) => ({ line: at + 1, content: content.trim() }))
    .filter(({ content }) => content !== '' && !content.startsWith('#') && !/^"?sep=."?$/i.test(content));
  const header = fieldsOf(lines[0]?.content ?? '').map((field) => field.toLowerCase());
  const column = header.indexOf('address');
  if (column < 0) {
    const rows = lines.flatMap(({ line, content }) =>
      addressesOf(content).map((address) => ({ line, address })),
    );
    return { rows, ignored: [] };
  }
  const rows = lines
    .slice(1)
    .map(({ line, content }) => ({ line, address: fieldsOf(content)[column] ?? '' }));
  return { rows, ignored: header.filter((name) => name !== '' && name !== 'address') };
}

/** An address and what is said of it, or several addresses. */
function addressesOf(content: string): string[] {
  const parts = content
    .split(/[\s,;]+/)
    .map(unquoted)
    .filter((part) => part !== '');
  return parts.every((part) => addressPattern.test(part)) ? parts : parts.slice(0, 1);
}

/** Addresses hold no separator; of a label that does only the address beside it counts. */
function fieldsOf(content: string): string[] {
  return content.split(/[,;\t]/).map(unquoted);
}

function unquoted(field: string): string {
  return field
    .trim()
    .replace(/^"(.*)"$/, '$1')
    .replace(/^'/, '')
    .trim();
}

/** Rows that go together: what a request may hold, with room to spare. */
export function portionsOf<T extends { address: string }>(rows: readonly T[]): T[][] {
  const portions: T[][] = [];
  let size = 0;
  for (const row of rows) {
    const last = portions.at(-1);
    if (last === undefined || last.length >= mostRows || size + row.address.length > mostCharacters) {
      portions.push([row]);
      size = row.address.length;
    } else {
      last.push(row);
      size += row.address.length;
    }
  }
  return portions;
}

const mostRows = 2_000;
const mostCharacters = 100_000;

/** No address is longer; the API takes no longer text. */
export const longestAddress = 200;
