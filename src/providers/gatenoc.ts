import { z } from 'zod';
import type { ChargeStatus } from '../core/charge.ts';
import { exactNumber } from '../core/exact-json.ts';
import { type FiatCode, formatFiatAmount } from '../core/fiat.ts';
import { anything, currencyOf, idOf, isoMs, jsonOf, majorUnits, readAnswer } from './answer.ts';
import {
  type Balance,
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
} from './provider.ts';
import { digestOf, headerOf, readTimedSignature, verifyTimed } from './signature.ts';

/*
 * GateNOC "Gateway API": USDT by a hosted checkout, priced in US dollars. What it leaves open:
 * - A creation answers no id: the charge is found by `note`, which holds our reference, in a webhook or the list.
 * - Its webhooks send our own API key back in a header: nothing looks at it, and it is dropped before anything is kept.
 * - Of the statuses only `completed` is documented: it alone confirms.
 * - `amount` and `total_amount` are not told apart: both must be ours.
 * - Refunds have no idempotency key; what became of one is read from the account's `refunded_total`.
 */

const settings = {
  merchantId: z
    .string()
    .regex(/^[0-9]{1,18}$/, 'the numeric id of the merchant, in quotes')
    .describe('The id of the merchant, in quotes.'),
  apiKey: z
    .string()
    .regex(/^[\x21-\x7e]{8,}$/, 'the payment API key')
    .describe('The payment API key.'),
  webhookSecret: z
    .string()
    .regex(/^[\x21-\x7e]{8,}$/, 'the webhook secret of the Integration page')
    .describe('The webhook secret of the Integration page; not the API key.'),
};

const usd = 'USD' as FiatCode;

/** Keys are kept for 24 h; with an hour less nobody's clock matters. */
const keptMs = 23 * 60 * 60 * 1000;

export const gatenoc = defineAdapter({
  type: 'gatenoc',
  displayName: 'GateNOC',
  settings,
  secrets: ['apiKey', 'webhookSecret'],
  fault: ({ apiKey, webhookSecret }) =>
    apiKey === webhookSecret ? '"webhookSecret" is the API key; expected the webhook secret' : null,
  open({ merchantId, apiKey, webhookSecret }): Provider {
    function request(method: Method, path: string, body?: object, idempotencyKey?: string): ProviderRequest {
      return {
        method,
        path,
        headers: {
          merchant: merchantId,
          authorization: `Bearer ${apiKey}`,
          accept: 'application/json',
          ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      };
    }

    const chargeOf = (body: z.output<typeof payment>) => chargeOfMerchant(body, merchantId);

    return {
      descriptor: {
        type: 'gatenoc',
        displayName: 'GateNOC',
        baseUrl: 'https://gatenoc.com/api/v1/merchant',
        checkoutHosts: ['gatenoc.com'],
        currencies: [usd],
        // About 120 a minute.
        requestsPerSecond: { live: 2, test: 2 },
        capabilities: {
          createKeptMs: keptMs,
          refundKeptMs: null,
          createTellsId: false,
          echoesReference: true,
          statesMode: false,
          statesExpiry: false,
          capture: false,
          refund: 'partial',
          webhook: 'timed',
          charges: true,
        },
      },
      // No sandbox is described.
      mode: 'live',
      captureMode: 'automatic',

      refuses: ({ amount, currency }) => {
        if (currency !== usd) return 'GateNOC is paid in USD';
        return amount < 1n ? 'the least amount is 0.01' : null;
      },

      create: (intent) => ({
        request: request(
          'POST',
          '/checkout-session',
          {
            amount: exactNumber(formatFiatAmount({ minorUnits: intent.amount, currency: usd })),
            note: intent.reference,
            notify_url: intent.notifyUrl,
            ...(intent.returnUrl === '' ? {} : { success_url: intent.returnUrl }),
          },
          intent.idempotencyKey,
        ),
        read: (answer) => readAnswer(answer, { schema: session, refusal }, createdOf),
      }),

      fetch: (id) => ({
        request: request('GET', `/payments/${id}`),
        read: (answer) =>
          readAnswer(answer, { schema: onePayment, refusal }, (body) =>
            chargeOf('data' in body ? body.data : body),
          ),
      }),

      list: (since, cursor) => {
        const query = new URLSearchParams({
          merchant: merchantId,
          from: new Date(since).toISOString().slice(0, 10),
          per_page: '100',
          ...(cursor === null ? {} : { page: cursor }),
        });
        return {
          request: request('GET', `/payments?${query}`),
          read: (answer) =>
            readAnswer(answer, { schema: payments, refusal }, (body): Page => {
              const charges = body.data.map(chargeOf).filter((one) => one !== null);
              // There is no last page: a page that is not full is it.
              const more = body.data.length === 100;
              return { charges, next: more ? String(Number(body.current_page) + 1) : null };
            }),
        };
      },

      refund: ({ charge: { id }, amount, reason }) => ({
        request: request('POST', `/payments/${id}/refund`, {
          amount: exactNumber(formatFiatAmount({ minorUnits: amount, currency: usd })),
          reason,
        }),
        read: (answer) => readAnswer(answer, { schema: refund, refusal }, refundOf),
      }),

      balance: () => ({
        request: request('GET', `/balance?merchant=${merchantId}`),
        read: (answer) =>
          readAnswer(
            answer,
            { schema: balance, refusal },
            (amounts): Balance => ({ currency: usd, amounts }),
          ),
      }),

      verifyWebhook: (webhook, now) => {
        const header = headerOf(webhook, 'x-gateway-signature');
        const timestamp = headerOf(webhook, 'x-gateway-timestamp');
        const signed = header === null ? null : readTimedSignature(header);
        if (signed !== null && signed.timestamp !== timestamp) {
          return { verdict: 'invalid', reason: 'two times that differ' };
        }
        return verifyTimed(header, webhook.body, webhookSecret, now);
      },
      readWebhook,
    };
  },
});

const refusalShape = z.object({ message: z.string().optional(), error: z.string().optional() });

function refusal(body: unknown): string | null {
  const read = refusalShape.safeParse(body);
  return read.success ? (read.data.message ?? read.data.error ?? null) : null;
}

const session = z.object({ checkout_url: z.string(), expires_at: anything });

function createdOf({ checkout_url, expires_at }: z.output<typeof session>): Created {
  return {
    id: null,
    checkoutUrl: checkout_url,
    expiresAt: isoMs(expires_at),
    amount: null,
    currency: null,
    mode: null,
  };
}

/** The page shows no payment but that of the webhook: its names, and `id`, which stands in the paths. */
const payment = z.object({
  id: anything,
  payment_record_id: anything,
  merchant_id: anything,
  status: anything,
  amount: anything,
  total_amount: anything,
  currency: anything,
  note: anything,
  created_at: anything,
});

const onePayment = z.union([z.object({ data: payment }), payment]);

const statuses: Readonly<Record<string, ChargeStatus>> = { completed: 'captured', pending: 'pending' };

/** Null for a payment of another merchant: it must not be taken for one of ours, whatever it says. */
function chargeOfMerchant(body: z.output<typeof payment>, merchantId: string): Charge | null {
  const id = idOf(body.payment_record_id ?? body.id);
  if (id === null || (body.merchant_id !== undefined && body.merchant_id !== merchantId)) return null;
  const statusText = typeof body.status === 'string' ? body.status.slice(0, 40) : '';
  const currency = currencyOf(body.currency);
  const amount = majorUnits(body.amount, currency);
  const total = body.total_amount === undefined ? amount : majorUnits(body.total_amount, currency);
  return {
    id,
    reference: typeof body.note === 'string' ? body.note : null,
    status: Object.hasOwn(statuses, statusText) ? (statuses[statusText] as ChargeStatus) : 'unknown',
    statusText,
    amount: amount === total ? amount : null,
    currency,
    fee: null,
    net: null,
    refunded: null,
    mode: null,
    createdAt: isoMs(body.created_at),
  };
}

const payments = z.object({ data: z.array(payment), current_page: z.string() });

const refund = z.object({ refund_id: anything, status: anything });

/** The statuses of a refund are not documented: an answer of 201 says that it was taken. */
function refundOf({ refund_id, status }: z.output<typeof refund>): Refund {
  if (status === 'failed') return { id: idOf(refund_id), status };
  return {
    id: idOf(refund_id),
    status: status === 'completed' || status === 'succeeded' ? 'succeeded' : 'pending',
  };
}

const balance = z.object({
  received_total: z.string(),
  refunded_total: z.string(),
  available_ledger: z.string(),
});

const webhook = z.object({
  event: anything,
  payment_record_id: anything,
  note: anything,
  status: anything,
});

function readWebhook({ body }: ReceivedWebhook): Hint {
  const read = webhook.safeParse(jsonOf(body));
  const chargeId = read.success ? idOf(read.data.payment_record_id) : null;
  const reference = read.success && typeof read.data.note === 'string' ? read.data.note : null;
  if (!read.success || chargeId === null) {
    return { dedupeKey: digestOf(body), type: '', chargeId: null, reference, mode: null };
  }
  const { event, status } = read.data;
  const type = typeof event === 'string' ? event.slice(0, 60) : '';
  const dedupeKey = `${chargeId} ${type} ${typeof status === 'string' ? status.slice(0, 40) : ''}`;
  return { dedupeKey, type, chargeId, reference, mode: null };
}
