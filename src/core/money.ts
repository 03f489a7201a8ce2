/**
 * Amounts are `bigint` in base units, digit strings in SQL and decimal strings for people. There is no
 * other parser and no other formatter of amounts in this program, and a float never holds money.
 */

const decimalPattern = /^(0|[1-9][0-9]*)(?:\.([0-9]+))?$/;

/** Decimals of {@link Rate}. */
export const rateDecimals = 18;

/** US dollars per coin, in units of 10^-18 dollar. Always positive. */
export type Rate = bigint;

/**
 * Reads a plain decimal ("50.000000") into base units. Null when the text is not a plain non-negative
 * decimal, or has more non-zero digits than `decimals`: nothing is ever rounded away here.
 */
export function parseAmount(text: string, decimals: number): bigint | null {
  const match = decimalPattern.exec(text);
  if (!match) return null;
  const fraction = (match[2] ?? '').replace(/0+$/, '');
  if (fraction.length > decimals) return null;
  return BigInt((match[1] as string) + fraction.padEnd(decimals, '0'));
}

/** The exact value of `amount` base units with at least `minimumPlaces` places, more only where it needs them. */
export function formatAmount(amount: bigint, decimals: number, minimumPlaces = 0): string {
  const negative = amount < 0n;
  const digits = (negative ? -amount : amount).toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits
    .slice(digits.length - decimals)
    .replace(/0+$/, '')
    .padEnd(minimumPlaces, '0');
  return `${negative ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`;
}

/** Reads a price ("612.50"). Digits past the eighteenth are cut; null when it is not a positive plain decimal. */
export function parseRate(text: string): Rate | null {
  const match = decimalPattern.exec(text);
  if (!match) return null;
  const fraction = (match[2] ?? '').slice(0, rateDecimals).padEnd(rateDecimals, '0');
  const rate = BigInt((match[1] as string) + fraction);
  return rate > 0n ? rate : null;
}

export function formatRate(usdPerCoin: Rate): string {
  return formatAmount(usdPerCoin, rateDecimals);
}

/** One US dollar per coin. */
export const parityRate: Rate = 10n ** BigInt(rateDecimals);

/**
 * The coins that `usdCents` buy at `usdPerCoin`, rounded **up** to `places` decimals, in base units of a
 * coin with `decimals` (at least `places`) decimals: a merchant never receives less than the price.
 */
export function quoteUp(usdCents: number, usdPerCoin: Rate, places: number, decimals: number): bigint {
  const numerator = BigInt(usdCents) * 10n ** BigInt(places + rateDecimals);
  const denominator = 100n * usdPerCoin;
  const steps = (numerator + denominator - 1n) / denominator;
  return decimals >= places
    ? steps * 10n ** BigInt(decimals - places)
    : divideUp(steps, 10n ** BigInt(places - decimals));
}

/**
 * The coins that a price in a currency buys, rounded **up** as by {@link quoteUp}. `exponent` is the currency's; the rates
 * are dollars per unit of it and per coin.
 */
export function quotePriceUp(
  price: { minorUnits: bigint; exponent: number; usdPerUnit: Rate },
  usdPerCoin: Rate,
  places: number,
  decimals: number,
): bigint {
  const numerator = price.minorUnits * price.usdPerUnit * 10n ** BigInt(places);
  const steps = divideUp(numerator, 10n ** BigInt(price.exponent) * usdPerCoin);
  return decimals >= places
    ? steps * 10n ** BigInt(decimals - places)
    : divideUp(steps, 10n ** BigInt(places - decimals));
}

/** What so many base units are worth in US cents at `usdPerCoin`, rounded **down**. */
export function usdCentsDown(amount: bigint, usdPerCoin: Rate, decimals: number): bigint {
  return (amount * usdPerCoin * 100n) / 10n ** BigInt(decimals + rateDecimals);
}

/** What is left of `expected` after a tolerance of `toleranceBps` hundredths of a percent, rounded up. */
export function lessToleranceUp(expected: bigint, toleranceBps: number): bigint {
  return divideUp(expected * BigInt(10_000 - toleranceBps), 10_000n);
}

function divideUp(numerator: bigint, denominator: bigint): bigint {
  return (numerator + denominator - 1n) / denominator;
}
