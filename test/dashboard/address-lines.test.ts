import fc from 'fast-check';
import { expect, test } from 'vitest';
import { portionsOf, readAddressLines } from '../../dashboard/src/address-lines.ts';

const one = `0x${'1'.repeat(40)}`;
const two = `0x${'2'.repeat(40)}`;
const read = (text: string) => readAddressLines(text).rows.map(({ line, address }) => `${line} ${address}`);

test('addresses are read one a line, several a line, with a label, and from the column of a table', () => {
  expect(read(`${one}\r\n\n# mine\n ${two} \n0xnone`)).toEqual([`1 ${one}`, `4 ${two}`, '5 0xnone']);
  expect(read(`${one}, ${two};${one}`)).toEqual([`1 ${one}`, `1 ${two}`, `1 ${one}`]);
  expect(read(`${one},cold wallet\n'${two}`)).toEqual([`1 ${one}`, `2 ${two}`]);
  const table = `\ufeffsep=;\nnetwork;Address;label\nbsc;"${one}";a\nbsc;;b\nbsc`;
  expect(read(table)).toEqual([`3 ${one}`, '4 ', '5 ']);
  expect(readAddressLines(table).ignored).toEqual(['network', 'label']);
  expect(read('')).toEqual([]);
});

test('portions hold every row once, in order, and never more than a request takes', () => {
  const row = fc.string({ maxLength: 200 }).map((address) => ({ address }));
  fc.assert(
    fc.property(fc.array(row, { maxLength: 50 }), (rows) => {
      const portions = portionsOf(rows);
      expect(portions.flat()).toEqual(rows);
      expect(portions.every((portion) => portion.length > 0)).toBe(true);
    }),
  );
  const many = portionsOf(Array.from({ length: 100_000 }, () => ({ address: one })));
  expect(many.length).toBe(50);
  const long = portionsOf(Array.from({ length: 2_000 }, () => ({ address: 'x'.repeat(200) })));
  for (const portion of long) expect(JSON.stringify(portion).length).toBeLessThan(900_000);
  expect(long.length).toBe(4);
});
