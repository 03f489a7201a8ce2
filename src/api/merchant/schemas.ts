import { z } from 'zod';
import type { Config } from '../../config.ts';
import { type Currency, parseCurrency } from '../../core/assets.ts';
import { knownChain } from '../../core/chains/known.ts';
import { chargeStatuses } from '../../core/charge.ts';
import { sessionStatuses } from '../../core/checkout-session.ts';
import { isPlainText } from '../../core/labels.ts';
import { type Network, networkPattern, parseNetwork } from '../../core/networks.ts';
import { paymentReasons, paymentStatuses } from '../../core/payment.ts';
import { privateKeyIn, privateKeyRefusal } from '../../core/private-keys.ts';
import { cursorPattern } from '../http/cursors.ts';
import { errorCodes, fieldError } from '../http/errors.ts';

/*
 * What requests and answers are made of. An `id` names a component of the OpenAPI documents.
 */

export const networkSchema = z
  .custom<Network>(
    (value) => typeof value === 'string' && parseNetwork(value) !== null,
    'expected one of the networks in methods/',
  )
  .meta({
    type: 'string',
    pattern: networkPattern.source,
    example: 'bsc',
    description: 'A chain of the configuration, or a fiat provider, as in `methods/`.',
  });
export const currencySchema = z
  .custom<Currency>(
    (value) => typeof value === 'string' && parseCurrency(value) !== null,
    'expected one of the currencies in methods/',
  )
  .meta({
    type: 'string',
    example: 'usdt',
    description: "A token, or `native`: the chain's own coin. Of a fiat provider, a currency such as `usd`.",
  });

/** @throws HttpError for a name that neither a chain nor a provider has. */
export function requireNetwork(
  network: Network,
  chains: Config['chains'],
  providers: Config['providers'] = {},
): void {
  if (chains[network] !== undefined || providers[network] !== undefined || knownChain(network) !== null)
    return;
  const names = [...Object.keys(chains), ...Object.keys(providers)];
  throw fieldError('network', `there is no such network here; expected one of ${names.join(', ')}`);
}

/** @throws HttpError for a name that no asset of any chain has. */
export function requireCurrency(currency: Currency, chains: Config['chains']): void {
  const offered = new Set(
    Object.values(chains).flatMap(({ assets }) => assets.map((asset) => asset.currency)),
  );
  if (offered.has(currency)) return;
  throw fieldError('currency', `there is no such currency here; expected one of ${[...offered].join(', ')}`);
}

export const statusSchema = z.enum(paymentStatuses);
export const countSchema = z.int().min(0);

export const tiersSchema = z
  .array(z.object({ up_to_usd_cents: countSchema, confirmations: countSchema }))
  .describe('Small payments need fewer, as long as no more than that comes: the smallest amounts first.');

/** Times in answers: ISO 8601 in UTC, to the second. */
export const timeSchema = z.string().meta({ format: 'date-time', example: '2026-05-24T11:35:00Z' });

export const amountSchema = z.string().meta({
  description:
    'Exact decimal, with at least 6 decimals (8 for native coins); with those of its currency for a fiat provider.',
  example: '50.000000',
});

export const fieldErrorsSchema = z
  .object({ errors: z.record(z.string(), z.array(z.string())) })
  .meta({ id: 'FieldErrors', description: 'What is wrong with each field.' });

export const serviceErrorSchema = z
  .object({ error: z.string().describe('For people.'), code: z.enum(errorCodes).describe('For programs.') })
  .meta({ id: 'ServiceError', description: 'The request was understood but cannot be served.' });

export const detailSchema = z.object({ detail: z.string() }).meta({ id: 'Detail' });

/** What any request may be answered: with these a document names every status that can occur. */
export const commonErrors = {
  400: z.union([fieldErrorsSchema, detailSchema]),
  401: detailSchema,
  404: detailSchema,
  429: detailSchema,
  500: detailSchema,
  503: serviceErrorSchema,
};

/** Of requests with a body. */
export const bodyErrors = { ...commonErrors, 413: detailSchema, 415: detailSchema };

const paymentDepositSchema = z
  .object({
    tx_hash: z.string(),
    amount: amountSchema,
    confirmations: countSchema,
    status: z.enum(['seen', 'confirmed', 'late']),
    network: networkSchema.optional().describe('Only where something else was taken for what was asked for.'),
    currency: currencySchema.optional().describe('As `network`.'),
  })
  .meta({ id: 'PaymentDeposit', description: 'A transfer that reached the payment.' });

const providerSchema = z.object({
  name: networkSchema,
  type: z.string().meta({ example: 'forhopp' }),
  reference: z.string().describe('Ours, by which the provider knows the payment.'),
  status: z.enum(chargeStatuses).describe('In words that are the same for every provider.'),
  mode: z.enum(['live', 'test']),
  checkout_url: z
    .string()
    .describe("The provider's page. Send your customer to the payment's `checkout_url`."),
  amount: amountSchema,
  currency: z.string().meta({ example: 'USD' }),
  fee: amountSchema.nullable().describe('Null until the provider tells it.'),
  net: amountSchema.nullable(),
  refunded: amountSchema,
  disputed: z.boolean().describe('Whether the customer disputed it. That does not move `status`.'),
});

export const livemodeSchema = z.boolean().describe('False in a sandbox, whose money is worth nothing.');

const priceSchema = z
  .object({ amount: z.string(), currency: z.string() })
  .describe('As you gave it.')
  .meta({ id: 'Price', example: { amount: '50.00', currency: 'USD' } });

export const paymentSchema = z
  .object({
    payment_number: z.string().meta({ example: 'PAY-2026-7K2M9QXW4T' }),
    status: statusSchema,
    network: networkSchema,
    currency: currencySchema,
    amount_usd_cents: countSchema,
    price: priceSchema,
    expected_crypto_amount: amountSchema.describe('What the customer must pay.'),
    actual_crypto_amount: amountSchema.nullable().describe('What the chain shows, also before it counts.'),
    assigned_address: z
      .string()
      .describe('Locked to this payment until it ends. Empty for payments by a provider.'),
    tx_hash: z
      .string()
      .describe("Empty until a transfer is seen. Of a provider's payment, the provider's id."),
    confirmations: countSchema,
    external_order_id: z.string(),
    customer_email: z.string(),
    redirect_url: z.string(),
    metadata: z.record(z.string(), z.unknown()),
    locale: z.string().describe("The payer's language as you gave it, such as pt-BR; empty without one."),
    checkout_session: z
      .string()
      .describe('The checkout session in which the payer chose it; empty for none.')
      .meta({ example: 'cs_9f86d081884c7d659a2feaa0c55ad015' }),
    replaces: z
      .string()
      .nullable()
      .describe('The expired payment of which this is a fresh quote, by its number.'),
    replaced_by: z.string().nullable().describe('The payment that is a fresh quote of this one.'),
    livemode: livemodeSchema,
    payment_token: z.string().describe('Opens the checkout page: keep it on your server.'),
    checkout_url: z.string().describe('Send your customer here.'),
    expires_at: timeSchema,
    confirmed_at: timeSchema.nullable(),
    created_at: timeSchema,
    reason: z.enum(paymentReasons).nullable().describe('Why it failed, or what is unusual.'),
    deposits: z.array(paymentDepositSchema).describe('At most 50, the largest first.'),
    deposits_total: countSchema.describe('How many there are.'),
    remaining: amountSchema
      .nullable()
      .describe(
        'What is still to be paid of the expected amount, or of what was accepted as enough; null once the payment has ended.',
      ),
    provider: providerSchema
      .nullable()
      .describe('Of payments by a fiat provider; null for those on a chain.'),
    required_confirmations: countSchema.describe(
      'How many are needed: fewer for a small payment where the chain has tiers, all of them once more came than that.',
    ),
  })
  .meta({ id: 'Payment' });

export const sessionStatusSchema = z.enum(sessionStatuses);

export const sessionSchema = z
  .object({
    id: z.string().meta({ example: 'cs_9f86d081884c7d659a2feaa0c55ad015' }),
    status: sessionStatusSchema,
    amount_usd_cents: countSchema,
    price: priceSchema,
    methods: z
      .array(z.object({ network: networkSchema, currency: currencySchema }))
      .describe('What may be chosen; empty for everything that is available.'),
    external_order_id: z.string(),
    customer_email: z.string(),
    redirect_url: z.string(),
    cancel_url: z.string(),
    metadata: z.record(z.string(), z.unknown()),
    locale: z.string(),
    checkout_url: z.string().describe('Send your customer here.'),
    payments: z.array(z.string()).describe('The numbers of the payments made in it, the newest last.'),
    expires_at: timeSchema,
    created_at: timeSchema,
    livemode: livemodeSchema,
  })
  .meta({ id: 'CheckoutSession' });

/** A page of a list. */
export function listOf<T extends z.ZodType>(item: T) {
  return z.object({
    data: z.array(item),
    next_cursor: z.string().nullable().describe('Continues the list; null at its end.'),
  });
}

/** What `isPlainText` refuses, for the documents, whose readers may know no classes of Unicode. */
const control = '\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069';

/** A text that is stored as it is. */
export function plainText(longest: number) {
  return z
    .string()
    .max(longest)
    .refine(isPlainText, 'control characters are not allowed')
    .meta({ pattern: `^[^${control}]*$` });
}

/** The same that must say something: `fault` where it does not. */
export function filledText(longest: number, fault: string) {
  return plainText(longest)
    .refine((text) => text.trim() !== '', fault)
    .meta({ pattern: `^[^${control}]*[^\\s${control}][^${control}]*$` });
}

/** A private key or seed phrase that somebody took for a name is not kept. */
export function refusePrivateKey(text: string, context: z.RefinementCtx): void {
  const kind = privateKeyIn(text);
  if (kind !== null) context.addIssue({ code: 'custom', message: privateKeyRefusal(kind) });
}

/** Entries on one page. */
export const limitSchema = z.coerce.number().int().min(1).max(100).default(50);
export const cursorSchema = z
  .string()
  .regex(cursorPattern, 'expected the next_cursor of an earlier answer')
  .optional()
  .describe('A `next_cursor` of an earlier answer.');
/** The provider's own, of whatever shape. */
export const providerCursor = z
  .string()
  .max(200)
  .optional()
  .describe('A `next_cursor` of an earlier answer.');

/** A moment that a caller names. */
export const momentSchema = z.iso.datetime({
  offset: true,
  error: (issue) => (issue.input === undefined ? undefined : 'expected a time such as 2026-05-24T11:35:00Z'),
});

/** Why an operator does something: it goes into the audit log. */
export const operatorReason = filledText(500, 'expected a reason');

/** Anything that is no payment number of ours is not found, like one of somebody else. */
export const paymentPath = z.object({ payment_number: z.string() });
