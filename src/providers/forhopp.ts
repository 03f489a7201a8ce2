import { z } from 'zod';
import type { ChargeStatus, Mode } from '../core/charge.ts';
import type { FiatCode } from '../core/fiat.ts';
import { anything, currencyOf, idOf, jsonOf, minorUnits, readAnswer, readDone, unixMs } from './answer.ts';
import {
  type Charge,
  type Created,
  defineAdapter,
  type Hint,
  type Method,
  type Page,
  type Provider,
  type ProviderRequest,
  type ReceivedWebhook,
  type Refund,
  type Told,
} from './provider.ts';
import { digestOf, headerOf, verifyTimed } from './signature.ts';

/*
 * ForhoppPay Connect. "Complete API Documentation", last updated March 2026. What it leaves open:
 * - Nothing says when a charge stops at `authorized`; expired, voided and authorized have no event.
 * - A void is in the diagram of states and has no operation.
 * - The answer to a partial capture shows the whole amount and `captured`: from one nothing is ever confirmed.
 * - Amounts are "in cents", also of yen, whose least charge is ¥50 and 50: whole yen, most likely. Off until proven.
 * - The list names another path than the base URL (`url`): never followed.
 */

const settings = {
  secretKey: z
    .string()
    .regex(/^sk_(live|test)_[A-Za-z0-9]{16,64}$/, 'a secret key, sk_live_… or sk_test_…')
    .describe('The secret key, sk_live_… or sk_test_…. It decides whether payments are real.'),
  webhookSecret: z
    .string()
    .regex(/^whsec_[A-Za-z0-9]{16,128}$/, 'the secret of the webhook endpoint, whsec_…')
    .describe('The secret of the webhook endpoint, whsec_…, shown once when the endpoint is made.'),
  returnUrl: z
    .url({ protocol: /^https?$/, error: 'an https:// URL' })
    .describe('Where payers return to that have no `redirect_url`.'),
  captureMode: z
    .enum(['automatic', 'manual'], { error: '"automatic" or "manual"' })
    .default('manual')
    .describe('Whether a charge that stops at `authorized` is captured by itself, or by your app.'),
  allowJpy: z
    .boolean({ error: 'true or false' })
    .default(false)
    .describe(
      'Charge yen. Their unit is not documented: prove it in the sandbox first, an error is a hundredfold.',
    ),
  jwt: z.string().min(1, 'a token').optional().describe("The dashboard's token, for managing its keys only."),
};

const currencies = ['USD', 'EUR', 'GBP', 'CAD', 'AUD', 'JPY', 'CHF'] as FiatCode[];
const smallest = 50n;
const largest = 99_999_999n;

/** Keys expire after 24 h; with an hour less nobody's clock matters. */
const keptMs = 23 * 60 * 60 * 1000;

export const forhopp = defineAdapter({
  type: 'forhopp',
  displayName: 'ForhoppPay',
  settings,
  secrets: ['secretKey', 'webhookSecret', 'jwt'],
  fault: () => null,
  open({ secretKey, webhookSecret, returnUrl, captureMode, allowJpy, jwt }): Provider {
    const mode: Mode = secretKey.startsWith('sk_test_') ? 'test' : 'live';

    function request(method: Method, path: string, body?: object, idempotencyKey?: string): ProviderRequest {
      return {
        method,
        path,
        headers: {
          authorization: `Bearer ${path.startsWith('/keys') ? jwt : secretKey}`,
          // Without it "the latest stable version" changes under us.
          'forhopppay-version': '2024-01-01',
          ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      };
    }

    /** The keys of the account are managed with the dashboard's token. */
    const keys: Pick<Provider, 'listKeys' | 'createKey' | 'revokeKey'> =
      jwt === undefined
        ? {}
        : {
            listKeys: () => ({
              request: request('GET', '/keys'),
              read: (answer) =>
                readAnswer(answer, { schema: keyList, refusal }, ({ data }): Told => ({ data })),
            }),
            createKey: (key) => ({
              request: request('POST', '/keys', key),
              read: (answer) => readAnswer(answer, { schema: newKey, refusal }, (told): Told => told),
            }),
            revokeKey: (id) => ({
              request: request('DELETE', `/keys/${id}`),
              read: (answer) => readDone(answer, refusal),
            }),
          };

    return {
      descriptor: {
        type: 'forhopp',
        displayName: 'ForhoppPay',
        baseUrl: 'https://api.pay.forhopp.com/connect/v1',
        // Other hosts stand on the page too (JavaScript, docs): nobody pays there.
        checkoutHosts: ['pay.forhopp.com'],
        currencies: currencies.filter((currency) => allowJpy || currency !== 'JPY'),
        requestsPerSecond: { live: 100, test: 25 },
        capabilities: {
          createKeptMs: keptMs,
          refundKeptMs: keptMs,
          createTellsId: true,
          echoesReference: true,
          statesMode: true,
          statesExpiry: true,
          capture: true,
          refund: 'partial',
          webhook: 'timed',
          charges: true,
        },
      },
      mode,
      captureMode,

      refuses({ amount, currency }) {
        if (currency === 'JPY' && !allowJpy) return 'yen are off until `allowJpy` is set';
        if (!currencies.includes(currency)) return `${currency} is not charged by ForhoppPay`;
        if (amount < smallest) return `the least charge is ${smallest} minor units`;
        return amount > largest ? `the largest charge is ${largest} minor units` : null;
      },

      create: (intent) => ({
        request: request(
          'POST',
          '/charges',
          {
            // Whole numbers up to 99,999,999.
            amount: Number(intent.amount),
            currency: intent.currency.toLowerCase(),
            ...(intent.description === '' ? {} : { description: intent.description.slice(0, 500) }),
            metadata: { depositd_reference: intent.reference },
            return_url: intent.returnUrl === '' ? returnUrl : intent.returnUrl,
            ...(intent.cancelUrl === '' ? {} : { cancel_url: intent.cancelUrl }),
          },
          intent.idempotencyKey,
        ),
        read: (answer) => {
          // The key was used with another body: what that made is not known from here.
          if (answer.status === 409)
            return { outcome: 'unknown', reason: 'HTTP 409: an idempotency conflict' };
          return readAnswer(answer, { schema: created, refusal }, createdOf);
        },
      }),

      fetch: (id) => ({
        request: request('GET', `/charges/${id}`),
        read: (answer) => readAnswer(answer, { schema: charge, refusal }, chargeOf),
      }),

      list: (since, cursor) => {
        const query = new URLSearchParams({ limit: '100', created_after: String(Math.floor(since / 1000)) });
        if (cursor !== null) query.set('starting_after', cursor);
        return {
          request: request('GET', `/charges?${query}`),
          read: (answer) => readAnswer(answer, { schema: list, refusal }, pageOf),
        };
      },

      capture: ({ id }, amount) => ({
        request: request(
          'POST',
          `/charges/${id}/capture`,
          amount === null ? {} : { amount: Number(amount) },
          `capture-${id}-${amount ?? 'whole'}`,
        ),
        read: (answer) => readAnswer(answer, { schema: charge, refusal }, () => true as const),
      }),

      refund: ({ charge: { id }, amount, reason, idempotencyKey }) => ({
        request: request(
          'POST',
          `/charges/${id}/refunds`,
          { amount: Number(amount), reason },
          idempotencyKey,
        ),
        read: (answer) => {
          if (answer.status === 409)
            return { outcome: 'unknown', reason: 'HTTP 409: an idempotency conflict' };
          return readAnswer(answer, { schema: refund, refusal }, refundOf);
        },
      }),

      createWebhookEndpoint: (endpoint) => ({
        request: request('POST', '/webhooks', endpoint),
        read: (answer) => readAnswer(answer, { schema: webhookEndpoint, refusal }, (told): Told => told),
      }),

      ...keys,

      // The page's samples take whsec_… as it is, unlike Standard Webhooks, which decode it.
      verifyWebhook: (webhook, now) =>
        verifyTimed(headerOf(webhook, 'forhopppay-signature'), webhook.body, webhookSecret, now),
      readWebhook,
    };
  },
});

const refusalShape = z.object({
  error: z.object({ type: z.string().catch(''), code: z.string().catch(''), message: z.string().catch('') }),
});

function refusal(body: unknown): string | null {
  const read = refusalShape.safeParse(body);
  if (!read.success) return null;
  const { type, code, message } = read.data.error;
  return [code === '' ? type : code, message].filter((part) => part !== '').join(': ');
}

const created = z.object({
  id: anything,
  amount: anything,
  currency: anything,
  checkout_url: z.string(),
  expires_at: anything,
  livemode: anything,
});

function createdOf(body: z.output<typeof created>): Created | null {
  const id = idOf(body.id);
  if (id === null || !id.startsWith('ch_')) return null;
  return {
    id,
    checkoutUrl: body.checkout_url,
    expiresAt: unixMs(body.expires_at),
    amount: minorUnits(body.amount),
    currency: currencyOf(body.currency),
    mode: modeOf(body.livemode),
  };
}

const charge = z.object({
  id: anything,
  status: anything,
  amount: anything,
  currency: anything,
  fee: anything,
  net: anything,
  refunds: anything,
  metadata: anything,
  created: anything,
  livemode: anything,
});

const statuses: Readonly<Record<string, ChargeStatus>> = {
  pending: 'pending',
  authorized: 'authorized',
  captured: 'captured',
  failed: 'failed',
  voided: 'voided',
  refunded: 'refunded',
  partially_refunded: 'partially_refunded',
  expired: 'expired',
  disputed: 'disputed',
};

function chargeOf(body: z.output<typeof charge>): Charge | null {
  const id = idOf(body.id);
  if (id === null) return null;
  const statusText = typeof body.status === 'string' ? body.status.slice(0, 40) : '';
  const amount = minorUnits(body.amount);
  const status = Object.hasOwn(statuses, statusText) ? (statuses[statusText] as ChargeStatus) : 'unknown';
  return {
    id,
    reference: referenceOf(body.metadata),
    status,
    statusText,
    amount,
    currency: currencyOf(body.currency),
    fee: minorUnits(body.fee),
    net: minorUnits(body.net),
    refunded: status === 'refunded' ? amount : refundedOf(body.refunds),
    mode: modeOf(body.livemode),
    createdAt: unixMs(body.created),
  };
}

/** The sum of the refunds that did not fail; null where they are not shown, or one is not as documented. */
function refundedOf(refunds: unknown): bigint | null {
  if (!Array.isArray(refunds)) return null;
  let total = 0n;
  for (const one of refunds) {
    const { amount, status } = (one ?? {}) as { amount?: unknown; status?: unknown };
    const read = minorUnits(amount);
    if (read === null) return null;
    if (status !== 'failed') total += read;
  }
  return total;
}

function referenceOf(metadata: unknown): string | null {
  const reference = (metadata as { depositd_reference?: unknown } | null | undefined)?.depositd_reference;
  return typeof reference === 'string' ? reference : null;
}

function modeOf(livemode: unknown): Mode | null {
  if (typeof livemode !== 'boolean') return null;
  return livemode ? 'live' : 'test';
}

const list = z.object({ data: z.array(charge), has_more: z.boolean() });

/** A page that claims more and shows nothing is the last. */
function pageOf({ data, has_more }: z.output<typeof list>): Page {
  const charges = data.map(chargeOf).filter((one) => one !== null);
  return { charges, next: has_more ? (charges.at(-1)?.id ?? null) : null };
}

const refund = z.object({ id: anything, amount: anything, status: anything });

/** A status that is not documented may become anything: the charge's refunds will show. */
function refundOf({ id, status }: z.output<typeof refund>): Refund {
  const known = status === 'succeeded' || status === 'failed' ? status : 'pending';
  return { id: idOf(id), status: known };
}

const webhookEndpoint = z.object({
  id: z.string(),
  url: z.string(),
  secret: z.string(),
  events: z.array(z.string()),
  status: z.string(),
});

const keyList = z.object({
  data: z.array(z.object({ id: z.string(), name: z.string().catch(''), environment: z.string().catch('') })),
});

const newKey = z.object({
  id: z.string(),
  name: z.string(),
  publishable_key: z.string(),
  secret_key: z.string(),
  environment: z.string(),
});

const event = z.object({
  id: anything,
  type: anything,
  livemode: anything,
  data: z.object({ object: z.object({ id: anything, metadata: anything }) }),
});

/** The object of `payout.…` is no charge, and leads to none. */
function readWebhook({ body }: ReceivedWebhook): Hint {
  const read = event.safeParse(jsonOf(body));
  if (!read.success)
    return { dedupeKey: digestOf(body), type: '', chargeId: null, reference: null, mode: null };
  const { id, type, livemode, data } = read.data;
  const chargeId = idOf(data.object.id);
  return {
    dedupeKey: idOf(id) ?? digestOf(body),
    type: typeof type === 'string' ? type.slice(0, 60) : '',
    chargeId: chargeId?.startsWith('ch_') === true ? chargeId : null,
    reference: referenceOf(data.object.metadata),
    mode: modeOf(livemode),
  };
}
