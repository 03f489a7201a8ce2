import { parseRate, type Rate } from '../core/money.ts';

/** No honest price needs more characters. */
const longestPrice = 64;

const exponentPattern = /^(0|[1-9][0-9]*)(?:\.([0-9]+))?[eE]([+-]?[0-9]{1,2})$/;

/** Reads a price, also one in JSON's exponent form ("1e-7"). Null when it is not a positive decimal. */
export function readPrice(text: string): Rate | null {
  if (text.length > longestPrice) return null;
  const match = exponentPattern.exec(text);
  return parseRate(match === null ? text : withoutExponent(match));
}

function withoutExponent(match: RegExpExecArray): string {
  const [, whole = '', fraction = '', exponent = '0'] = match;
  const digits = whole + fraction;
  const point = whole.length + Number(exponent);
  const before = digits.slice(0, Math.max(0, point)).padEnd(point, '0').replace(/^0+/, '');
  const after = digits.slice(Math.max(0, point)).padStart(digits.length - point, '0');
  return `${before === '' ? '0' : before}${after === '' || point >= digits.length ? '' : `.${after}`}`;
}

/** A market whose buyers and sellers are further apart says little about the price. */
const widestSpreadBps = 200n;

/** The middle of a market's best bid and ask; null when either is missing, or they are crossed or far apart. */
export function midPrice(bidText: string, askText: string): Rate | null {
  const bid = readPrice(bidText);
  const ask = readPrice(askText);
  if (bid === null || ask === null || bid > ask) return null;
  if ((ask - bid) * 10_000n > bid * widestSpreadBps) return null;
  return (bid + ask) / 2n;
}
