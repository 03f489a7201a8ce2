import { z } from 'zod';
import type { ChargeStatus, Mode } from '../core/charge.ts';
import { exactNumber } from '../core/exact-json.ts';
import { type FiatCode, formatFiatAmount } from '../core/fiat.ts';
import { anything, currencyOf, idOf, isoMs, jsonOf, majorUnits, oneLine, readAnswer } from './answer.ts';
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
  type Told,
  type Verification,
} from './provider.ts';
import { digestOf, isHmac } from './signature.ts';

/*
 * "4Poch Gateway API v1". What it leaves open:
 * - The signature of a webhook stands in the body that it signs, and nothing says what of it was signed. See `readings`.
 * - A creation has no idempotency key and no reference of ours. One whose answer was lost is made anew: nobody has the
 *   link of the first, so that it can only expire.
 * - There is no status for what has expired, and only completion is announced: all else is found by asking.
 * - A refund is of the whole, has no id and may not be repeated: what became of it is read from the payment.
 * - `page` is not documented for the list; a page that repeats the one before ends it.
 */

const currenciesOf = {
  '4poch_htg': ['HTG'],
  '4poch_usd': ['USD'],
  moncash: ['HTG'],
  // The page names none for it; what USDT is worth is said in dollars.
  usdt: ['USD'],
} as unknown as Readonly<Record<string, FiatCode[]>>;

const settings = {
  apiKey: z
    .string()
    .regex(/^(test_)?gw_[\x21-\x7e]+$/, 'an API key, gw_… or test_gw_…')
    .describe('The API key, gw_… or test_gw_….'),
  secretKey: z
    .string()
    .regex(/^(test_)?sk_[\x21-\x7e]+$/, 'a secret key, sk_… or test_sk_…')
    .describe('The secret key of the same pair. It also signs webhooks.'),
  method: z
    .enum(['4poch_htg', '4poch_usd', 'moncash', 'usdt'], {
      error: 'one of "4poch_htg", "4poch_usd", "moncash", "usdt"',
    })
    .describe('How payers pay: "4poch_htg" and "moncash" in HTG, "4poch_usd" and "usdt" in USD.'),
};

export const fourpoch = defineAdapter({
  type: '4poch',
  displayName: '4Poch',
  settings,
  secrets: ['apiKey', 'secretKey'],
  fault: ({ apiKey, secretKey }) =>
    modeOf(apiKey) === modeOf(secretKey)
      ? null
      : `"apiKey" is a ${modeOf(apiKey)} key and "secretKey" a ${modeOf(secretKey)} one; expected both of one pair`,
  open({ apiKey, secretKey, method: paymentMethod }): Provider {
    const currencies = currenciesOf[paymentMethod] ?? [];

    function request(method: Method, path: string, body?: object): ProviderRequest {
      const type = body === undefined ? {} : { 'content-type': 'application/json' };
      return {
        method,
        path,
        headers: { 'x-api-key': apiKey, 'x-secret-key': secretKey, accept: 'application/json', ...type },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      };
    }

    return {
      descriptor: {
        type: '4poch',
        displayName: '4Poch',
        baseUrl: 'https://4poch.com/api/gateway/v1',
        checkoutHosts: ['4poch.com'],
        currencies,
        // Not documented; 429 is.
        requestsPerSecond: { live: 5, test: 5 },
        capabilities: {
          createKeptMs: null,
          refundKeptMs: null,
          createTellsId: true,
          echoesReference: false,
          statesMode: false,
          statesExpiry: false,
          capture: false,
          refund: 'full',
          webhook: 'in-body',
          charges: true,
        },
      },
      mode: modeOf(apiKey),
      captureMode: 'automatic',

      refuses: ({ amount, currency }) => {
        if (!currencies.includes(currency)) return `${paymentMethod} is paid in ${currencies.join(', ')}`;
        return amount < 1n ? 'the least amount is 0.01' : null;
      },

      create: (intent) => ({
        request: request('POST', '/payments', {
          amount: exactNumber(formatFiatAmount({ minorUnits: intent.amount, currency: intent.currency })),
          currency: intent.currency,
          payment_method: paymentMethod,
          ...given({
            redirect_url: intent.returnUrl,
            cancel_url: intent.cancelUrl,
            customer_email: intent.customerEmail,
            description: intent.description.slice(0, 500),
          }),
        }),
        read: (answer) => readAnswer(answer, { schema: created, refusal, sayNoWith200: true }, createdOf),
      }),

      fetch: (id) => ({
        request: request('GET', `/payments/${id}`),
        read: (answer) =>
          readAnswer(answer, { schema: payment, refusal, sayNoWith200: true }, ({ data }) => chargeOf(data)),
      }),

      list: (since, cursor) => {
        const query = new URLSearchParams({
          from: new Date(since).toISOString().slice(0, 10),
          per_page: '100',
        });
        if (cursor !== null) query.set('page', cursor);
        return {
          request: request('GET', `/transactions?${query}`),
          read: (answer) => readAnswer(answer, { schema: transactions, refusal, sayNoWith200: true }, pageOf),
        };
      },

      // Whether `amount` is the whole is asked before: there is no other.
      refund: ({ charge }) => ({
        request: request('POST', `/payments/${charge.id}/refund`),
        read: (answer) =>
          readAnswer(
            answer,
            { schema: success, refusal, sayNoWith200: true },
            (): Refund => ({ id: null, status: 'succeeded' }),
          ),
      }),

      balance: () => ({
        request: request('GET', '/balance'),
        read: (answer) => readAnswer(answer, { schema: balance, refusal, sayNoWith200: true }, balanceOf),
      }),

      methods: () => ({
        request: request('GET', '/methods'),
        read: (answer) =>
          readAnswer(answer, { schema: methods, refusal, sayNoWith200: true }, ({ data }) => data),
      }),

      testWebhook: () => ({
        request: request('POST', '/webhook/test'),
        read: (answer) =>
          readAnswer(answer, { schema: webhookTest, refusal, sayNoWith200: true }, webhookTestOf),
      }),

      verifyWebhook: (webhook) => verify(webhook, secretKey),
      readWebhook,
    };
  },
});

function modeOf(key: string): Mode {
  return key.startsWith('test_') ? 'test' : 'live';
}

function given(fields: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''));
}

/** `success: false` may come with HTTP 200: `success` below is true or the answer is no. */
const refusalShape = z.object({ success: z.literal(false), message: z.string().catch('') });

function refusal(body: unknown): string | null {
  const read = refusalShape.safeParse(body);
  return read.success ? read.data.message : null;
}

const success = z.object({ success: z.literal(true) });

const created = success.extend({
  data: z.object({
    payment_id: anything,
    checkout_url: z.string(),
    amount: anything,
    currency: anything,
    expires_at: anything,
  }),
});

function createdOf({ data }: z.output<typeof created>): Created | null {
  const id = idOf(data.payment_id);
  const currency = currencyOf(data.currency);
  if (id === null) return null;
  return {
    id,
    checkoutUrl: data.checkout_url,
    expiresAt: isoMs(data.expires_at),
    amount: majorUnits(data.amount, currency),
    currency,
    mode: null,
  };
}

const transaction = z.object({
  payment_id: anything,
  amount: anything,
  currency: anything,
  net_amount: anything,
  fee: anything,
  status: anything,
  created_at: anything,
});

const payment = success.extend({ data: transaction });

const statuses: Readonly<Record<string, ChargeStatus>> = {
  pending: 'pending',
  processing: 'processing',
  completed: 'captured',
  failed: 'failed',
  refunded: 'refunded',
};

function chargeOf(data: z.output<typeof transaction>): Charge | null {
  const id = idOf(data.payment_id);
  if (id === null) return null;
  const statusText = typeof data.status === 'string' ? data.status.slice(0, 40) : '';
  const status = Object.hasOwn(statuses, statusText) ? (statuses[statusText] as ChargeStatus) : 'unknown';
  const currency = currencyOf(data.currency);
  const amount = majorUnits(data.amount, currency);
  return {
    id,
    reference: null,
    status,
    statusText,
    amount,
    currency,
    fee: majorUnits(data.fee, currency),
    net: majorUnits(data.net_amount, currency),
    refunded: status === 'refunded' ? amount : 0n,
    mode: null,
    createdAt: isoMs(data.created_at),
  };
}

const transactions = success.extend({
  data: z.array(transaction),
  meta: z.object({ current_page: z.string(), last_page: z.string() }),
});

function pageOf({ data, meta }: z.output<typeof transactions>): Page {
  const charges = data.map(chargeOf).filter((one) => one !== null);
  const page = Number(meta.current_page);
  const more = charges.length > 0 && page < Number(meta.last_page);
  return { charges, next: more ? String(page + 1) : null };
}

const balance = success.extend({
  data: z.object({ balance: z.string(), total_received: z.string(), currency: z.string() }),
});

/** Of one currency, though there are two: for looking at. */
function balanceOf({ data }: z.output<typeof balance>): Balance | null {
  const currency = currencyOf(data.currency);
  if (currency === null) return null;
  return { currency, amounts: { balance: data.balance, total_received: data.total_received } };
}

const methods = success.extend({
  data: z.array(z.object({ code: z.string(), name: z.string(), currency: z.string() })),
});

const webhookTest = success.extend({
  message: z.string().catch(''),
  http_status: z.string().catch(''),
  response_body: z.string().catch(''),
});

function webhookTestOf(told: z.output<typeof webhookTest>): Told {
  return {
    message: oneLine(told.message),
    http_status: told.http_status,
    response_body: oneLine(told.response_body),
  };
}

type Reading = {
  name: string;
  text(webhook: { text: string; rest: Record<string, unknown> }): string | null;
};

/**
 * What the signature may have been made of, in the order in which it is tried. Each needs the secret, so that trying
 * several gives nobody a way in:
 * - `raw`: the very bytes, without the member `signature`;
 * - `javascript`: the rest as JSON.stringify writes it, as the page's sample for Node would;
 * - `php`: the rest as json_encode writes it, as the page's sample for PHP would: slashes and non-ASCII escaped.
 */
const readings: readonly Reading[] = [
  { name: 'raw', text: ({ text }) => withoutSignature(text) },
  { name: 'javascript', text: ({ rest }) => JSON.stringify(rest) },
  { name: 'php', text: ({ rest }) => phpJson(rest) },
];

function verify({ body }: ReceivedWebhook, secretKey: string): Verification {
  const text = Buffer.from(body).toString('utf8');
  const payload = plainJson(text);
  if (payload === null) return { verdict: 'invalid', reason: 'not JSON' };
  const { signature, ...rest } = payload;
  if (typeof signature !== 'string' || signature === '')
    return { verdict: 'invalid', reason: 'no signature' };
  if (!/^[0-9a-f]{64}$/i.test(signature)) return { verdict: 'invalid', reason: 'a malformed signature' };
  for (const reading of readings) {
    const signed = reading.text({ text, rest });
    if (signed !== null && isHmac(signature, secretKey, signed))
      return { verdict: 'verified', reading: reading.name };
  }
  // Forged, or signed in a way that nobody told us of: from here they look alike.
  return { verdict: 'unverified', reason: 'the signature fits no known reading' };
}

/** As JavaScript reads it, floats included: only to be written again, as the sender may have. */
function plainJson(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

const signatureMember = /(?<!\\)"signature"\s*:\s*"[^"\\]*"/g;

/** Null where the member stands twice, say in an object within: then nobody knows which was meant. */
function withoutSignature(text: string): string | null {
  const [found, ...more] = text.matchAll(signatureMember);
  if (found === undefined || more.length > 0) return null;
  const before = text.slice(0, found.index).replace(/,\s*$/, '');
  const after = text.slice(found.index + found[0].length);
  // The first of several members takes the comma after it along.
  return /\{\s*$/.test(before) ? before + after.replace(/^\s*,\s*/, '') : before + after;
}

function phpJson(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('/', '\\/')
    .replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const webhook = z.object({ event: anything, payment_id: anything, status: anything });

/** Without an id of its own, an event is known by what it says of which payment. */
function readWebhook({ body }: ReceivedWebhook): Hint {
  const read = webhook.safeParse(jsonOf(body));
  const chargeId = read.success ? idOf(read.data.payment_id) : null;
  if (!read.success || chargeId === null) {
    return { dedupeKey: digestOf(body), type: '', chargeId: null, reference: null, mode: null };
  }
  const { event, status } = read.data;
  const type = typeof event === 'string' ? event.slice(0, 60) : '';
  return {
    dedupeKey: `${chargeId} ${type} ${typeof status === 'string' ? status.slice(0, 40) : ''}`,
    type,
    chargeId,
    reference: null,
    mode: null,
  };
}
