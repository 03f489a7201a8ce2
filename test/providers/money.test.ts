import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ChargeStatus } from '../../src/core/charge.ts';
import { describeDatabases } from '../support/databases.ts';
import { emptyDatabase } from '../support/empty.ts';
import { type FaultyDb, InjectedFault, makeFaulty } from '../support/faulty-db.ts';
import { openProviderShop, type ProviderShop, type Shown } from '../support/providers/shop.ts';
import type { LedgerCharge } from '../support/providers/stand-in.ts';
import { chargeSubjects, type Subject } from '../support/providers/subjects.ts';

/*
 * The rules about money, over random histories: whatever is paid, declined, refunded, disputed, told twice, told late,
 * forged, lost or answered to nobody, in the end a payment is what the provider's ledger says, and nothing happened twice.
 */

type Step =
  | { kind: 'create'; lost: boolean }
  | { kind: 'becomes'; at: number; status: ChargeStatus }
  | { kind: 'tell'; at: number; times: number }
  | { kind: 'forge'; at: number }
  | { kind: 'foreign' }
  | { kind: 'refund'; at: number; cents: number; lost: boolean; again: boolean }
  | { kind: 'capture'; at: number; part: boolean; lost: boolean }
  | { kind: 'pass'; seconds: number }
  | { kind: 'down'; down: boolean }
  /** One of the next writes fails, and with it its transaction, as if the process had died at it. */
  | { kind: 'fault'; writes: number };

const at = fc.nat(5);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('create' as const), lost: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('becomes' as const),
      at,
      status: fc.constantFrom<ChargeStatus>(
        'captured',
        'failed',
        'authorized',
        'voided',
        'expired',
        'disputed',
        'processing',
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('tell' as const), at, times: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('forge' as const), at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('foreign' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('refund' as const),
      at,
      cents: fc.constantFrom(1000, 2500, 5000),
      lost: fc.boolean(),
      again: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('capture' as const),
      at,
      part: fc.boolean(),
      lost: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      seconds: fc.constantFrom(1, 15, 60, 900, 8000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('down' as const), down: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('fault' as const), writes: fc.integer({ min: 1, max: 12 }) }),
  },
);

/** What the ledger lets follow one another; a ledger has no way back. */
const follows: Partial<Record<ChargeStatus, readonly ChargeStatus[]>> = {
  pending: ['processing', 'authorized', 'captured', 'failed', 'expired'],
  processing: ['authorized', 'captured', 'failed'],
  authorized: ['captured', 'voided'],
  captured: ['disputed'],
};

type Pair = { payment: Shown; charge: LedgerCharge };

/** A step of the loop that dies at a write is taken again by the next process. */
async function pass(shop: ProviderShop, seconds: number): Promise<void> {
  await shop.pass(seconds).catch((error) => {
    if (!(error instanceof InjectedFault)) throw error;
  });
}

async function live(
  subject: Subject,
  shop: ProviderShop,
  faulty: FaultyDb,
  steps: readonly Step[],
): Promise<Pair[]> {
  const { standIn, api, merchant } = shop;
  const pairs: Pair[] = [];
  let keys = 0;
  const pick = (index: number) => (pairs.length === 0 ? undefined : pairs[index % pairs.length]);
  const post = (path: string, json: object, headers: Record<string, string> = {}) =>
    api.send('POST', path, { key: merchant.key, json, headers });

  for (const each of steps) {
    switch (each.kind) {
      case 'create': {
        const headers = { 'idempotency-key': `order-${keys++}` };
        if (each.lost) standIn.failNext({ kind: 'lost' }, ({ method }) => method === 'POST');
        let answer = await shop.create({}, headers);
        // What a dead process had in hand is another's after a while.
        for (let again = 0; answer.status !== 201 && again < 3; again++) {
          await pass(shop, 40);
          answer = await shop.create({}, headers);
        }
        const charge = [...standIn.charges.values()].find(({ id, reference }) =>
          subject.type === '4poch'
            ? id === answer.body.tx_hash
            : reference === answer.body.provider?.reference,
        );
        if (answer.status === 201 && charge !== undefined) pairs.push({ payment: answer.body, charge });
        break;
      }
      case 'becomes': {
        const pair = pick(each.at);
        const allowed = pair === undefined ? [] : (follows[pair.charge.status] ?? []);
        if (pair === undefined || !allowed.includes(each.status) || subject.words[each.status] === undefined)
          break;
        pair.charge.status = each.status;
        break;
      }
      case 'tell': {
        const pair = pick(each.at);
        for (let n = 0; pair !== undefined && n < each.times; n++)
          await shop.deliver(subject.webhook(pair.charge));
        break;
      }
      case 'forge': {
        const pair = pick(each.at);
        if (pair === undefined) break;
        await shop.deliver(subject.webhook({ ...pair.charge, status: 'captured' }, { secret: 'a guess' }));
        break;
      }
      case 'foreign': {
        const foreign = {
          id: '9999',
          reference: 'x',
          amount: 5000,
          currency: subject.currency,
          createdAt: standIn.now(),
        };
        await shop.deliver(
          subject.webhook({ ...foreign, status: 'captured', refunds: [], captured: null, notifyUrl: '' }),
        );
        break;
      }
      case 'refund': {
        const pair = pick(each.at);
        if (pair === undefined) break;
        const matches = ({ method, path }: { method: string; path: string }) =>
          method === 'POST' && /refund/.test(path);
        if (each.lost) standIn.failNext({ kind: 'lost' }, matches);
        const amount = subject.type === '4poch' ? {} : { amount: (each.cents / 100).toFixed(2) };
        const headers = { 'idempotency-key': `refund-${keys++}` };
        const path = `/api/v1/payments/${pair.payment.payment_number}/refunds/`;
        await post(path, amount, headers);
        if (each.again) await post(path, amount, headers);
        break;
      }
      case 'capture': {
        const pair = pick(each.at);
        if (pair === undefined) break;
        if (each.lost) standIn.failNext({ kind: 'lost' }, ({ path }) => path.endsWith('/capture'));
        await post(
          `/api/v1/payments/${pair.payment.payment_number}/capture/`,
          each.part ? { amount: '30.00' } : {},
        );
        break;
      }
      case 'pass':
        await pass(shop, each.seconds);
        break;
      case 'down':
        standIn.setDown(each.down);
        break;
      case 'fault':
        faulty.failAt(each.writes);
        break;
      default:
        each satisfies never;
    }
  }
  standIn.setDown(false);
  faulty.failAt(null);
  // Three days on, with a step now and then: what is known by then is known for good.
  await shop.pass(15, 60, 130, 900, 900, 900, 7200, 7200, 43_200, 43_200, 86_400, 43_200, 3600, 3600, 60);
  return pairs;
}

/** What the ledger makes of a payment, once nobody pays any more. */
function ended(charge: LedgerCharge): readonly string[] {
  switch (charge.status) {
    case 'captured':
    case 'refunded':
    case 'partially_refunded':
    case 'disputed':
      return charge.captured !== null && charge.captured < charge.amount ? ['failed'] : ['confirmed'];
    case 'failed':
    case 'voided':
      return ['failed'];
    case 'expired':
    case 'pending':
      return ['expired'];
    default:
      return ['pending'];
  }
}

const runs = {
  SQLite: Number(process.env.MODEL_RUNS ?? 12),
  PostgreSQL: Number(process.env.MODEL_RUNS ?? 3),
};

describeDatabases('over random histories', (openTestDb, kind) => {
  describe.each(chargeSubjects.map((subject) => [subject.type, subject] as const))('%s', (_, subject) => {
    test('leaves payments as its ledger says, moves nothing by what is forged or foreign, and charges and refunds nothing twice', {
      timeout: 120_000,
    }, async () => {
      const db = await openTestDb();
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
          await emptyDatabase(db);
          const faulty = makeFaulty(db);
          const shop = await openProviderShop(faulty.db, subject);
          const pairs = await live(subject, shop, faulty, steps);
          await shop.expectNoSecret();

          const events = await db.selectFrom('events').select(['type', 'payment_id']).execute();
          const told = events
            .filter(({ type }) => type === 'payment.confirmed')
            .map(({ payment_id: id }) => id);
          expect(new Set(told).size).toBe(told.length);
          for (const { payment, charge } of pairs) {
            const shown = await shop.view(payment);
            expect(ended(charge)).toContain(shown.status);
            const refunded = charge.refunds.reduce((total, { amount }) => total + amount, 0);
            expect(refunded).toBeLessThanOrEqual(charge.amount);
          }
          const refunds = await db.selectFrom('refunds').select(['status', 'amount', 'payment_id']).execute();
          const sum = (rows: readonly { amount: string | number }[]) =>
            rows.reduce((total, { amount }) => total + Number(amount), 0);
          const done = refunds.filter(({ status }) => status === 'succeeded' || status === 'pending');
          const open = refunds.filter(({ status }) => status === 'sending' || status === 'unknown');
          const ledger = sum(pairs.flatMap(({ charge }) => charge.refunds));
          // What is unknown may have happened or not; all else has, once each.
          expect(ledger).toBeGreaterThanOrEqual(sum(done));
          expect(ledger).toBeLessThanOrEqual(sum(done) + sum(open));
        }),
        { numRuns: runs[kind] },
      );
    });
  });
});
