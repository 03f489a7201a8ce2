import { formatAmount, parseAmount, type Rate, rateDecimals } from './money.ts';

declare const fiatBrand: unique symbol;

/** A currency of ISO 4217 in capitals, `USD`. Made only by {@link parseFiatCode}. */
export type FiatCode = string & { readonly [fiatBrand]: true };

/** An amount in minor units of its currency: 4500 and `USD` are 45 dollars, 4500 and `JPY` are 4500 yen. */
export type FiatMoney = { minorUnits: bigint; currency: FiatCode };

/** Active currencies by the decimals of their minor unit (ISO 4217, list one, 2026-01-01). */
const currenciesByExponent: readonly (readonly [exponent: number, codes: string])[] = [
  [0, 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'],
  [
    2,
    'AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW ' +
      'CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG ' +
      'HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR ' +
      'MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG ' +
      'SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES ' +
      'WST XCD XCG YER ZAR ZMW ZWG',
  ],
  [3, 'BHD IQD JOD KWD LYD OMR TND'],
  [4, 'CLF UYW'],
];

const exponents: ReadonlyMap<string, number> = new Map(
  currenciesByExponent.flatMap(([exponent, codes]) => codes.split(' ').map((code) => [code, exponent])),
);

/** In whatever letter case; null when there is no such currency. */
export function parseFiatCode(text: string): FiatCode | null {
  const code = text.toUpperCase();
  return exponents.has(code) ? (code as FiatCode) : null;
}

/** The decimals of a currency: 2 for dollars, 0 for yen, 3 for dinars. */
export function fiatExponent(currency: FiatCode): number {
  return exponents.get(currency) ?? 2;
}

/**
 * Reads a plain decimal ("45.00") into minor units. Null when it is negative, has an exponent, or has more digits that
 * mean something than the currency: nothing is rounded away.
 */
export function parseFiatAmount(text: string, currency: FiatCode): bigint | null {
  return text.length > longestAmount ? null : parseAmount(text, fiatExponent(currency));
}

/** With all decimals of the currency: "45.00", and "4500" yen. */
export function formatFiatAmount({ minorUnits, currency }: FiatMoney): string {
  const exponent = fiatExponent(currency);
  return formatAmount(minorUnits, exponent, exponent);
}

/** No honest amount has more characters. */
const longestAmount = 30;

/**
 * What `money` is in another currency, rounded **up** to its minor unit: a merchant never receives less than the price.
 * Rates are dollars per unit of each.
 */
export function convertUp(money: FiatMoney, usdPerUnit: Rate, to: FiatCode, usdPerOther: Rate): bigint {
  const numerator = money.minorUnits * usdPerUnit * 10n ** BigInt(fiatExponent(to));
  const denominator = usdPerOther * 10n ** BigInt(fiatExponent(money.currency));
  return (numerator + denominator - 1n) / denominator;
}

/** What `money` is in US cents, rounded half up: for people and reports, never for what is asked of a payer. */
export function usdCentsHalfUp({ minorUnits, currency }: FiatMoney, usdPerUnit: Rate): bigint {
  const numerator = minorUnits * usdPerUnit * 100n;
  const denominator = 10n ** BigInt(fiatExponent(currency) + rateDecimals);
  return (2n * numerator + denominator) / (2n * denominator);
}
