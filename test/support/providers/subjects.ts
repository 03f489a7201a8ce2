import { createHmac, randomBytes } from 'node:crypto';
import type { ProviderConfig } from '../../../src/config.ts';
import type { ChargeStatus } from '../../../src/core/charge.ts';
import type { Network } from '../../../src/core/networks.ts';
import { testSecrets, testSettings } from './accounts.ts';
import { cents, iso, type LedgerCharge, type Reply, type StandIn, startStandIn } from './stand-in.ts';

/** A webhook as a provider sends it. */
export type SentWebhook = { headers: Record<string, string>; body: string };

/** A provider that the conformance suite can be run over: its stand-in, and its words for what happens. */
export type Subject = {
  type: string;
  currency: string;
  settings: Readonly<Record<string, unknown>>;
  secrets: readonly string[];
  /** The provider's words for each status that its page documents. */
  words: Partial<Record<ChargeStatus, string>>;
  start(startAt: number): Promise<StandIn>;
  /** Signs an event about a charge; `body` replaces what it says, `at` its time. */
  webhook(
    charge: LedgerCharge,
    options?: { secret?: string; at?: number; body?: string; event?: string },
  ): SentWebhook;
};

export function providerConfig(
  subject: Pick<Subject, 'type' | 'settings' | 'secrets'>,
  url: string,
  changes: Partial<ProviderConfig> = {},
): ProviderConfig {
  return {
    name: subject.type.replace(/^4/, 'four') as Network,
    type: subject.type,
    label: 'Card and wallet',
    enabled: true,
    merchants: null,
    baseUrl: url,
    timeoutSeconds: 2,
    settings: subject.settings,
    secrets: subject.secrets,
    ...changes,
  };
}

const notFound: Reply = {
  status: 404,
  body: '{"success":false,"message":"Not found","error":{"type":"resource_not_found"}}',
};

function newCharge(
  standIn: StandIn,
  charge: Pick<LedgerCharge, 'id' | 'reference' | 'amount' | 'currency'> & Partial<LedgerCharge>,
): LedgerCharge {
  const made: LedgerCharge = {
    status: 'pending',
    createdAt: standIn.now(),
    refunds: [],
    captured: null,
    notifyUrl: '',
    ...charge,
  };
  standIn.charges.set(made.id, made);
  return made;
}

function refundedOf({ refunds }: LedgerCharge): number {
  return refunds.reduce((total, { amount }) => total + amount, 0);
}

const hmac = (secret: string, text: string) => createHmac('sha256', secret).update(text).digest('hex');

export const forhoppSubject: Subject = {
  type: 'forhopp',
  currency: 'USD',
  settings: testSettings.forhopp,
  secrets: [testSecrets.forhopp, testSecrets.forhoppWebhook, testSecrets.forhoppJwt],
  words: Object.fromEntries(
    (
      [
        'pending',
        'authorized',
        'captured',
        'failed',
        'voided',
        'refunded',
        'partially_refunded',
        'expired',
        'disputed',
      ] as const
    ).map((word) => [word, word]),
  ),
  start: (startAt) => {
    const keys = new Map<string, { body: string; reply: Reply }>();
    const shown = (charge: LedgerCharge) => ({
      id: charge.id,
      object: 'charge',
      amount: charge.amount,
      currency: charge.currency.toLowerCase(),
      status: charge.status,
      payment_method: 'card',
      metadata: { depositd_reference: charge.reference },
      ...(charge.status === 'pending' ? {} : { fee: 175, net: charge.amount - 175 }),
      refunds: charge.refunds.map(({ id, amount }) => ({ id, amount, status: 'succeeded' })),
      created: Math.floor(charge.createdAt / 1000),
      livemode: false,
    });
    const error = (status: number, code: string): Reply => ({
      status,
      body: JSON.stringify({ error: { type: 'invalid_request_error', code, message: 'It cannot be done.' } }),
    });
    return startStandIn({
      startAt,
      reply(asked, standIn) {
        const url = new URL(asked.path, 'http://x');
        const isKeys = url.pathname.startsWith('/keys');
        const token = isKeys ? testSecrets.forhoppJwt : testSecrets.forhopp;
        if (asked.headers.authorization !== `Bearer ${token}`) return error(401, 'api_key_revoked');
        const key = asked.headers['idempotency-key'];
        const known = typeof key === 'string' ? keys.get(`${url.pathname} ${key}`) : undefined;
        if (known !== undefined)
          return known.body === asked.body ? known.reply : error(409, 'idempotency_error');
        const reply = route();
        if (typeof key === 'string' && reply.status < 300)
          keys.set(`${url.pathname} ${key}`, { body: asked.body, reply });
        return reply;

        function route(): Reply {
          const [, what, id = '', action] = url.pathname.split('/');
          const body = asked.body === '' ? {} : JSON.parse(asked.body);
          if (what === 'webhooks')
            return {
              status: 201,
              body: JSON.stringify({
                id: 'we_1',
                object: 'webhook_endpoint',
                url: body.url,
                secret: 'whsec_1234567890abcdef1234567890abcdef',
                events: body.events,
                status: 'enabled',
                created: 1,
              }),
            };
          if (isKeys && asked.method === 'GET')
            return {
              status: 200,
              body: JSON.stringify({
                object: 'list',
                data: [{ id: 'key_1', name: 'Production Key', environment: 'live' }],
              }),
            };
          if (isKeys && asked.method === 'DELETE') return { status: 200, body: '{}' };
          if (isKeys)
            return {
              status: 201,
              body: JSON.stringify({
                id: 'key_2',
                name: body.name,
                publishable_key: 'pk_test_x',
                secret_key: 'sk_test_x',
                environment: body.environment,
              }),
            };
          if (asked.method === 'POST' && id === '') {
            const made = newCharge(standIn, {
              id: `ch_${randomBytes(16).toString('hex')}`,
              reference: body.metadata.depositd_reference,
              amount: body.amount,
              currency: body.currency.toUpperCase(),
            });
            return {
              status: 201,
              body: JSON.stringify({
                ...shown(made),
                checkout_url: `https://pay.forhopp.com/checkout/${made.id}`,
                return_url: body.return_url,
                expires_at: Math.floor(standIn.now() / 1000) + 86_400,
              }),
            };
          }
          if (asked.method === 'GET' && id === '') {
            const all = [...standIn.charges.values()].reverse();
            const after = url.searchParams.get('starting_after');
            const from = after === null ? 0 : all.findIndex((one) => one.id === after) + 1;
            const limit = Number(url.searchParams.get('limit') ?? 10);
            const page = all.slice(from, from + limit);
            return {
              status: 200,
              body: JSON.stringify({
                object: 'list',
                data: page.map(shown),
                has_more: from + limit < all.length,
                url: '/api/v1/connect/charges',
                total_count: all.length,
              }),
            };
          }
          const charge = standIn.charges.get(id);
          if (charge === undefined) return error(404, 'resource_not_found');
          if (action === 'capture') {
            if (charge.status !== 'authorized') return error(400, 'charge_already_captured');
            charge.status = 'captured';
            charge.captured = body.amount ?? charge.amount;
            return {
              status: 200,
              body: JSON.stringify({
                id,
                status: 'captured',
                amount: charge.amount,
                fee: 175,
                net: charge.amount - 175,
                captured_at: 1,
              }),
            };
          }
          if (action === 'refunds') {
            if (refundedOf(charge) + body.amount > charge.amount) return error(400, 'refund_exceeds_charge');
            const made = {
              id: `re_${randomBytes(8).toString('hex')}`,
              amount: body.amount,
              key: String(key),
            };
            charge.refunds.push(made);
            charge.status = refundedOf(charge) === charge.amount ? 'refunded' : 'partially_refunded';
            return {
              status: 201,
              body: JSON.stringify({
                id: made.id,
                object: 'refund',
                charge: id,
                amount: body.amount,
                currency: 'usd',
                status: 'succeeded',
                reason: body.reason,
                created: 1,
              }),
            };
          }
          return { status: 200, body: JSON.stringify(shown(charge)) };
        }
      },
    });
  },
  webhook(
    charge,
    { secret = testSecrets.forhoppWebhook, at = charge.createdAt, body, event = 'charge.completed' } = {},
  ) {
    const text =
      body ??
      JSON.stringify({
        id: `evt_${createHmac('sha256', 'x')
          .update(charge.id + event + charge.status)
          .digest('hex')
          .slice(0, 24)}`,
        object: 'event',
        type: event,
        created: Math.floor(at / 1000),
        livemode: false,
        data: {
          object: {
            id: charge.id,
            object: 'charge',
            amount: charge.amount,
            currency: charge.currency.toLowerCase(),
            status: charge.status,
            metadata: { depositd_reference: charge.reference },
          },
        },
      });
    const t = Math.floor(at / 1000);
    return { headers: { 'forhopppay-signature': `t=${t},v1=${hmac(secret, `${t}.${text}`)}` }, body: text };
  },
};

export const fourpochSubject: Subject = {
  type: '4poch',
  currency: 'HTG',
  settings: testSettings['4poch'],
  secrets: [testSecrets.fourpochKey, testSecrets.fourpochSecret],
  words: {
    pending: 'pending',
    processing: 'processing',
    captured: 'completed',
    failed: 'failed',
    refunded: 'refunded',
  },
  start: (startAt) => {
    const shown = (charge: LedgerCharge) =>
      `{"payment_id":"${charge.id}","amount":${cents(charge.amount)},"currency":"${charge.currency}","fee":${cents(charge.amount - Math.floor(charge.amount * 0.9))},"net_amount":${cents(Math.floor(charge.amount * 0.9))},"payment_method":"moncash","status":"${fourpochSubject.words[charge.status] ?? charge.status}","created_at":"${iso(charge.createdAt)}"}`;
    const ok = (data: string): Reply => ({
      status: 200,
      body: `{"success":true,"message":"Done.","data":${data}}`,
    });
    const no = (status: number, message: string): Reply => ({
      status,
      body: JSON.stringify({ success: false, message }),
    });
    return startStandIn({
      startAt,
      reply(asked, standIn) {
        const { headers } = asked;
        if (
          headers['x-api-key'] !== testSecrets.fourpochKey ||
          headers['x-secret-key'] !== testSecrets.fourpochSecret
        )
          return no(401, 'Unauthorized');
        const url = new URL(asked.path, 'http://x');
        const [, what, id = '', action] = url.pathname.split('/');
        if (what === 'balance') return ok('{"balance":1542.75,"total_received":1542.75,"currency":"HTG"}');
        if (what === 'methods')
          return ok(
            '[{"code":"4poch_htg","name":"4Poch HTG","currency":"HTG"},{"code":"moncash","name":"MonCash","currency":"HTG"}]',
          );
        if (what === 'webhook')
          return {
            status: 200,
            body: '{"success":true,"message":"Webhook delivered successfully.","http_status":200,"response_body":"..."}',
          };
        if (what === 'transactions') {
          const page = Number(url.searchParams.get('page') ?? 1);
          const size = Number(url.searchParams.get('per_page') ?? 20);
          const all = [...standIn.charges.values()].reverse();
          const rows = all.slice((page - 1) * size, page * size).map(shown);
          const last = Math.max(1, Math.ceil(all.length / size));
          return {
            status: 200,
            body: `{"success":true,"data":[${rows.join()}],"meta":{"current_page":${page},"per_page":${size},"total":${all.length},"last_page":${last}}}`,
          };
        }
        if (asked.method === 'POST' && id === '') {
          const amount = /"amount":([0-9]+)\.([0-9]{2})[,}]/.exec(asked.body);
          if (amount === null) return no(400, 'The amount is malformed.');
          const body = JSON.parse(asked.body);
          const made = newCharge(standIn, {
            id: `4poch_${randomBytes(8).toString('hex')}`,
            reference: '',
            amount: Number(`${amount[1]}${amount[2]}`),
            currency: body.currency,
          });
          return ok(
            shown(made).replace(
              '{',
              `{"checkout_url":"https://4poch.com/gateway/pay/${made.id}","expires_at":"${iso(standIn.now() + 7_200_000)}",`,
            ),
          );
        }
        const charge = standIn.charges.get(id);
        if (charge === undefined) return no(404, 'Not found');
        if (action === 'refund') {
          if (charge.status !== 'captured') return no(400, 'Only completed payments can be refunded.');
          charge.status = 'refunded';
          charge.refunds.push({ id: '', amount: charge.amount, key: '' });
          return { status: 200, body: '{"success":true,"message":"Payment refunded successfully."}' };
        }
        return ok(shown(charge));
      },
    });
  },
  webhook(
    charge,
    { secret = testSecrets.fourpochSecret, at = charge.createdAt, body, event = 'payment.completed' } = {},
  ) {
    const text =
      body ??
      `{"event":"${event}","payment_id":"${charge.id}","amount":${cents(charge.amount)},"currency":"${charge.currency}","status":"${fourpochSubject.words[charge.status]}","timestamp":"${iso(at)}"}`;
    return { headers: {}, body: text.replace(/\}$/, `,"signature":"${hmac(secret, text)}"}`) };
  },
};

export const gatenocSubject: Subject = {
  type: 'gatenoc',
  currency: 'USD',
  settings: testSettings.gatenoc,
  secrets: [testSecrets.gatenoc, testSecrets.gatenocWebhook],
  words: { captured: 'completed', pending: 'pending' },
  start: (startAt) => {
    const keys = new Map<string, Reply>();
    const shown = (charge: LedgerCharge) => ({
      payment_record_id: Number(charge.id),
      merchant_id: 17,
      status: gatenocSubject.words[charge.status] ?? charge.status,
      amount: cents(charge.amount),
      total_amount: cents(charge.amount),
      currency: 'USD',
      note: charge.reference,
      created_at: iso(charge.createdAt),
    });
    return startStandIn({
      startAt,
      reply(asked, standIn) {
        if (
          asked.headers.merchant !== '17' ||
          asked.headers.authorization !== `Bearer ${testSecrets.gatenoc}`
        )
          return { status: 401, body: '{"message":"Unauthorized"}' };
        const url = new URL(asked.path, 'http://x');
        const [, what, id = '', action] = url.pathname.split('/');
        const all = [...standIn.charges.values()];
        if (what === 'balance') {
          const refunded = all.reduce((total, one) => total + refundedOf(one), 0);
          const received = all
            .filter(({ status }) => status === 'captured')
            .reduce((total, { amount }) => total + amount, 0);
          return {
            status: 200,
            body: JSON.stringify({
              received_total: cents(received),
              refunded_total: cents(refunded),
              available_ledger: cents(received - refunded),
            }),
          };
        }
        if (what === 'checkout-session') {
          const key = String(asked.headers['idempotency-key']);
          const known = keys.get(key);
          if (known !== undefined) return known;
          const amount = /"amount":([0-9]+)\.([0-9]{2})[,}]/.exec(asked.body);
          if (amount === null) return { status: 422, body: '{"message":"The amount is malformed."}' };
          const body = JSON.parse(asked.body);
          // The record is there once somebody pays: until then the list does not show it (see `pay` of the suite).
          const made = newCharge(standIn, {
            id: String(standIn.charges.size + 41),
            reference: body.note,
            amount: Number(`${amount[1]}${amount[2]}`),
            currency: 'USD',
            notifyUrl: body.notify_url,
          });
          const link = `https://gatenoc.com/pay?cs=${made.id}x`;
          const reply = {
            status: 200,
            body: JSON.stringify({
              checkout_url: link,
              invoice_url: link,
              expires_at: iso(standIn.now() + 1_800_000),
            }),
          };
          keys.set(key, reply);
          return reply;
        }
        const visible = all.filter(({ status }) => status !== 'pending');
        if (id === '') {
          const page = Number(url.searchParams.get('page') ?? 1);
          const size = Number(url.searchParams.get('per_page') ?? 20);
          return {
            status: 200,
            body: JSON.stringify({
              data: visible
                .toReversed()
                .slice((page - 1) * size, page * size)
                .map(shown),
              current_page: page,
              total: visible.length,
            }),
          };
        }
        const charge = visible.find((one) => one.id === id);
        if (charge === undefined) return notFound;
        if (action === 'refund') {
          const amount = Math.round(JSON.parse(asked.body).amount * 100);
          if (refundedOf(charge) + amount > charge.amount)
            return { status: 422, body: '{"message":"The refund is too large."}' };
          charge.refunds.push({ id: `rf_${charge.refunds.length + 1}`, amount, key: '' });
          return {
            status: 201,
            body: JSON.stringify({ refund_id: charge.refunds.at(-1)?.id, status: 'completed' }),
          };
        }
        return { status: 200, body: JSON.stringify(shown(charge)) };
      },
    });
  },
  webhook(
    charge,
    { secret = testSecrets.gatenocWebhook, at = charge.createdAt, body, event = 'payment.completed' } = {},
  ) {
    const text =
      body ??
      JSON.stringify({
        event,
        status: 'completed',
        merchant_id: 17,
        amount: cents(charge.amount),
        total_amount: cents(charge.amount),
        currency: 'USD',
        bybit_pay_id: 'b',
        merchant_trade_no: 'm',
        note: charge.reference,
        payment_record_id: Number(charge.id),
        paid_at: iso(at),
      });
    const t = String(Math.floor(at / 1000));
    return {
      headers: {
        'x-gateway-timestamp': t,
        'x-gateway-signature': `t=${t},v1=${hmac(secret, `${t}.${text}`)}`,
        'x-gateway-merchant-key': testSecrets.gatenoc,
      },
      body: text,
    };
  },
};

/** Those that make payments. */
export const chargeSubjects: readonly Subject[] = [fourpochSubject, forhoppSubject, gatenocSubject];
