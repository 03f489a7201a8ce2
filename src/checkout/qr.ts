import { encode } from 'uqr';
import { type Html, html } from './html.ts';
import { bestMask } from './qr-mask.ts';

/** Around the code, in modules: fewer than four and some scanners do not see it (ISO/IEC 18004). */
const quietZone = 4;

/**
 * A QR code as one path, level M. It holds the text and nothing else: a wallet that reads an address must not find anything
 * beside it. The best of the eight masks is looked for where everybody uses the code. All of them are right.
 */
export function qrCode(text: string, label: string, id: string, mask: 'best' | 'first' = 'best'): Html {
  const withMask = (maskPattern: number) => encode(text, { ecc: 'M', border: 0, maskPattern });
  const first = withMask(0);
  const { size, data } = mask === 'best' ? withMask(bestMask(first)) : first;
  const side = size + 2 * quietZone;
  return html`<svg class="qr" id=${id} viewBox=${`0 0 ${side} ${side}`} role="img" aria-label=${label} shape-rendering="crispEdges">
    <path stroke="currentColor" d=${pathOf(data)} />
  </svg>`;
}

/** Each run of dark modules in a row is one stroke as high as a module, from the end of the one before it: half the bytes. */
function pathOf(rows: readonly (readonly boolean[])[]): string {
  let path = '';
  rows.forEach((row, y) => {
    let end = -1;
    for (let x = 0; x < row.length; x++) {
      if (!row[x]) continue;
      const start = x;
      while (row[x + 1]) x++;
      path += end === -1 ? `M${start + quietZone} ${y + quietZone}.5` : `m${start - end} 0`;
      end = x + 1;
      path += `h${end - start}`;
    }
  });
  return path;
}
