import { encode } from 'uqr';

/** Around the code, in modules (ISO/IEC 18004). */
const quietZone = 4;

export function QrCode({ text, label }: { text: string; label: string }) {
  const { size, data } = encode(text, { ecc: 'M', border: 0 });
  const side = size + 2 * quietZone;
  const path = data.flatMap((row, y) =>
    row.map((dark, x) => (dark ? `M${x + quietZone} ${y + quietZone}h1v1h-1z` : '')),
  );
  return (
    <svg
      class="qr"
      viewBox={`0 0 ${side} ${side}`}
      role="img"
      aria-label={label}
      shape-rendering="crispEdges"
    >
      <rect class="ground" width={side} height={side} />
      <path d={path.join('')} />
    </svg>
  );
}
