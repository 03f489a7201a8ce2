import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readAddressCsv } from '../../src/pool/csv.ts';

const row = (network: string, address: string, currency = '', label = '') => ({
  network,
  address,
  currency,
  label,
});

describe('reading a list of addresses', () => {
  test('a header and two rows give two rows with their line numbers', () => {
    expect(readAddressCsv('network,address\nbsc,0xAb\nethereum,0xCd\n')).toEqual({
      rows: [
        { ...row('bsc', '0xAb'), line: 2 },
        { ...row('ethereum', '0xCd'), line: 3 },
      ],
      faults: [],
    });
  });

  test('columns may stand in any order, in capitals and with spaces around them', () => {
    expect(readAddressCsv(' Label , ADDRESS,currency ,network\nmain till , 0xAb , USDT , BSC\n')).toEqual({
      rows: [{ ...row('bsc', '0xAb', 'usdt', 'main till'), line: 2 }],
      faults: [],
    });
  });

  test('a byte order mark, Windows line ends, blank lines and a missing last line end are read over', () => {
    expect(readAddressCsv('\uFEFFnetwork,address\r\n\r\nbsc,0xAb\r\n , \r\nbsc,0xCd')).toEqual({
      rows: [
        { ...row('bsc', '0xAb'), line: 3 },
        { ...row('bsc', '0xCd'), line: 5 },
      ],
      faults: [],
    });
  });

  test('a quoted field may hold commas, quotation marks and line breaks, and lines are still counted', () => {
    const text = 'network,address,label\nbsc,0xAb,"till 1, ""left""\nupper floor"\nbsc,0xCd,b\n';
    expect(readAddressCsv(text)).toEqual({
      rows: [
        { ...row('bsc', '0xAb', '', 'till 1, "left"\nupper floor'), line: 2 },
        { ...row('bsc', '0xCd', '', 'b'), line: 4 },
      ],
      faults: [],
    });
  });

  test('a line with too many or too few fields is a fault and loses only itself', () => {
    expect(readAddressCsv('network,address\nbsc\nbsc,0xAb,usdt\nbsc,0xCd\n')).toEqual({
      rows: [{ ...row('bsc', '0xCd'), line: 4 }],
      faults: [
        { line: 2, reason: '1 fields where the header has 2' },
        { line: 3, reason: '3 fields where the header has 2' },
      ],
    });
  });

  test('a quotation mark that is never closed is named with the line where it opens', () => {
    expect(readAddressCsv('network,address\nbsc,0xAb\nbsc,"0xCd\nbsc,0xEf\n')).toEqual({
      rows: [{ ...row('bsc', '0xAb'), line: 2 }],
      faults: [{ line: 3, reason: 'a quotation mark is opened and never closed' }],
    });
  });

  test('a file without the two needed columns, with an unknown or a repeated one, or without a header is refused', () => {
    expect(readAddressCsv('')).toEqual({
      error: 'the file is empty; expected the header network,address,currency,label',
    });
    expect(readAddressCsv('network,label\nbsc,a')).toEqual({
      error: 'line 1: the column address is missing',
    });
    expect(readAddressCsv('network,address,address\n')).toEqual({
      error: 'line 1: the column address is named twice',
    });
    expect(readAddressCsv('bsc,0xAb\n')).toEqual({
      error:
        'line 1: unknown column "bsc"; expected the header network,address,currency,label, or a network for a plain list',
    });
  });

  test('every list that is written by the rules is read back', () => {
    const field = fc.string({ unit: 'binary-ascii', maxLength: 12 }).map((text) => `x${text.trim()}`);
    fc.assert(
      fc.property(fc.array(fc.tuple(field, field), { minLength: 1 }), (pairs) => {
        const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
        const text = `network,address,label\n${pairs.map(([address, label]) => `bsc,${quoted(address)},${quoted(label)}`).join('\n')}`;
        const reading = readAddressCsv(text);
        expect('rows' in reading && reading.rows.map((found) => [found.address, found.label])).toEqual(pairs);
      }),
    );
  });

  test('no text makes the reader fail, and every line is either a row, a fault or blank', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r', 'a', ' ') }), (text) => {
        const reading = readAddressCsv(`network,address\n${text}`);
        expect('rows' in reading).toBe(true);
      }),
    );
  });
});
