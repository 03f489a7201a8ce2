import { styleText } from 'node:util';

type Line = Record<string, unknown>;

const levelStyles = {
  fatal: ['bold', 'red'],
  error: ['red'],
  warn: ['yellow'],
  info: ['green'],
  debug: ['dim'],
} as const;

/**
 * Writes a line of the log for people: `11:35:00 warn  chain behind  network=bsc lag=12`, the stack of a bug below it.
 * `stream` decides about colours. What nodes and receivers say is in the fields, so that nothing reaches the terminal
 * that moves its cursor or changes its colours.
 */
export function logText(json: string, stream: NodeJS.WriteStream): string {
  const { level, time, msg, err, ...fields } = JSON.parse(json) as Line;
  const name = String(level);
  const style = levelStyles[name as keyof typeof levelStyles] ?? [];
  const paint = (text: string, format: Parameters<typeof styleText>[0]) =>
    styleText(format, text, { stream });
  const { words, stack } = describe(err);
  const shown = [...Object.entries(fields), ...words].map(
    ([key, value]) => `${paint(`${visible(key)}=`, 'dim')}${shownValue(value)}`,
  );
  const head = `${paint(clockTime(time), 'dim')} ${paint(visible(name).padEnd(5), [...style])} ${visible(String(msg))}`;
  return `${[head, shown.join(' ')].filter((part) => part !== '').join('  ')}\n${stack}`;
}

/** By the clock on the wall of whoever sits at the terminal. */
function clockTime(time: unknown): string {
  return new Date(String(time)).toTimeString().slice(0, 8);
}

function describe(err: unknown): { words: [string, unknown][]; stack: string } {
  if (err === undefined) return { words: [], stack: '' };
  if (err === null || typeof err !== 'object') return { words: [['err', err]], stack: '' };
  const { message, cause, stack, code } = err as Line;
  const said = [message, cause].filter((part) => part !== undefined).join(': ');
  const lines = typeof stack === 'string' ? stack.split('\n').map((line) => `    ${visible(line)}\n`) : [];
  return {
    words: [['err', said], ...(code === undefined ? [] : [['code', code] as [string, unknown]])],
    stack: lines.join(''),
  };
}

function shownValue(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return visible(typeof value === 'string' && !/^[^\s"=]+$/.test(text) ? JSON.stringify(text) : text);
}

/** With everything that is no visible character or space written as its number. */
function visible(text: string): string {
  return text.replace(
    /[\p{C}\u2028\u2029]/gu,
    (character) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`,
  );
}
