import { z } from 'zod';
import {
  type FiatCode,
  type FiatMoney,
  fiatExponent,
  parseFiatAmount,
  parseFiatCode,
  usdCentsHalfUp,
} from '../../core/fiat.ts';
import { counted } from '../../core/plural.ts';
import type { Rates } from '../../rates/rates.ts';
import { fieldError } from '../http/errors.ts';
import { currencySchema, networkSchema, plainText } from './schemas.ts';

/** Most a payment may ask for: a million dollars. */
const largestUsdCents = 100_000_000;

/** In whatever currency: what a number of JavaScript holds exactly. */
const largestMinorUnits = BigInt(Number.MAX_SAFE_INTEGER);

const metadataKeys = 50;
const metadataBytes = 16 * 1024;

const emailPattern = /^[^\s@"<>()[\],;:\\]{1,64}@[^\s@"<>()[\],;:\\.]+(\.[^\s@"<>()[\],;:\\.]+)+$/u;

const localePattern = /^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3})?$/;

/** An absolute http or https URL, or nothing. */
const webUrl = plainText(2048).refine(
  (text) => text === '' || isWebUrl(text),
  'expected an absolute http or https URL',
);

/** A price, in one of two ways. */
const priceFields = {
  amount_usd_cents: z
    .int()
    .min(1)
    .max(largestUsdCents)
    .optional()
    .describe('5000 is $50.00. Either this, or `amount` and `amount_currency`.')
    .meta({ example: 5000 }),
  amount: plainText(30)
    .meta({ pattern: '^[0-9]+(\\.[0-9]+)?$' })
    .optional()
    .describe('The price as a decimal in quotes, with no more decimals than its currency has: "45.00".'),
  amount_currency: plainText(3)
    .transform((text) => text.toUpperCase())
    .optional()
    .describe('The currency of `amount` by its ISO 4217 code.')
    .meta({ example: 'EUR' }),
};

/** What is kept with an order and shown again. */
const orderFields = {
  external_order_id: plainText(255).default('').describe('Your order, echoed in every event.'),
  customer_email: plainText(254)
    .refine((text) => text === '' || emailPattern.test(text), 'expected an e-mail address')
    .default(''),
  redirect_url: webUrl.default('').describe('Where the checkout page sends the customer afterwards.'),
  metadata: z
    .record(z.string(), z.unknown())
    .refine((value) => Object.keys(value).length <= metadataKeys, `at most ${metadataKeys} keys are allowed`)
    .refine(
      (value) => Buffer.byteLength(JSON.stringify(value)) <= metadataBytes,
      `at most ${metadataBytes} bytes of JSON are allowed`,
    )
    .default({})
    .describe('Kept with the payment and repeated in its events.'),
  locale: plainText(35)
    .refine((text) => localePattern.test(text), 'expected a language tag such as pt-BR')
    .default('')
    .describe("The customer's language by its BCP 47 tag; without it the browser's is taken."),
};

/** The same as requestedPrice says below, for who reads the document. */
const onePrice = {
  oneOf: [
    {
      required: ['amount_usd_cents'],
      not: { anyOf: [{ required: ['amount'] }, { required: ['amount_currency'] }] },
    },
    { required: ['amount', 'amount_currency'], not: { required: ['amount_usd_cents'] } },
  ],
};

/** The body of a creation. Optional fields that are not given are empty. */
export const createPaymentSchema = z
  .strictObject({ ...priceFields, network: networkSchema, currency: currencySchema, ...orderFields })
  .meta(onePrice);

/** Most entries of `methods`. */
const mostMethods = 100;

/** A checkout session may be open this long, seconds. */
const longestSession = 30 * 24 * 60 * 60;

/** The body of the creation of a checkout session. */
export const createSessionSchema = z
  .strictObject({
    ...priceFields,
    methods: z
      .array(z.strictObject({ network: networkSchema, currency: currencySchema }))
      .max(mostMethods)
      .default([])
      .describe('What may be chosen; without it everything that is available.'),
    ...orderFields,
    cancel_url: webUrl.default('').describe('Where the customer goes who gives up.'),
    expires_in_seconds: z
      .int()
      .min(60)
      .max(longestSession)
      .default(86_400)
      .describe('How long a way to pay can be chosen.'),
  })
  .meta(onePrice);

type CreateBody = z.output<typeof createPaymentSchema>;

/** What is asked for, in the shop's own words. @throws HttpError naming the field that is wrong. */
export function requestedPrice(
  body: Pick<CreateBody, 'amount_usd_cents' | 'amount' | 'amount_currency'>,
): FiatMoney {
  const { amount_usd_cents: cents, amount, amount_currency: code } = body;
  if (cents !== undefined) {
    if (amount !== undefined) throw fieldError('amount', 'expected this or amount_usd_cents, not both');
    if (code !== undefined) throw fieldError('amount_currency', 'amount_usd_cents is in US dollars');
    return { minorUnits: BigInt(cents), currency: 'USD' as FiatCode };
  }
  if (amount === undefined) {
    throw fieldError(code === undefined ? 'amount_usd_cents' : 'amount', 'this field is required');
  }
  if (code === undefined) throw fieldError('amount_currency', 'this field is required');
  const currency = parseFiatCode(code);
  if (currency === null) throw fieldError('amount_currency', 'expected a currency of ISO 4217, such as EUR');
  const minorUnits = parseFiatAmount(amount, currency);
  if (minorUnits === null || minorUnits <= 0n || minorUnits > largestMinorUnits) {
    throw fieldError(
      'amount',
      `expected a positive decimal with at most ${counted(fiatExponent(currency), 'decimal')}, as ${currency} has`,
    );
  }
  return { minorUnits, currency };
}

/** Worth in US cents, rounded half up; null when no rate can be trusted. @throws HttpError where it is out of bounds. */
export function worthInUsdCents(price: FiatMoney, rates: Rates): number | null {
  const usdPerUnit = rates.usdPer(price.currency);
  if (usdPerUnit === null) return null;
  const cents = usdCentsHalfUp(price, usdPerUnit);
  if (cents > BigInt(largestUsdCents)) throw fieldError('amount', 'at most a million US dollars is allowed');
  if (cents < 1n) throw fieldError('amount', 'at least a US cent is allowed');
  return Number(cents);
}

/** The page a customer is sent to: no other scheme, and no user name that makes one host look like another. */
function isWebUrl(text: string): boolean {
  if (!/^https?:\/\/[^\s/]/i.test(text) || /\s/.test(text) || !URL.canParse(text)) return false;
  const url = new URL(text);
  return url.username === '' && url.password === '';
}
