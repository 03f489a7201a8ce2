import { privateKeyIn, privateKeyRefusal } from '../core/private-keys.ts';
import type { AddressRow } from './import.ts';

/** A row of the file with the line on which it begins, counted from 1. */
export type CsvRow = AddressRow & { line: number };

export type CsvReading =
  | { rows: CsvRow[]; faults: { line: number; reason: string }[] }
  /** The file as a whole cannot be read. */
  | { error: string };

const columns = ['network', 'address', 'currency', 'label'] as const;
type Column = (typeof columns)[number];

/**
 * Reads a list of addresses: comma-separated (RFC 4180), with a header that names `network` and `address`
 * and may name `currency` and `label`, in any order. Fields are trimmed, networks and currencies may be in
 * capitals, blank lines are skipped. A line that does not fit the header is a fault and loses only itself.
 */
export function readAddressCsv(text: string): CsvReading {
  const records = splitCsv(text.startsWith('\uFEFF') ? text.slice(1) : text);
  const header = records.shift();
  if (header === undefined)
    return { error: 'the file is empty; expected the header network,address,currency,label' };
  const layout = readHeader(header.fields);
  if ('error' in layout) return layout;

  const rows: CsvRow[] = [];
  const faults: { line: number; reason: string }[] = [];
  for (const { line, fields, unclosed } of records) {
    if (unclosed) {
      faults.push({ line, reason: 'a quotation mark is opened and never closed' });
    } else if (fields.length !== header.fields.length) {
      const expected = header.fields.length;
      faults.push({ line, reason: `${fields.length} fields where the header has ${expected}` });
    } else {
      const field = (column: Column) => fields[layout.positions.get(column) ?? -1]?.trim() ?? '';
      rows.push({
        line,
        network: field('network').toLowerCase(),
        address: field('address'),
        currency: field('currency').toLowerCase(),
        label: field('label'),
      });
    }
  }
  return { rows, faults };
}

/**
 * Reads a plain list: one address on each line, all of one network. Blank lines and those that begin with `#`
 * are skipped.
 */
export function readAddressLines(
  text: string,
  { network, currency }: { network: string; currency: string },
): CsvRow[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  return lines.flatMap((content, index) => {
    const address = content.trim();
    if (address === '' || address.startsWith('#')) return [];
    return [{ line: index + 1, network, address, currency, label: '' }];
  });
}

function readHeader(fields: readonly string[]): { positions: Map<Column, number> } | { error: string } {
  const names = fields.map((field) => field.trim().toLowerCase());
  const positions = new Map<Column, number>();
  for (const [index, name] of names.entries()) {
    const column = columns.find((known) => known === name);
    const secret = privateKeyIn(name);
    if (secret !== null) return { error: `line 1: ${privateKeyRefusal(secret)}` };
    if (column === undefined) {
      return {
        error: `line 1: unknown column ${JSON.stringify(name.slice(0, 40))}; expected the header network,address,currency,label, or a network for a plain list`,
      };
    }
    if (positions.has(column)) return { error: `line 1: the column ${column} is named twice` };
    positions.set(column, index);
  }
  for (const column of ['network', 'address'] as const) {
    if (!positions.has(column)) return { error: `line 1: the column ${column} is missing` };
  }
  return { positions };
}

type CsvRecord = { line: number; fields: string[]; unclosed: boolean };

/** Splits into records and fields; a quoted field may hold commas, line breaks and doubled quotation marks. */
function splitCsv(text: string): CsvRecord[] {
  const records: CsvRecord[] = [];
  let line = 1;
  let at = 0;
  while (at < text.length) {
    const record: CsvRecord = { line, fields: [], unclosed: false };
    for (let more = true; more; ) {
      let field = '';
      if (text[at] === '"') {
        let end = text.indexOf('"', at + 1);
        while (end !== -1 && text[end + 1] === '"') end = text.indexOf('"', end + 2);
        record.unclosed = end === -1;
        if (end === -1) end = text.length;
        field = text.slice(at + 1, end).replaceAll('""', '"');
        line += field.split('\n').length - 1;
        at = end + 1;
      }
      const rest = /[^,\r\n]*/y;
      rest.lastIndex = at;
      field += rest.exec(text)?.[0] ?? '';
      at = Math.max(at, rest.lastIndex);
      record.fields.push(field);
      more = text[at] === ',';
      if (more) at += 1;
    }
    if (text[at] === '\r') at += 1;
    if (text[at] === '\n') at += 1;
    line += 1;
    if (record.fields.some((field) => field.trim() !== '')) records.push(record);
  }
  return records;
}
