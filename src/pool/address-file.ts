import { knownChains } from '../core/chains/known.ts';
import type { Network } from '../core/networks.ts';
import { counted } from '../core/plural.ts';
import { privateKeyIn, privateKeyRefusal } from '../core/private-keys.ts';
import type { AddressRow } from './check.ts';
import { decodeText, type Separator, separators, splitFields, splitLines } from './csv.ts';

/** A row of the file with its line, counted from 1. */
export type FileRow = AddressRow & { line: number };
type LineFault = { line: number; reason: string };

export type AddressFile =
  /** Each line is a row, a fault, the header, blank, or a comment that begins with `#`. */
  | { rows: FileRow[]; faults: LineFault[] }
  /** The file as a whole cannot be read. */
  | { error: string };

/** What holds where the file does not say it. */
type Defaults = {
  network?: Network | undefined;
  currency: string;
  /** What a chain's id stands for before those that the program knows: the chains of the configuration. */
  chains: readonly ChainId[];
};
type ChainId = { network: Network; chainId: number };

type Column = 'network' | 'address' | 'currency' | 'label';

/** What columns are called: by us, and in the address books that Safe exports. */
const columnNames: Record<string, Column> = {
  network: 'network',
  chain: 'network',
  chainid: 'network',
  address: 'address',
  currency: 'currency',
  label: 'label',
  name: 'label',
};

const expectedHeader = 'expected the header network,address,currency,label, or a network for a plain list';

const addressPattern = /^(?:(?:[a-z0-9-]+:)?0x[0-9a-f]{40}|41[0-9a-f]{40}|T[1-9A-HJ-NP-Z]{33})$/i;

/**
 * Reads addresses from a table with a header, in any order of its columns, or from a plain list of one network.
 * Commas, semicolons or tabs separate fields; networks and currencies may be in capitals, and networks may be
 * given as chain ids. A line that does not fit loses only itself.
 */
export function readAddressFile(bytes: Uint8Array, defaults: Defaults): AddressFile {
  const text = decodeText(bytes);
  if (text === null) return { error: 'this is no text in UTF-8 or UTF-16; export it as CSV' };
  const lines = splitLines(text).map((content, index) => ({ line: index + 1, content }));
  const used = lines.filter(({ content }) => content.trim() !== '' && !content.trimStart().startsWith('#'));
  const given = statedSeparator(used[0]?.content);
  if (given !== null) used.shift();

  const first = used[0];
  if (first === undefined) return { error: `the file is empty; ${expectedHeader}` };
  const separator = given ?? commonest(first.content);
  const split = splitFields(first.content, separator);
  if ('fields' in split && (isHeader(split.fields) || defaults.network === undefined)) {
    const layout = readHeader(first.line, split.fields, defaults);
    if ('error' in layout) return layout;
    return collect(used.slice(1), (content) => readRow(content, separator, layout, defaults));
  }
  const { network } = defaults;
  if (network === undefined) return { error: `line ${first.line}: ${'fault' in split ? split.fault : ''}` };
  return collect(used, (content) => readListLine(content, given, { network, currency: defaults.currency }));
}

/** Excel's `sep=;` as the first line. */
function statedSeparator(line: string | undefined): Separator | null {
  const stated = /^"?sep=(.)"?$/i.exec(line?.replace(/ +$/, '') ?? '')?.[1];
  return separators.find((separator) => separator === stated) ?? null;
}

/** What splits a line into most fields. */
function commonest(line: string): Separator {
  const count = (separator: Separator) => line.split(separator).length;
  return separators.reduce((best, one) => (count(one) > count(best) ? one : best));
}

function columnOf(field: string): Column | undefined {
  const name = field.toLowerCase().replace(/[ _-]/g, '');
  return Object.hasOwn(columnNames, name) ? columnNames[name] : undefined;
}

function isHeader(fields: readonly string[]): boolean {
  return fields.some((field) => columnOf(field) !== undefined) && !fields.some(isAddress);
}

function isAddress(field: string): boolean {
  return addressPattern.test(field.replace(/^'/, ''));
}

type Layout = { positions: Map<Column, number>; width: number };

function readHeader(
  line: number,
  fields: readonly string[],
  { network }: Defaults,
): Layout | { error: string } {
  const names = withoutBlankEnd(fields);
  const positions = new Map<Column, number>();
  for (const [index, name] of names.entries()) {
    const secret = privateKeyIn(name);
    if (secret !== null) return { error: `line ${line}: ${privateKeyRefusal(secret)}` };
    const column = columnOf(name);
    if (column === undefined) {
      return {
        error: `line ${line}: unknown column ${JSON.stringify(name.slice(0, 40))}; ${expectedHeader}`,
      };
    }
    if (positions.has(column)) return { error: `line ${line}: the column ${column} is named twice` };
    positions.set(column, index);
  }
  for (const column of ['network', 'address'] as const) {
    if (positions.has(column) || (column === 'network' && network !== undefined)) continue;
    return { error: `line ${line}: the column ${column} is missing` };
  }
  return { positions, width: names.length };
}

/** A spreadsheet writes the empty columns beside a table, too. */
function withoutBlankEnd(fields: readonly string[]): readonly string[] {
  return fields.slice(0, fields.findLastIndex((field) => field !== '') + 1);
}

type Read = AddressRow[] | { fault: string };

function collect(
  lines: readonly { line: number; content: string }[],
  read: (content: string) => Read,
): AddressFile {
  const rows: FileRow[] = [];
  const faults: LineFault[] = [];
  for (const { line, content } of lines) {
    const answer = read(content);
    if ('fault' in answer) faults.push({ line, reason: answer.fault });
    else rows.push(...answer.map((row) => ({ line, ...row })));
  }
  return { rows, faults };
}

function readRow(content: string, separator: Separator, layout: Layout, defaults: Defaults): Read {
  const split = splitFields(content, separator);
  if ('fault' in split) return split;
  const { fields } = split;
  const filled = withoutBlankEnd(fields).length;
  if (filled === 0) return [];
  if (fields.length < layout.width || filled > layout.width) {
    return { fault: `${counted(fields.length, 'field')} where the header has ${layout.width}` };
  }
  const field = (column: Column) => fields[layout.positions.get(column) ?? -1] ?? '';
  const network = networkOf(field('network'), defaults.chains);
  if (defaults.network !== undefined && network !== '' && network !== defaults.network) {
    return {
      fault: `the line says ${JSON.stringify(network.slice(0, 20))} and --network ${defaults.network}`,
    };
  }
  return [
    {
      network: network === '' ? (defaults.network ?? '') : network,
      address: field('address'),
      currency: field('currency').toLowerCase() || defaults.currency,
      label: field('label'),
    },
  ];
}

/** By its name or its chain id; what is neither stays as it is, to be refused by name. */
function networkOf(text: string, chains: readonly ChainId[]): string {
  const name = text.toLowerCase();
  const all = [...chains, ...Object.values(knownChains)];
  return all.find(({ chainId }) => String(chainId) === name)?.network ?? name;
}

/** An address, an address and its label, or several addresses. */
function readListLine(
  content: string,
  given: Separator | null,
  { network, currency }: { network: Network; currency: string },
): Read {
  // The address comes first, and holds no separator.
  const separator = given ?? separators.find((one) => one === /[,;\t]/.exec(content)?.[0]) ?? ',';
  const split = splitFields(content, separator);
  if ('fault' in split) return split;
  const fields = withoutBlankEnd(split.fields);
  if (fields.length === 0) return [];
  const row = (address: string, label: string) => ({ network, address, currency, label });
  if (fields.length > 1 && fields.every(isAddress)) return fields.map((address) => row(address, ''));
  if (fields.length > 2) {
    return { fault: `${counted(fields.length, 'field')} where an address and a label are expected` };
  }
  return [row(fields[0] ?? '', fields[1] ?? '')];
}
