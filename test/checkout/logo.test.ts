import { crc32, deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { largestLogo, readLogo } from '../../src/checkout/logo.ts';

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

function png(width = 2, height = 1): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(7))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

const svg = (inside: string, more = '') => Buffer.from(`<svg viewBox="0 0 9 9"${more}>${inside}</svg>`);

describe('a logo', () => {
  test('that is a PNG is served as it is', () => {
    expect(readLogo(png())).toEqual({ type: 'image/png', bytes: png() });
  });

  test.each([
    ['cut short', png().subarray(0, 40)],
    ['with a byte changed', Buffer.from(png().map((byte, n) => (n === 20 ? byte ^ 1 : byte)))],
    ['with something behind it', Buffer.concat([png(), Buffer.from('<script>')])],
    ['of a hundred million pixels', png(10_000, 10_000)],
    ['without pixels', png(0, 1)],
  ])('that is a PNG %s is refused', (_, bytes) => expect(readLogo(bytes)).toHaveProperty('fault'));

  test('that is an SVG is written anew from its shapes alone', () => {
    const given = Buffer.from(
      `<?xml version="1.0"?><!-- made by hand --><svg xmlns="http://www.w3.org/2000/svg" viewBox='0 0 9 9' data-a="b">
        <defs><linearGradient id="a"><stop offset="0" stop-color="#fff"/></linearGradient></defs>
        <path d="M0 0h9v9z" fill="url(#a)" class="x"/></svg>`,
    );
    expect(readLogo(given)).toEqual({
      type: 'image/svg+xml',
      bytes: Buffer.from(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><defs><linearGradient id="a"><stop offset="0" stop-color="#fff"/></linearGradient></defs><path d="M0 0h9v9z" fill="url(#a)"/></svg>',
      ),
    });
  });

  test.each([
    svg('<script>alert(1)</script>'),
    svg('<path onload="alert(1)"/>'),
    svg('', ' onload="alert(1)"'),
    svg('<style>*{fill:url(https://evil.example)}</style>'),
    svg('<path style="fill:red"/>'),
    svg('<path fill="url(https://evil.example)"/>'),
    svg('<path fill="URL( #a)"/>'),
    svg('<image href="https://evil.example"/>'),
    svg('<use xlink:href="#a"/>'),
    svg('<a href="javascript:alert(1)"><path/></a>'),
    svg('<foreignObject><body/></foreignObject>'),
    svg('<animate attributeName="href"/>'),
    svg('<path d="M0 0&#x3c;"/>'),
    svg('words'),
    svg('<path>'),
    svg('<![CDATA[<script>]]>'),
    Buffer.from('<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>'),
    Buffer.from('<svg></svg><svg></svg>'),
    Buffer.from('GIF89a'),
    Buffer.from(''),
    Buffer.alloc(largestLogo + 1, '<svg/>'),
  ])('that does more than show shapes is refused (%#)', (bytes) => {
    expect(readLogo(bytes)).toHaveProperty('fault');
  });

  test('of whatever bytes is refused or written with nothing that acts', () => {
    const part = fc.constantFrom(
      '<svg',
      '<path',
      ' d="',
      '"',
      '>',
      '/>',
      '</svg>',
      '<script',
      ' on',
      'url(',
      '<!--',
      '-->',
      '&',
      "'",
      ' ',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(part, fc.string({ maxLength: 3 })), { maxLength: 30 }), (parts) => {
        const logo = readLogo(Buffer.from(parts.join('')));
        if ('fault' in logo) return;
        expect(logo.bytes.toString()).not.toMatch(/<script|\son|href|style=|<!|&|url\((?!#)/i);
      }),
    );
  });
});
