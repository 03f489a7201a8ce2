import { createHmac, randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { ChargeStatus } from '../../../src/core/charge.ts';
import type { FiatCode } from '../../../src/core/fiat.ts';
import {
  anything,
  currencyOf,
  idOf,
  jsonOf,
  minorUnits,
  readAnswer,
  unixMs,
} from '../../../src/providers/answer.ts';
import {
  type Charge,
  defineAdapter,
  type Method,
  type ProviderRequest,
} from '../../../src/providers/provider.ts';
import { digestOf, headerOf, verifyTimed } from '../../../src/providers/signature.ts';
import { type LedgerCharge, startStandIn } from './stand-in.ts';
import type { Subject } from './subjects.ts';

/*
 * A whole adapter, as small as one can be, of a provider that does not exist; and a stand-in for it.
 */

const secret = 'example-secret-0123456789';

const charge = z.object({
  id: anything,
  ref: anything,
  amount: anything,
  currency: anything,
  status: anything,
  back: anything,
  made: anything,
});

const states: Record<string, ChargeStatus> = {
  open: 'pending',
  paid: 'captured',
  broken: 'failed',
  over: 'expired',
  back: 'refunded',
  part: 'partially_refunded',
};

function chargeOf(body: z.output<typeof charge>): Charge | null {
  const id = idOf(body.id);
  if (id === null) return null;
  const statusText = typeof body.status === 'string' ? body.status : '';
  return {
    id,
    reference: typeof body.ref === 'string' ? body.ref : null,
    status: (Object.hasOwn(states, statusText) ? states[statusText] : undefined) ?? 'unknown',
    statusText,
    amount: minorUnits(body.amount),
    currency: currencyOf(body.currency),
    fee: null,
    net: null,
    refunded: minorUnits(body.back),
    mode: null,
    createdAt: unixMs(body.made),
  };
}

const refusal = () => null;

export const example = defineAdapter({
  type: 'example',
  displayName: 'Example',
  settings: { secret: z.string().min(16, 'a secret') },
  secrets: ['secret'],
  fault: () => null,
  open({ secret: key }) {
    const request = (method: Method, path: string, body?: object, idempotencyKey = ''): ProviderRequest => ({
      method,
      path,
      headers: { authorization: `Bearer ${key}`, 'idempotency-key': idempotencyKey },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return {
      descriptor: {
        type: 'example',
        displayName: 'Example',
        baseUrl: 'https://api.example.com',
        checkoutHosts: ['pay.example.com'],
        currencies: ['EUR' as FiatCode],
        requestsPerSecond: { live: 10, test: 10 },
        capabilities: {
          createKeptMs: 3_600_000,
          refundKeptMs: 3_600_000,
          createTellsId: true,
          echoesReference: true,
          statesMode: false,
          statesExpiry: true,
          capture: false,
          refund: 'partial',
          webhook: 'timed',
          charges: true,
        },
      },
      mode: 'live',
      captureMode: 'automatic',
      refuses: ({ amount }) => (amount < 1n ? 'the least amount is 0.01' : null),
      create: (intent) => ({
        request: request(
          'POST',
          '/charges',
          { ref: intent.reference, amount: Number(intent.amount), currency: intent.currency },
          intent.idempotencyKey,
        ),
        read: (answer) =>
          readAnswer(answer, { schema: charge.extend({ link: z.string() }), refusal }, (body) => {
            const made = chargeOf(body);
            if (made === null) return null;
            const { id, amount, currency, mode } = made;
            return { id, amount, currency, mode, checkoutUrl: body.link, expiresAt: null };
          }),
      }),
      fetch: (id) => ({
        request: request('GET', `/charges/${id}`),
        read: (answer) => readAnswer(answer, { schema: charge, refusal }, chargeOf),
      }),
      list: () => ({
        request: request('GET', '/charges'),
        read: (answer) =>
          readAnswer(answer, { schema: z.object({ all: z.array(charge) }), refusal }, ({ all }) => ({
            charges: all.map(chargeOf).filter((one) => one !== null),
            next: null,
          })),
      }),
      refund: ({ charge: { id }, amount, idempotencyKey }) => ({
        request: request('POST', `/charges/${id}/refund`, { amount: Number(amount) }, idempotencyKey),
        read: (answer) =>
          readAnswer(answer, { schema: z.object({ refund: z.string() }), refusal }, ({ refund }) => ({
            id: refund,
            status: 'succeeded',
          })),
      }),
      verifyWebhook: (webhook, now) =>
        verifyTimed(headerOf(webhook, 'example-signature'), webhook.body, key, now),
      readWebhook: ({ body }) => {
        const read = z.object({ id: anything, status: anything }).safeParse(jsonOf(body));
        const chargeId = read.success ? idOf(read.data.id) : null;
        const type = read.success && typeof read.data.status === 'string' ? read.data.status : '';
        const dedupeKey = chargeId === null ? digestOf(body) : `${chargeId} ${type}`;
        return { dedupeKey, type, chargeId, reference: null, mode: null };
      },
    };
  },
});

const words = Object.fromEntries(
  Object.entries(states).map(([word, status]) => [status, word]),
) as Subject['words'];

const shown = (one: LedgerCharge) => ({
  id: one.id,
  ref: one.reference,
  amount: one.amount,
  currency: one.currency,
  status: words[one.status] ?? one.status,
  back: one.refunds.reduce((total, { amount }) => total + amount, 0),
  made: Math.floor(one.createdAt / 1000),
});

export const exampleSubject: Subject = {
  type: 'example',
  currency: 'EUR',
  settings: { secret },
  secrets: [secret],
  words,
  start: (startAt) => {
    const keys = new Map<string, { status: number; body: string }>();
    return startStandIn({
      startAt,
      reply(asked, standIn) {
        const [, , id = '', action] = asked.path.split('/');
        const key = String(asked.headers['idempotency-key']);
        const known = keys.get(key);
        if (asked.method === 'POST' && known !== undefined) return known;
        const reply = route();
        if (asked.method === 'POST' && reply.status === 200) keys.set(key, reply);
        return reply;

        function route() {
          const body = asked.body === '' ? {} : JSON.parse(asked.body);
          if (asked.method === 'POST' && id === '') {
            const made: LedgerCharge = {
              id: `ex_${randomBytes(8).toString('hex')}`,
              reference: body.ref,
              amount: body.amount,
              currency: body.currency,
              status: 'pending',
              createdAt: standIn.now(),
              refunds: [],
              captured: null,
              notifyUrl: '',
            };
            standIn.charges.set(made.id, made);
            return {
              status: 200,
              body: JSON.stringify({ ...shown(made), link: `https://pay.example.com/${made.id}` }),
            };
          }
          if (id === '')
            return { status: 200, body: JSON.stringify({ all: [...standIn.charges.values()].map(shown) }) };
          const one = standIn.charges.get(id);
          if (one === undefined) return { status: 404, body: '{}' };
          if (action !== 'refund') return { status: 200, body: JSON.stringify(shown(one)) };
          const back = one.refunds.reduce((total, { amount }) => total + amount, 0);
          if (back + body.amount > one.amount) return { status: 400, body: '{}' };
          one.refunds.push({ id: `re_${one.refunds.length}`, amount: body.amount, key });
          one.status = back + body.amount === one.amount ? 'refunded' : 'partially_refunded';
          return { status: 200, body: JSON.stringify({ refund: `re_${one.refunds.length}` }) };
        }
      },
    });
  },
  webhook(one, { secret: key = secret, at = one.createdAt, body, event } = {}) {
    const text =
      body ??
      JSON.stringify({
        id: one.id,
        status: event === 'charge.refunded' ? 'back' : words[one.status],
        amount: one.amount,
      });
    const t = Math.floor(at / 1000);
    const v1 = createHmac('sha256', key).update(`${t}.${text}`).digest('hex');
    return { headers: { 'example-signature': `t=${t},v1=${v1}` }, body: text };
  },
};
