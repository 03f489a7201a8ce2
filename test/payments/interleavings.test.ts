import { setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { listAudit } from '../../src/storage/operators/audit.ts';
import { describeDatabases } from '../support/databases.ts';
import { openShop, type Shop } from '../support/shop.ts';

/** What there is to race for: what came before everybody acts at the same moment. */
type Setting = 'nothing came' | 'enough came' | 'too little came';

const acts = ['read', 'cancel', 'accept', 'cancel again', 'accept again'] as const;
type Act = (typeof acts)[number];

const round = fc.record({
  setting: fc.constantFrom<Setting>('nothing came', 'enough came', 'too little came'),
  /** Whether the payment's time is over for us and for its chain. */
  over: fc.boolean(),
  /** Whether the first has ended before the others begin. */
  headStart: fc.boolean(),
  order: fc.shuffledSubarray([...acts], { minLength: acts.length }),
  /** Milliseconds that each act waits before it begins: a look at a chain takes several. */
  delays: fc.array(fc.nat(12), { minLength: acts.length, maxLength: acts.length }),
});

async function run(shop: Shop, payment: OnchainPayment, act: Act, delay: number): Promise<void> {
  await setTimeout(delay);
  switch (act) {
    case 'read':
      return shop.read();
    case 'cancel':
    case 'cancel again':
      await shop.cancel(payment);
      return;
    case 'accept':
    case 'accept again':
      await shop.accept(payment);
      return;
    default:
      return act satisfies never;
  }
}

/** What each event leads to, and from where: the arrows of the state machine that no reorg is needed for. */
const arrows: Record<string, { from: string[]; to: string }> = {
  'payment.confirmed': { from: ['pending', 'failed'], to: 'confirmed' },
  'payment.expired': { from: ['pending'], to: 'expired' },
  'payment.cancelled': { from: ['pending'], to: 'cancelled' },
  'payment.failed': { from: ['pending'], to: 'failed' },
};

/** Events that change no status. */
const informing = new Set(['payment.detected', 'payment.partially_paid']);

/** Follows a payment's events from `pending`; throws at one that the state before it does not allow. */
function follow(events: readonly string[]): string {
  let state = 'pending';
  for (const event of events) {
    if (informing.has(event)) continue;
    const arrow = arrows[event];
    if (arrow === undefined || !arrow.from.includes(state)) throw new Error(`${event} while ${state}`);
    state = arrow.to;
  }
  return state;
}

describeDatabases('interleavings of confirm, expire, cancel and accept', (openTestDb, kind) => {
  test('each end in one final state, told by exactly one event for each change', async () => {
    const shop = await openShop(await openTestDb(), { addresses: kind === 'SQLite' ? 410 : 110 });
    const reached = new Map<string, number>();
    const interleaving = fc.asyncProperty(round, async ({ setting, over, headStart, order, delays }) => {
      const payment = await shop.create();
      if (setting !== 'nothing came') shop.pay(payment, setting === 'enough came' ? 50 : 30);
      await shop.read();
      // The head is known and not read yet: the next step confirms or expires, so that it takes part in the race.
      if (over) shop.passTime(2_000);
      shop.mine('bsc', 3);
      await shop.look();

      const [first, ...others] = order;
      if (headStart && first !== undefined) await run(shop, payment, first, 0);
      const racing = headStart ? others : order;
      await Promise.all(racing.map((act, i) => run(shop, payment, act, delays[i] ?? 0)));
      await shop.read();

      const { payment: after } = await shop.viewOf(payment);
      const events = await shop.events(payment);
      expect(follow(events)).toBe(after.status);
      const partially = events.filter((event) => event === 'payment.partially_paid');
      expect(partially).toHaveLength(setting === 'too little came' ? 1 : 0);
      if (setting === 'enough came') expect(after.status).toBe('confirmed');
      if (setting === 'nothing came') {
        expect(over ? ['expired', 'cancelled'] : ['cancelled']).toContain(after.status);
      }
      if (setting === 'too little came') {
        expect(over ? ['confirmed', 'failed'] : ['confirmed', 'pending']).toContain(after.status);
      }
      const audit = await listAudit(shop.db, { beforeId: null, limit: 1_000 });
      const accepted = audit.filter((entry) => entry.subject === payment.paymentNumber).length;
      expect(accepted).toBe(after.acceptedAt === null ? 0 : 1);
      const path = events.filter((event) => !informing.has(event)).join(', ');
      reached.set(path, (reached.get(path) ?? 0) + 1);
      if (after.status === 'pending') await shop.accept(payment);
    });
    const ends = [
      'payment.expired',
      'payment.cancelled',
      'payment.confirmed',
      'payment.failed, payment.confirmed',
    ];
    const unmet = () => ends.filter((end) => !reached.has(end));
    for (let start = 0; start < 4 && (start === 0 || unmet().length > 0); start++)
      await fc.assert(interleaving, { numRuns: kind === 'SQLite' ? 40 : 10, seed: 20_261_120 + start });
    // The races were real: each could end more than one way.
    expect(unmet()).toEqual([]);
  }, 120_000);
});
