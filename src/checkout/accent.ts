/*
 * A merchant's colour. It fills buttons with white text and draws lines on white and on nearly black: only a colour
 * that can be read on each is taken, WCAG 2.2 (1.4.3, 1.4.11).
 */

/** `2255cc` of `#2255CC`; null when it is no colour. */
export function parseAccent(text: string): string | null {
  return /^#?[0-9a-fA-F]{6}$/.test(text) ? text.replace('#', '').toLowerCase() : null;
}

/** What is wrong with a colour, or null. White text needs 4.5 to 1. */
export function accentFault(accent: string): string | null {
  const ratio = contrast(accent, 'ffffff');
  if (ratio >= leastContrast) return null;
  return `white text on it has a contrast of ${ratio.toFixed(1)} to 1; ${leastContrast} is the least`;
}

const leastContrast = 4.5;

/** On dark ground it is mixed with white until it can be seen: 3 to 1 against the dark page. */
export function accentOnDark(accent: string): string {
  for (let white = 0; white < 10; white++) {
    const mixed = mixWithWhite(accent, white / 10);
    if (contrast(mixed, darkGround) >= leastContrast) return mixed;
  }
  return 'ffffff';
}

const darkGround = '16181d';

/** The contrast ratio of two colours, 1 to 21. */
export function contrast(a: string, b: string): number {
  const [light = 0, dark = 0] = [luminance(a), luminance(b)].toSorted((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

/** Relative luminance as WCAG defines it. */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = channels(colour).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function mixWithWhite(colour: string, white: number): string {
  return channels(colour)
    .map((value) => Math.round(value + (255 - value) * white))
    .map((value) => value.toString(16).padStart(2, '0'))
    .join('');
}

function channels(colour: string): number[] {
  return [0, 2, 4].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
}

/** The style sheet with a merchant's colour at its end: no page has a style of its own, which its policy forbids. */
export function withAccent(style: string, accent: string): string {
  return (
    `${style}:root{--accent:#${accent};--accent-line:#${accent}}` +
    `@media (prefers-color-scheme:dark){:root{--accent-line:#${accentOnDark(accent)}}}\n`
  );
}
