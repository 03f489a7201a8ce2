import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Currency } from '../../src/core/assets.ts';
import type { Method, SessionView } from '../../src/core/checkout-session.ts';
import type { FiatCode } from '../../src/core/fiat.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { chooseMethod, mostChoices } from '../../src/payments/choose.ts';
import { cancelSession, createSession, expireSessions } from '../../src/payments/sessions.ts';
import { findSession } from '../../src/storage/checkout/sessions.ts';
import { findPayment } from '../../src/storage/payments/views.ts';
import type { Db } from '../../src/storage/schema.ts';
import { describeDatabases } from '../support/databases.ts';
import { openShop, type ShopOptions } from '../support/shop.ts';

const usdt: Method = { network: 'bsc', currency: 'usdt' as Currency };
const usdc: Method = { network: 'bsc', currency: 'usdc' as Currency };
const onEthereum: Method = { network: 'ethereum', currency: 'usdt' as Currency };

/** A shop with one checkout session of 50 US dollars. */
async function openCheckout(db: Db, options: ShopOptions = {}, expiresInSeconds = 86_400) {
  const shop = await openShop(db, options);
  const deps = { db, clock: shop.clock };
  const newSession = async () =>
    (await createSession(deps, {
      merchantId: shop.merchantId,
      price: { minorUnits: 5_000, currency: 'USD' },
      amountUsdCents: 5_000,
      methods: [],
      externalOrderId: 'order-7',
      customerEmail: '',
      redirectUrl: '',
      cancelUrl: '',
      metadata: { sku: 'GOLD' },
      locale: 'fr',
      livemode: true,
      expiresInSeconds,
      idempotency: null,
    })) as { view: SessionView };
  const { session } = (await newSession()).view;

  function choose(method: Method, of = session) {
    return chooseMethod(deps, { token: of.token, method }, async ({ session }, admit) => {
      const outcome = await shop.creator.createWithin(
        {
          merchantId: session.merchantId,
          ...method,
          amountUsdCents: session.amountUsdCents,
          price: { minorUnits: 5_000n, currency: 'USD' as FiatCode },
          externalOrderId: session.externalOrderId,
          customerEmail: '',
          redirectUrl: '',
          metadata: session.metadata,
          locale: session.locale,
          checkoutSession: session.id,
          idempotency: null,
        },
        { admit },
      );
      if ('view' in outcome) return { outcome: 'made', paymentToken: outcome.view.payment.paymentToken };
      return outcome.outcome === 'not_admitted' ? outcome : { outcome: 'refused', refused: outcome.outcome };
    });
  }

  async function read(of = session) {
    const view = await findSession(db, of.merchantId, of.id);
    if (view === null) throw new Error('the session vanished');
    const payments: OnchainPayment[] = [];
    for (const { paymentNumber } of view.payments) {
      const found = await findPayment(db, of.merchantId, paymentNumber);
      if (found?.kind === 'onchain') payments.push(found.payment);
    }
    return { ...view, payments };
  }

  return {
    shop,
    deps,
    session,
    choose,
    read,
    newSession,
    statuses: async () => (await read()).payments.map(({ status }) => status),
    cancel: () => cancelSession(deps, { merchantId: shop.merchantId, id: session.id }),
    expire: () => expireSessions(deps),
    sessionEvents: async () => {
      const types = ['completed', 'expired', 'cancelled'];
      const found = await Promise.all(types.map((type) => shop.eventBodies(`checkout_session.${type}`)));
      return found.flat().map(({ event }) => event);
    },
    locked: async () =>
      (await db.selectFrom('addresses').select('id').where('locked_by', 'is not', null).execute()).length,
  };
}

type Checkout = Awaited<ReturnType<typeof openCheckout>>;

async function current({ read }: Checkout): Promise<OnchainPayment> {
  const payment = (await read()).payments.at(-1);
  if (payment === undefined) throw new Error('nothing was chosen');
  return payment;
}

describeDatabases('a payer who chooses in a checkout session', (openTestDb) => {
  test('locks an address with the first choice, and its payment carries the session to the shop', async () => {
    const checkout = await openCheckout(await openTestDb());
    expect(await checkout.locked()).toBe(0);
    expect((await checkout.choose(usdt)).outcome).toBe('chosen');
    expect(await checkout.locked()).toBe(1);
    const payment = await current(checkout);
    expect(payment).toMatchObject({ externalOrderId: 'order-7', metadata: { sku: 'GOLD' }, locale: 'fr' });
    checkout.shop.pay(payment, 50);
    await checkout.shop.confirmAll();
    expect((await checkout.read()).session).toMatchObject({
      status: 'completed',
      endedAt: checkout.shop.clock(),
    });
    const bodies = await checkout.shop.eventsWithBodies(payment);
    expect(bodies.map(({ type }) => type)).toEqual([
      'payment.detected',
      'payment.confirmed',
      'checkout_session.completed',
    ]);
    expect(bodies.map(({ body }) => body.checkout_session)).toEqual(Array(3).fill(checkout.session.id));
    expect((await checkout.choose(usdc)).outcome).toBe('ended');
  });

  test('gets the same payment for the same choice', async () => {
    const checkout = await openCheckout(await openTestDb());
    const [first, second] = [await checkout.choose(usdt), await checkout.choose(usdt)];
    expect(second).toEqual(first);
    expect(await checkout.statuses()).toEqual(['pending']);
  });

  test('goes back and chooses again while nothing has come: the old payment is cancelled as the new one is made', async () => {
    const checkout = await openCheckout(await openTestDb(), { addresses: 1 });
    await checkout.choose(usdt);
    await checkout.choose(usdc);
    await checkout.choose(onEthereum);
    expect(await checkout.statuses()).toEqual(['cancelled', 'cancelled', 'pending']);
    expect(await checkout.locked()).toBe(1);
  });

  test('keeps the payment where another way cannot be had', async () => {
    const checkout = await openCheckout(await openTestDb(), { addresses: 1 });
    const other = (await checkout.newSession()).view.session;
    await checkout.choose(onEthereum, other);
    await checkout.choose(usdt);
    expect(await checkout.choose(onEthereum)).toEqual({ outcome: 'refused', refused: 'all_held' });
    expect(await checkout.statuses()).toEqual(['pending']);
    expect(await checkout.shop.events(await current(checkout))).toEqual([]);
  });

  test('cannot choose again once something has come', async () => {
    const checkout = await openCheckout(await openTestDb());
    await checkout.choose(usdt);
    checkout.shop.pay(await current(checkout), 20);
    await checkout.shop.read();
    expect((await checkout.choose(usdc)).outcome).toBe('paid');
    expect(await checkout.statuses()).toEqual(['pending']);
  });

  test('pays an abandoned payment late, as any other; what an operator accepts of it completes the session', async () => {
    const checkout = await openCheckout(await openTestDb());
    await checkout.choose(usdt);
    const abandoned = await current(checkout);
    await checkout.choose(onEthereum);
    checkout.shop.pay(abandoned, 50);
    await checkout.shop.confirmAll();
    expect(await checkout.shop.state(abandoned)).toBe('cancelled late');
    expect((await checkout.read()).session.status).toBe('open');
    await checkout.shop.accept(abandoned);
    expect((await checkout.read()).session.status).toBe('completed');
    expect(await checkout.sessionEvents()).toEqual(['checkout_session.completed']);
  });

  test(`has ${mostChoices} choices`, async () => {
    const checkout = await openCheckout(await openTestDb());
    for (let n = 0; n < mostChoices; n++) {
      expect((await checkout.choose(n % 2 === 0 ? usdt : usdc)).outcome).toBe('chosen');
    }
    expect((await checkout.choose(usdt)).outcome).toBe('too_many');
    expect((await checkout.choose(usdc)).outcome).toBe('too_many');
    expect((await checkout.statuses()).filter((status) => status === 'pending')).toHaveLength(1);
  });

  test('is offered nothing once the time is over; who is paying goes on, and completes it', async () => {
    const checkout = await openCheckout(await openTestDb(), {}, 60);
    await checkout.choose(usdt);
    checkout.shop.passTime(61);
    await checkout.shop.read();
    expect((await checkout.choose(usdc)).outcome).toBe('ended');
    expect(await checkout.expire()).toEqual({ expired: 0, more: false });
    checkout.shop.pay(await current(checkout), 50);
    await checkout.shop.confirmAll();
    expect((await checkout.read()).session.status).toBe('completed');
    expect(await checkout.expire()).toEqual({ expired: 0, more: false });
  });

  test('who has not paid when both are over leaves an expired session, told of once', async () => {
    const checkout = await openCheckout(await openTestDb(), {}, 60);
    await checkout.choose(usdt);
    checkout.shop.passTime(3_600);
    await checkout.shop.read();
    expect(await checkout.statuses()).toEqual(['expired']);
    const both = await Promise.all([checkout.expire(), checkout.expire()]);
    expect(both.map(({ expired }) => expired).sort()).toEqual([0, 1]);
    expect((await checkout.read()).session.status).toBe('expired');
    expect(await checkout.sessionEvents()).toEqual(['checkout_session.expired']);
  });

  test('whose session the shop cancels loses the open payment with it, and its money is late', async () => {
    const checkout = await openCheckout(await openTestDb());
    await checkout.choose(usdt);
    expect((await checkout.cancel()).outcome).toBe('cancelled');
    expect(await checkout.statuses()).toEqual(['cancelled']);
    expect(await checkout.locked()).toBe(0);
    expect((await checkout.choose(usdt)).outcome).toBe('ended');
  });

  test('whose money is on its way keeps the session: the shop cannot cancel it', async () => {
    const checkout = await openCheckout(await openTestDb());
    await checkout.choose(usdt);
    checkout.shop.pay(await current(checkout), 20);
    await checkout.shop.read();
    expect((await checkout.cancel()).outcome).toBe('not_cancellable');
    expect((await checkout.read()).session.status).toBe('open');
    expect(await checkout.statuses()).toEqual(['pending']);
  });
});

const acts = ['choose usdt', 'choose usdc', 'choose ethereum', 'cancel', 'read', 'expire'] as const;

const round = fc.record({
  before: fc.constantFrom('nothing', 'chosen', 'paid', 'paid a part'),
  over: fc.boolean(),
  order: fc.array(fc.constantFrom(...acts), { minLength: 3, maxLength: 6 }),
});

describeDatabases('interleavings of two tabs, the shop, the chain and the clock', (openTestDb, kind) => {
  test('leave one payment that can be paid at most, one address locked at most, and lose no money', async () => {
    const { shop, newSession, choose, deps, read } = await openCheckout(
      await openTestDb(),
      { addresses: 60 },
      60,
    );
    const reached = new Set<string>();
    await fc.assert(
      fc.asyncProperty(round, async ({ before, over, order }) => {
        const { session } = (await newSession()).view;
        if (before !== 'nothing') await choose(usdt, session);
        const chosen = (await read(session)).payments[0];
        if (chosen !== undefined && before.startsWith('paid')) shop.pay(chosen, before === 'paid' ? 50 : 20);
        if (over) shop.passTime(61);
        shop.mine('bsc', 3);
        const act = async (what: (typeof acts)[number]): Promise<unknown> => {
          switch (what) {
            case 'choose usdt':
              return choose(usdt, session);
            case 'choose usdc':
              return choose(usdc, session);
            case 'choose ethereum':
              return choose(onEthereum, session);
            case 'cancel':
              return cancelSession(deps, { merchantId: session.merchantId, id: session.id });
            case 'read':
              return shop.look();
            case 'expire':
              return expireSessions(deps);
            default:
              return what satisfies never;
          }
        };
        await Promise.all(order.map(act));
        await shop.read();
        await expireSessions(deps);

        const after = await read(session);
        const pending = after.payments.filter(({ status }) => status === 'pending');
        expect(pending.length).toBeLessThanOrEqual(1);
        const held = await shop.db
          .selectFrom('addresses')
          .select('locked_by')
          .where('locked_by', 'in', [-1, ...after.payments.map(({ id }) => id)])
          .execute();
        expect(held.map((row) => row.locked_by)).toEqual(pending.map(({ id }) => id));
        if (after.session.status === 'completed') {
          expect(after.payments.some(({ status }) => status === 'confirmed')).toBe(true);
        } else {
          expect(after.payments.some(({ status }) => status === 'confirmed')).toBe(false);
        }
        if (after.session.status === 'cancelled' || after.session.status === 'expired')
          expect(pending).toEqual([]);
        if (chosen !== undefined && before.startsWith('paid')) {
          const { deposits } = await shop.viewOf(chosen);
          expect(deposits).toHaveLength(1);
        }
        reached.add(after.session.status);
        for (const payment of pending) await shop.cancel(payment);
      }),
      { numRuns: kind === 'SQLite' ? 30 : 12, seed: 20_261_129 },
    );
    expect([...reached].sort()).toEqual(['cancelled', 'completed', 'expired', 'open']);
  }, 120_000);
});
