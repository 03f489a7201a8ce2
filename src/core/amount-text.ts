/** An amount that somebody looks for: a plain decimal, and in what, in lower case, where that was said. */
export type AmountText = { amount: string; unit: string | null };

/** The two ways to read a number whose one mark may part thousands as well as decimals. */
export type Ambiguous = { either: string; or: string };

/** No honest amount has more characters. */
const longestText = 60;

const unitPattern = /^(\$)?\s*([\d.,'’\s]+?)\s*(\$|[a-z][a-z0-9._-]{0,19})?$/i;

/** Digits in threes, all parted by the same mark. */
const grouped = /^[1-9]\d{0,2}(?:([.,'’ ])\d{3})(?:\1\d{3})*$/;

/**
 * Reads an amount as people write it: `12.5`, `12,50`, `1.234,50`, `1,234.50`, `1 234,50`, `$12.50`, `12.5 USDT`. Null when it is none.
 * A point alone is the decimal point, as everywhere in this program; a comma alone before three digits may part
 * thousands too, and is not guessed at.
 */
export function parseAmountText(text: string): AmountText | Ambiguous | null {
  // A hash or an address begins so, and no amount.
  if (text.length > longestText || /^\s*0x/i.test(text)) return null;
  const [, dollar, number = '', after] = unitPattern.exec(text.trim()) ?? [];
  const unit = after === '$' ? 'usd' : (after?.toLowerCase() ?? null);
  if (dollar !== undefined && unit !== null && unit !== 'usd') return null;
  const named = dollar === undefined ? unit : 'usd';
  const plain = number.replace(/\s/g, ' ');
  if (/^[1-9]\d{0,2},\d{3}$/.test(plain)) {
    return { either: plain.replace(',', ''), or: plain.replace(',', '.') };
  }
  const amount = readDecimal(plain);
  return amount === null ? null : { amount, unit: named };
}

function readDecimal(text: string): string | null {
  // One mark of its kind, the last of all, parts the decimals.
  const [, whole = '', fraction] = /^(.*?)(?:[.,](\d+))?$/.exec(text) ?? [];
  for (const [integer, decimals] of [
    [whole, fraction],
    [text, undefined],
  ] as const) {
    const mark = grouped.exec(integer)?.[1];
    const isPlain = /^(0|[1-9]\d*)$/.test(integer);
    if (!isPlain && mark === undefined) continue;
    // `1,234,567` has no decimals, and `1.234.567` none either.
    if (mark !== undefined && decimals !== undefined && text[integer.length] === mark) continue;
    const digits = integer.replace(/\D/g, '');
    return decimals === undefined ? digits : `${digits}.${decimals}`;
  }
  return null;
}
