import { formatPath, type Path } from './environment.ts';

/** Where a text stops being JSON: both counted from 1. */
export type Position = { line: number; column: number };

export type JsonReading = { value: unknown; duplicates: string[] } | { error: string };

/** Deeper nesting than any configuration has; parsers recurse. */
const deepest = 64;

/**
 * Reads JSON, and finds what `JSON.parse` hides: keys that stand twice, of which the last would silently
 * win. Never quotes the text, for it holds secrets.
 */
export function readJson(text: string): JsonReading {
  const source = text.startsWith('\uFEFF') ? text.slice(1) : text;
  const scan = scanJson(source);
  if (scan.stoppedAt !== null) {
    const { line, column } = positionOf(source, scan.stoppedAt);
    const end = scan.stoppedAt >= source.trimEnd().length;
    const what = end ? 'the file ends too early' : describeFault(source, scan.stoppedAt);
    return { error: `not valid JSON at line ${line}, column ${column}: ${what}` };
  }
  try {
    return { value: JSON.parse(source), duplicates: scan.duplicates };
  } catch {
    return { error: 'not valid JSON' };
  }
}

function describeFault(text: string, at: number): string {
  const before = text.slice(0, at).trimEnd().at(-1);
  const here = text[at];
  if (here === '/' && /[/*]/.test(text[at + 1] ?? '')) return 'JSON has no comments';
  if ((here === '}' || here === ']') && before === ',') return 'a comma too many before this bracket';
  if (here === '"')
    return before === undefined || /[{[:,]/.test(before)
      ? 'a broken text'
      : 'a comma or colon is missing before this text';
  if (here === "'") return 'JSON wants double quotation marks';
  return 'this does not belong here';
}

function positionOf(text: string, at: number): Position {
  const before = text.slice(0, at).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

const space = /[ \t\r\n]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them inside of texts.
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** Walks over the grammar without building anything. `stoppedAt` is null when the text is whole. */
function scanJson(text: string): { stoppedAt: number | null; duplicates: string[] } {
  const duplicates: string[] = [];
  const stopped = Symbol('stopped');
  let at = 0;

  function take(pattern: RegExp): string {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found === undefined) throw stopped;
    at += found.length;
    return found;
  }
  /** The next character that is no space; taken when it is `char`. */
  function takes(char: string): boolean {
    take(space);
    if (text[at] !== char) return false;
    at++;
    return true;
  }
  function expect(char: string): void {
    if (!takes(char)) throw stopped;
  }
  function value(path: Path): void {
    if (path.length > deepest) throw stopped;
    if (takes('{')) members(path);
    else if (takes('[')) items(path);
    else take(text[at] === '"' ? string : scalar);
  }
  function members(path: Path): void {
    if (takes('}')) return;
    const keys = new Set<string>();
    do {
      take(space);
      const key = JSON.parse(take(string)) as string;
      if (keys.has(key)) duplicates.push(formatPath([...path, key]));
      keys.add(key);
      expect(':');
      value([...path, key]);
    } while (takes(','));
    expect('}');
  }
  function items(path: Path): void {
    if (takes(']')) return;
    let index = 0;
    do value([...path, index++]);
    while (takes(','));
    expect(']');
  }

  try {
    value([]);
    take(space);
    return { stoppedAt: at < text.length ? at : null, duplicates };
  } catch (reason) {
    if (reason !== stopped) throw reason;
    return { stoppedAt: at, duplicates };
  }
}
