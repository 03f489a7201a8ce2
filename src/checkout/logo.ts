import { crc32 } from 'node:zlib';
import type { Logo } from '../storage/operators/brands.ts';

/*
 * Logos are served from here, beside pages on which people pay. A PNG is checked to be one and nothing more; an SVG, which
 * may hold scripts, styles and requests, is read into shapes and written anew from these alone.
 */

/** Bytes, of the file as it is given and as it is written anew. */
export const largestLogo = 64 * 1024;

/** Either side of a PNG, in pixels: a small file may hold a picture that fills a payer's memory. */
const longestSide = 2048;

/** The logo as it may be served, or what is wrong with it. */
export function readLogo(bytes: Buffer): Logo | { fault: string } {
  if (bytes.length > largestLogo) return { fault: `expected at most ${largestLogo / 1024} KiB` };
  if (bytes.subarray(0, 8).equals(pngSignature)) {
    const fault = pngFault(bytes);
    return fault === null ? { type: 'image/png', bytes } : { fault };
  }
  const text = bytes.toString('utf8');
  if (!/<svg[\s>]/.test(text)) return { fault: 'expected a PNG or an SVG image' };
  const written = rewriteSvg(text);
  if (typeof written !== 'string') return written;
  const svg = Buffer.from(written);
  if (svg.length > largestLogo) return { fault: `expected at most ${largestLogo / 1024} KiB` };
  return { type: 'image/svg+xml', bytes: svg };
}

const pngSignature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Walks through the chunks (https://www.w3.org/TR/png-3/#5Chunk-layout) up to IEND, after which nothing may stand. */
function pngFault(bytes: Buffer): string | null {
  const broken = 'the PNG is damaged';
  let at = pngSignature.length;
  for (let first = true; at + 12 <= bytes.length; first = false) {
    const length = bytes.readUInt32BE(at);
    const end = at + 12 + length;
    if (end > bytes.length) return broken;
    const type = bytes.toString('latin1', at + 4, at + 8);
    if (crc32(bytes.subarray(at + 4, end - 4)) !== bytes.readUInt32BE(end - 4)) return broken;
    if (first) {
      if (type !== 'IHDR' || length !== 13) return broken;
      const [width, height] = [bytes.readUInt32BE(at + 8), bytes.readUInt32BE(at + 12)];
      if (width === 0 || height === 0) return broken;
      if (width > longestSide || height > longestSide)
        return `expected at most ${longestSide} pixels each way`;
    }
    if (type === 'IEND') return end === bytes.length ? null : broken;
    at = end;
  }
  return broken;
}

const shapes = new Set(
  'svg g path rect circle ellipse line polyline polygon defs linearGradient radialGradient stop clipPath'.split(
    ' ',
  ),
);

const attributes = new Set(
  (
    'viewBox width height x y x1 y1 x2 y2 cx cy r rx ry d points transform id offset fill fill-opacity fill-rule ' +
    'clip-rule clip-path opacity stroke stroke-width stroke-linecap stroke-linejoin stroke-miterlimit stroke-opacity ' +
    'stop-color stop-opacity gradientUnits gradientTransform preserveAspectRatio'
  ).split(' '),
);

/** What the values of these may hold: numbers, names, colours, paths. */
const plainValue = /^[\w\s.,#%()+-]*$/;
const localReference = /^url\(#[\w-]+\)$/;

/** Between what is left out with all that it holds. */
const tokens =
  /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<(\/?)([A-Za-z][\w:-]*)((?:\s+[\w:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/y;

/**
 * An SVG with the shapes of the one given, and none of its scripts, styles, texts, links, pictures or entities. What is not
 * well-formed, or holds one of these, is refused rather than shown in part.
 */
function rewriteSvg(text: string): string | { fault: string } {
  const open: string[] = [];
  let written = '';
  tokens.lastIndex = 0;
  for (let at = 0; at < text.length; at = tokens.lastIndex) {
    const token = tokens.exec(text);
    if (token === null) return { fault: 'the SVG is not well-formed, or declares a document type' };
    const [, closing, name, list = '', empty, words] = token;
    if (words !== undefined) {
      if (words.trim() !== '') return { fault: 'the SVG holds text: make outlines of it' };
      continue;
    }
    if (name === undefined) continue;
    if (!shapes.has(name)) return { fault: `the SVG holds <${name}>, which a logo may not` };
    if (closing === '/') {
      if (open.pop() !== name) return { fault: 'the SVG is not well-formed' };
      written += `</${name}>`;
      continue;
    }
    if (open.length === 0 && (written !== '' || name !== 'svg'))
      return { fault: 'the SVG is not one picture' };
    const kept = keptAttributes(list);
    if (typeof kept !== 'string') return kept;
    written += `<${name}${open.length === 0 ? ' xmlns="http://www.w3.org/2000/svg"' : ''}${kept}${empty === '/' ? '/>' : '>'}`;
    if (empty !== '/') open.push(name);
  }
  return open.length === 0 && written !== '' ? written : { fault: 'the SVG is not well-formed' };
}

function keptAttributes(list: string): string | { fault: string } {
  let kept = '';
  for (const [, name = '', double, single] of list.matchAll(/([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g)) {
    const value = (double ?? single ?? '').trim();
    if (/^on/i.test(name) || name === 'style' || /href$/i.test(name)) {
      return { fault: `the SVG has the attribute ${name}, which a logo may not` };
    }
    if (!attributes.has(name)) continue;
    if (!(plainValue.test(value) && !/url/i.test(value)) && !localReference.test(value)) {
      return { fault: `the SVG has a value in ${name} that a logo may not have` };
    }
    kept += ` ${name}="${value}"`;
  }
  return kept;
}
