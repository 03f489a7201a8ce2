import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Network, parseNetwork } from '../../src/core/networks.ts';
import { readAddressFile } from '../../src/pool/address-file.ts';
import { evmAddress } from '../support/addresses.ts';
import { anyText } from '../support/text.ts';

const row = (network: string, address: string, currency = '', label = '') => ({
  network,
  address,
  currency,
  label,
});

const [a, b] = [evmAddress(1), evmAddress(2)];

/** Chains of the configuration: one that the program does not know, and one that stands in for BSC. */
const chains = [
  { network: parseNetwork('sepolia') as Network, chainId: 11155111 },
  { network: 'bsc' as const, chainId: 31337 },
];

const read = (text: string | Uint8Array, network?: Network, currency = '') =>
  readAddressFile(typeof text === 'string' ? Buffer.from(text) : text, { network, currency, chains });

describe('reading a table of addresses', () => {
  test('a header and two rows give two rows with their line numbers', () => {
    expect(read('network,address\nbsc,0xAb\nethereum,0xCd\n')).toEqual({
      rows: [
        { ...row('bsc', '0xAb'), line: 2 },
        { ...row('ethereum', '0xCd'), line: 3 },
      ],
      faults: [],
    });
  });

  test('columns may stand in any order, in capitals and with spaces around them', () => {
    expect(read(' Label , ADDRESS,currency ,network\nmain till , 0xAb , USDT , BSC\n')).toEqual({
      rows: [{ ...row('bsc', '0xAb', 'usdt', 'main till'), line: 2 }],
      faults: [],
    });
  });

  test('blank lines, comments and a missing last line end are read over', () => {
    expect(read('\n# ours\nnetwork,address\r\n\r\nbsc,0xAb\r\n , \r\nbsc,0xCd')).toEqual({
      rows: [
        { ...row('bsc', '0xAb'), line: 5 },
        { ...row('bsc', '0xCd'), line: 7 },
      ],
      faults: [],
    });
  });

  test.each([
    ['commas', ',', ''],
    ['semicolons', ';', ''],
    ['tabs', '\t', ''],
    ['the separator that Excel states', ';', 'sep=;\n'],
    ['a tab that Excel states', '\t', 'sep=\t\n'],
  ])('fields are separated by %s', (_, separator, before) => {
    const text = `network,address,label\nbsc,0xAb,"1, 2; 3"\n`.replace(/(?<!\d),/g, separator);
    expect(read(before + text)).toEqual({
      rows: [{ ...row('bsc', '0xAb', '', '1, 2; 3'), line: before === '' ? 2 : 3 }],
      faults: [],
    });
  });

  test.each([
    ['UTF-8', (text: string) => Buffer.from(text)],
    ['UTF-8 with a byte order mark', (text: string) => Buffer.from(`\uFEFF${text}`)],
    ['UTF-16', (text: string) => Buffer.from(`\uFEFF${text}`, 'utf16le')],
    ['UTF-16, big end first', (text: string) => Buffer.from(`\uFEFF${text}`, 'utf16le').swap16()],
    ['UTF-16 without a byte order mark', (text: string) => Buffer.from(text, 'utf16le')],
  ])('a file in %s is read, with line ends of Unix, Windows or an old Mac', (_, encode) => {
    for (const end of ['\n', '\r\n', '\r']) {
      const text = ['network,address,label', 'bsc,0xAb,Kassé', 'bsc,0xCd,b', ''].join(end);
      expect(read(encode(text))).toEqual({
        rows: [
          { ...row('bsc', '0xAb', '', 'Kassé'), line: 2 },
          { ...row('bsc', '0xCd', '', 'b'), line: 3 },
        ],
        faults: [],
      });
    }
  });

  test('a file that is no text is refused', () => {
    expect(read(Buffer.from([0x50, 0x4b, 0x03, 0x04, 0xff, 0xfe]))).toEqual({
      error: 'this is no text in UTF-8 or UTF-16; export it as CSV',
    });
  });

  test('the empty columns that a spreadsheet writes beside a table are read over', () => {
    expect(read('network,address,,\nbsc,0xAb,,\nbsc,0xCd,,,,\nbsc,0xEf,x,\n')).toEqual({
      rows: [
        { ...row('bsc', '0xAb'), line: 2 },
        { ...row('bsc', '0xCd'), line: 3 },
      ],
      faults: [{ line: 4, reason: '4 fields where the header has 2' }],
    });
  });

  test('an address book that Safe exports is one, with the ids of known chains and of any in the configuration', () => {
    expect(
      read(`address,name,chainId\n${a},till,56\n${b},,1\n${a},x,137\n${b},y,11155111\n${a},,31337\n${b},,5`),
    ).toEqual({
      rows: [
        { ...row('bsc', a, '', 'till'), line: 2 },
        { ...row('ethereum', b), line: 3 },
        { ...row('polygon', a, '', 'x'), line: 4 },
        { ...row('sepolia', b, '', 'y'), line: 5 },
        { ...row('bsc', a), line: 6 },
        { ...row('5', b), line: 7 },
      ],
      faults: [],
    });
  });

  test('a quoted field may hold separators and quotation marks', () => {
    expect(read('network,address,label\nbsc,0xAb, "till 1, ""left""" \nbsc,0xCd,5" pipe\n')).toEqual({
      rows: [
        { ...row('bsc', '0xAb', '', 'till 1, "left"'), line: 2 },
        { ...row('bsc', '0xCd', '', '5" pipe'), line: 3 },
      ],
      faults: [],
    });
  });

  test('a quotation mark that is not closed loses its own line and none after it', () => {
    const text = 'network,address,label\nbsc,0xAb,"till\nbsc,0xCd,"other"\nbsc,"0xEf" x,\nbsc,0x12,"last';
    expect(read(text)).toEqual({
      rows: [{ ...row('bsc', '0xCd', '', 'other'), line: 3 }],
      faults: [
        { line: 2, reason: 'a quotation mark is opened and not closed on this line' },
        { line: 4, reason: 'text follows a closing quotation mark' },
        { line: 5, reason: 'a quotation mark is opened and not closed on this line' },
      ],
    });
  });

  test('a line with too many or too few fields is a fault and loses only itself', () => {
    expect(read('network,address\nbsc\nbsc,0xAb,usdt\nbsc,0xCd\n')).toEqual({
      rows: [{ ...row('bsc', '0xCd'), line: 4 }],
      faults: [
        { line: 2, reason: '1 field where the header has 2' },
        { line: 3, reason: '3 fields where the header has 2' },
      ],
    });
  });

  test('with a network that is named the column may be missing, or must agree', () => {
    expect(read('address,label\n0xAb,a', 'bsc', 'usdt')).toEqual({
      rows: [{ ...row('bsc', '0xAb', 'usdt', 'a'), line: 2 }],
      faults: [],
    });
    expect(read('address,chainId\n0xAb,56\n0xCd,1\n0xEf,', 'bsc')).toEqual({
      rows: [
        { ...row('bsc', '0xAb'), line: 2 },
        { ...row('bsc', '0xEf'), line: 4 },
      ],
      faults: [{ line: 3, reason: 'the line says "ethereum" and --network bsc' }],
    });
  });

  test('a file without the two needed columns, with an unknown or a repeated one, or without a header is refused', () => {
    expect(read('')).toEqual({
      error:
        'the file is empty; expected the header network,address,currency,label, or a network for a plain list',
    });
    expect(read('network,label\nbsc,a')).toEqual({ error: 'line 1: the column address is missing' });
    expect(read('network,address,address\n')).toEqual({ error: 'line 1: the column address is named twice' });
    expect(read('# ours\nbsc,0xAb\n')).toEqual({
      error:
        'line 2: unknown column "bsc"; expected the header network,address,currency,label, or a network for a plain list',
    });
    expect(read('"bsc,0xAb\n')).toEqual({
      error: 'line 1: a quotation mark is opened and not closed on this line',
    });
  });
});

describe('reading a plain list of addresses', () => {
  test('each line is an address of the network that is named, and a label if there is one', () => {
    const text = `${a}\r# comment\r\r${b}, till 1\r"${a}";"till; 2"\r${b}\ttill 3\t\r`;
    expect(read(text, 'bsc', 'usdt')).toEqual({
      rows: [
        { ...row('bsc', a, 'usdt'), line: 1 },
        { ...row('bsc', b, 'usdt', 'till 1'), line: 4 },
        { ...row('bsc', a, 'usdt', 'till; 2'), line: 5 },
        { ...row('bsc', b, 'usdt', 'till 3'), line: 6 },
      ],
      faults: [],
    });
  });

  test('several addresses on a line are each one, and what else stands there is a fault', () => {
    expect(read(`${a},bnb:${b}\n${a},till,usdt\n"${b}`, 'bsc')).toEqual({
      rows: [
        { ...row('bsc', a), line: 1 },
        { ...row('bsc', `bnb:${b}`), line: 1 },
      ],
      faults: [
        { line: 2, reason: '3 fields where an address and a label are expected' },
        { line: 3, reason: 'a quotation mark is opened and not closed on this line' },
      ],
    });
  });
});

describe('whatever the file', () => {
  const field = fc.string({ unit: 'binary-ascii', maxLength: 12 }).map((text) => {
    return `x${text.replace(/[\r\n]/g, ' ').trim()}`;
  });

  test('every table that is written by the rules is read back', () => {
    const separators = fc.constantFrom(',', ';', '\t');
    fc.assert(
      fc.property(fc.array(fc.tuple(field, field), { minLength: 1 }), separators, (pairs, separator) => {
        const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
        const lines = pairs.map((pair) => ['bsc', ...pair.map(quoted)].join(separator));
        const reading = read([['network', 'address', 'label'].join(separator), ...lines].join('\n'));
        expect('rows' in reading && reading.rows.map((found) => [found.address, found.label])).toEqual(pairs);
      }),
    );
  });

  const garbage = fc.oneof(
    fc.string({ unit: fc.constantFrom('"', ',', ';', '\t', '\n', '\r', 'a', ' ', '#', '\uFEFF', '\0') }),
    anyText(),
  );

  test.each([undefined, 'bsc'] as const)(
    'with the network %s every line is a row, a fault, blank or a comment',
    (network) => {
      const header = 'network,address';
      fc.assert(
        fc.property(garbage, (text) => {
          const reading = read(`${header}\n${text}`, network);
          if (!('rows' in reading)) return expect(reading.error).toMatch(/no text/);
          const told = new Set([...reading.rows, ...reading.faults].map(({ line }) => line));
          const decoded = new TextDecoder().decode(Buffer.from(`${header}\n${text}`));
          const untold = decoded.split(/\r\n|\n|\r/).filter((_, index) => index > 0 && !told.has(index + 1));
          expect(untold.filter((line) => !/^\s*(#.*)?$|^[\s,"]*$/s.test(line))).toEqual([]);
        }),
      );
    },
  );

  test('no bytes make the reader fail', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom(undefined, 'bsc' as const),
        (bytes, network) => {
          const reading = read(bytes, network);
          expect('rows' in reading || reading.error !== '').toBe(true);
        },
      ),
    );
  });
});
