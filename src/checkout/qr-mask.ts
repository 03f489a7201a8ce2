import { QrCodeDataType, type QrCodeGenerateResult } from 'uqr';

/** The eight masks of ISO/IEC 18004, 7.8.2: where each turns a module around, `x` to the right and `y` down. */
const masks: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** What they turn in a code of this size, row by row. Addresses make codes of one size or two. */
const turnsOfSize = new Map<number, readonly Uint8Array[]>();

/** Eleven modules in a row that look like a corner, with the light on one side of it. */
const cornerAfterLight = 0b00001011101;
const cornerBeforeLight = 0b10111010000;

/**
 * The mask under which a cheap scanner reads this code best, by the penalties of ISO/IEC 18004, 7.8.3. The library finds one
 * too, but that takes longer than all the rest of a page. `code` has any mask and no border.
 */
export function bestMask(code: QrCodeGenerateResult): number {
  const penalties = masks.map((_, mask) => penaltyOf(withMask(code, mask), code.size));
  return penalties.indexOf(Math.min(...penalties));
}

/** A code's modules under another mask, row by row, 1 for dark. Those that name the mask stay as they are. */
export function withMask({ size, data, types, maskPattern }: QrCodeGenerateResult, mask: number): Uint8Array {
  const turns = turnsOfSize.get(size) ?? masks.map((turns) => turnsOf(turns, size));
  turnsOfSize.set(size, turns);
  const [from = none, to = none] = [turns[maskPattern], turns[mask]];
  const modules = new Uint8Array(size * size);
  for (let y = 0, at = 0; y < size; y++) {
    const [row = [], kinds = []] = [data[y], types[y]];
    for (let x = 0; x < size; x++, at++) {
      const turned = kinds[x] === QrCodeDataType.Data ? (from[at] ?? 0) ^ (to[at] ?? 0) : 0;
      modules[at] = Number(row[x]) ^ turned;
    }
  }
  return modules;
}

const none = new Uint8Array();

function turnsOf(turns: (x: number, y: number) => boolean, size: number): Uint8Array {
  return Uint8Array.from({ length: size * size }, (_, at) => Number(turns(at % size, Math.floor(at / size))));
}

function penaltyOf(modules: Uint8Array, size: number): number {
  let penalty = 0;
  let dark = 0;
  for (let line = 0; line < size; line++) {
    penalty += penaltyOfLine(modules, line * size, 1, size);
    penalty += penaltyOfLine(modules, line, size, size);
  }
  for (let at = 0; at < modules.length; at++) {
    const own = modules[at];
    dark += own ?? 0;
    if (at % size === size - 1) continue;
    // Four alike in a square; below the last row there is nothing.
    if (own === modules[at + 1] && own === modules[at + size] && own === modules[at + size + 1]) penalty += 3;
  }
  return penalty + 10 * Math.floor(Math.abs((dark / modules.length) * 20 - 10));
}

/** Of a row or a column: for each run of five and more alike, and for what looks like a corner. */
function penaltyOfLine(modules: Uint8Array, from: number, step: number, size: number): number {
  let penalty = 0;
  let run = 0;
  let before = 2;
  let last11 = 0;
  // Four more: around the code it is light.
  for (let n = 0; n < size + 4; n++) {
    const own = n < size ? (modules[from + n * step] ?? 0) : 0;
    last11 = ((last11 << 1) | own) & 0b11111111111;
    if (last11 === cornerAfterLight || last11 === cornerBeforeLight) penalty += 40;
    if (n >= size) continue;
    run = own === before ? run + 1 : 1;
    before = own;
    if (run === 5) penalty += 3;
    else if (run > 5) penalty += 1;
  }
  return penalty;
}
