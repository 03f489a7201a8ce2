import { expect, test } from 'vitest';
import type { PaymentPolicy } from '../../src/config.ts';
import type { Currency } from '../../src/core/assets.ts';
import type { Network } from '../../src/core/networks.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { cancelPayment } from '../../src/payments/cancel.ts';
import { type CreateOutcome, createPayments } from '../../src/payments/create.ts';
import type { CreateRequest } from '../../src/payments/new-payment.ts';
import { createPoolHealth } from '../../src/pool/health.ts';
import type { Rates } from '../../src/rates/rates.ts';
import { inTransaction } from '../../src/storage/database.ts';
import type { Db } from '../../src/storage/schema.ts';
import { evmAddress } from '../support/addresses.ts';
import { testConfig } from '../support/config.ts';
import { describeDatabases } from '../support/databases.ts';
import { InjectedFault, makeFaulty } from '../support/faulty-db.ts';
import { captureLog } from '../support/log.ts';
import {
  addTestAddresses,
  addTestMerchant,
  createdAt,
  setTestChain,
  type TestPool,
  testBlock,
  testRates,
  testTime,
} from '../support/payments.ts';

const minute = 60_000;
const day = 24 * 60 * minute;

type Options = {
  pools?: TestPool[];
  policy?: Partial<PaymentPolicy>;
  rates?: Rates;
  /** Null: the chain has not been read. */
  chain?: Parameters<typeof setTestChain>[2] | null;
};

/** A merchant with a pool on BSC, read just now at height 100; the clock in the test's hands. */
async function setUp(db: Db, { pools = [{ count: 10 }], policy = {}, rates, chain = {} }: Options = {}) {
  let now = createdAt;
  const clock = () => now;
  const merchantId = await addTestMerchant(db);
  for (const pool of pools) await addTestAddresses(db, merchantId, pool);
  if (chain !== null) await setTestChain(db, 'bsc', chain);
  const defaults = testConfig();
  const config = { ...defaults, payments: { ...defaults.payments, ...policy } };
  const { log, lines } = captureLog();
  const health = createPoolHealth({ db, clock, log, policy: config.payments, chains: config.chains });
  const woken: Network[] = [];
  const creator = createPayments({
    db,
    config,
    rates: rates ?? testRates(),
    pools: health,
    clock,
    timeOf: testTime,
    wake: (network) => woken.push(network),
  });
  const request = (changes: Partial<CreateRequest> = {}): CreateRequest => ({
    merchantId,
    network: 'bsc',
    currency: 'usdt',
    amountUsdCents: 5000,
    externalOrderId: '',
    customerEmail: '',
    redirectUrl: '',
    metadata: {},
    idempotency: null,
    ...changes,
  });
  const create = (changes: Partial<CreateRequest> = {}) => creator.create(request(changes));
  const created = async (changes: Partial<CreateRequest> = {}) => paymentOf(await create(changes), 'created');
  return {
    merchantId,
    lines,
    health,
    woken,
    create,
    created,
    setChain: (changes: Parameters<typeof setTestChain>[2]) => setTestChain(db, 'bsc', changes),
    pass: (ms: number) => {
      now += ms;
    },
    cancel: (payment: OnchainPayment) =>
      cancelPayment({ db, clock }, { merchantId, paymentNumber: payment.paymentNumber }),
  };
}

function paymentOf(outcome: CreateOutcome, kind: 'created' | 'replayed'): OnchainPayment {
  if (outcome.outcome !== kind || !('view' in outcome)) throw new Error(`got ${outcome.outcome}`);
  return outcome.view.payment;
}

function count(outcomes: readonly CreateOutcome[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { outcome } of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

async function stored(db: Db) {
  const payments = await db
    .selectFrom('payments')
    .innerJoin('onchain_payments', 'onchain_payments.payment_id', 'payments.id')
    .select(['payments.id', 'address_id', 'status'])
    .execute();
  const locks = await db
    .selectFrom('addresses')
    .select(['id', 'locked_by'])
    .where('locked_by', 'is not', null)
    .execute();
  return { payments, locks };
}

describeDatabases('creating a payment', (openTestDb) => {
  test('quotes the amount, locks an address for it and wakes the chain', async () => {
    const db = await openTestDb();
    const { created, woken } = await setUp(db);
    const payment = await created({ externalOrderId: 'order-1', metadata: { sku: 'A' } });
    expect(payment).toMatchObject({
      status: 'pending',
      address: evmAddress(1),
      expectedAmount: 50n * 10n ** 18n,
      requiredAmount: 50n * 10n ** 18n,
      usdPerCoin: '1',
      externalOrderId: 'order-1',
      metadata: { sku: 'A' },
      createdAt,
      expiresAt: createdAt + 30 * minute,
    });
    expect(await stored(db)).toEqual({
      payments: [{ id: payment.id, address_id: payment.addressId, status: 'pending' }],
      locks: [{ id: payment.addressId, locked_by: payment.id }],
    });
    expect(woken).toEqual(['bsc']);
  });

  test('takes a tolerance off what suffices, rounded up, and nothing off what is asked for', async () => {
    const { created } = await setUp(await openTestDb(), { policy: { toleranceBps: 100 } });
    expect(await created({ amountUsdCents: 1 })).toMatchObject({
      expectedAmount: 10n ** 16n,
      requiredAmount: 99n * 10n ** 14n,
    });
  });

  test('numbers payments PAY, the year in UTC and ten characters that are no counter', async () => {
    const { created } = await setUp(await openTestDb());
    const numbers = [];
    for (let i = 0; i < 10; i++) numbers.push((await created()).paymentNumber);
    for (const number of numbers) expect(number).toMatch(/^PAY-2026-[0-9A-HJKMNP-TV-Z]{10}$/);
    expect(new Set(numbers).size).toBe(10);
    expect(numbers.toSorted()).not.toEqual(numbers);
  });

  test('gives each payment a token of 32 url-safe bytes', async () => {
    const { created } = await setUp(await openTestDb());
    const tokens = [(await created()).paymentToken, (await created()).paymentToken];
    for (const token of tokens) expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(tokens[0]).not.toBe(tokens[1]);
  });

  test('ends a payment at a whole second, not after its lifetime', async () => {
    const { created, pass } = await setUp(await openTestDb());
    pass(999);
    expect(await created()).toMatchObject({
      createdAt: createdAt + 999,
      expiresAt: createdAt + 30 * minute,
    });
  });

  test("locks at the chain's own time: that of its head, and what passed since that was first shown", async () => {
    const head = testBlock(100, { time: createdAt / 1000 - 3_600 });
    const time = { head, shownAt: createdAt - 7_000, watchedSince: null };
    const { created, pass } = await setUp(await openTestDb(), { chain: { head, time } });
    pass(minute);
    expect(await created()).toMatchObject({
      lockHead: head,
      lockChainTime: createdAt - 60 * minute + 7_000 + minute,
    });
  });

  test.each([
    ['40 minutes slow', 40 * 60],
    ['right', 0],
    ['90 seconds fast', -90],
  ])(
    "takes money until the lifetime is over by the chain's time and by ours, with a clock that is %s",
    async (_, ahead) => {
      const head = testBlock(100, { time: createdAt / 1000 + ahead });
      const time = { head, shownAt: createdAt, watchedSince: null };
      const { created } = await setUp(await openTestDb(), { chain: { head, time } });
      expect(await created()).toMatchObject({
        expiresAt: createdAt + 30 * minute,
        blockTimeLimit: createdAt / 1000 + Math.max(0, ahead) + 30 * 60,
      });
    },
  );

  test('gives one address to one payment until none is left, then says when to come back', async () => {
    const db = await openTestDb();
    const { create, created, pass } = await setUp(db, { pools: [{ count: 2 }] });
    const addresses = [(await created()).address, (await created()).address];
    expect(addresses).toEqual([evmAddress(1), evmAddress(2)]);
    pass(30 * minute - 10_000);
    await setTestChain(db, 'bsc', { readAt: createdAt + 30 * minute - 10_000 });
    expect(await create()).toEqual({ outcome: 'all_held', retryAfterSeconds: 10 });
    expect((await stored(db)).payments).toHaveLength(2);
  });

  test.each([
    ['far away', 0, 60],
    ['over', 31 * minute, 1],
  ])('says to come back within a minute when the first expiry is %s', async (_when, passed, seconds) => {
    const db = await openTestDb();
    const { create, created, pass } = await setUp(db, { pools: [{ count: 1 }] });
    await created();
    pass(passed);
    await setTestChain(db, 'bsc', { readAt: createdAt + passed });
    expect(await create()).toEqual({ outcome: 'all_held', retryAfterSeconds: seconds });
  });

  test('gives 100 parallel creations over 10 addresses exactly 10 payments and 90 times all held', async () => {
    const db = await openTestDb();
    const { create, health } = await setUp(db);
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => create()));
    expect(count(outcomes)).toEqual({ created: 10, all_held: 90 });
    const { payments, locks } = await stored(db);
    expect(payments).toHaveLength(10);
    expect(new Set(payments.map((payment) => payment.address_id)).size).toBe(10);
    expect(locks).toHaveLength(10);
    await health.settled();
  });

  test('finds all addresses in parallel where some are for one currency and some for every', async () => {
    const db = await openTestDb();
    const pools: TestPool[] = [
      { count: 5, currency: 'usdt' },
      { first: 11, count: 5 },
      { first: 21, count: 5, currency: 'usdc' },
    ];
    const { create, health } = await setUp(db, { pools });
    const outcomes = await Promise.all(Array.from({ length: 40 }, () => create()));
    expect(count(outcomes)).toEqual({ created: 10, all_held: 30 });
    await health.settled();
  });

  test('takes the address that has rested longest, whether for one currency or for every', async () => {
    const pools: TestPool[] = [
      { count: 2, currency: 'usdt' },
      { first: 11, count: 2 },
    ];
    const { created, cancel, pass } = await setUp(await openTestDb(), { pools });
    const first = [await created(), await created(), await created(), await created()];
    const order = [first[2], first[0], first[3], first[1]] as OnchainPayment[];
    for (const payment of order) {
      pass(1000);
      expect((await cancel(payment)).outcome).toBe('cancelled');
    }
    const again = [await created(), await created(), await created(), await created()];
    expect(again.map(({ address }) => address)).toEqual(order.map(({ address }) => address));
  });

  test('chooses an address that was just released last, but chooses it', async () => {
    const { created, cancel } = await setUp(await openTestDb(), { pools: [{ count: 2 }] });
    const first = await created();
    await cancel(first);
    expect((await created()).address).toBe(evmAddress(2));
    expect((await created()).address).toBe(first.address);
  });

  test('chooses a released address also when our clock was set back meanwhile', async () => {
    const { created, cancel, pass } = await setUp(await openTestDb(), { pools: [{ count: 1 }] });
    await cancel(await created());
    pass(-5000);
    expect((await created()).address).toBe(evmAddress(1));
  });

  test('never chooses an address in its quarantine where that is strict, and chooses it after', async () => {
    const db = await openTestDb();
    const policy = { quarantine: 'strict', quarantineSeconds: 90 } as const;
    const { create, created, cancel, pass, setChain } = await setUp(db, { pools: [{ count: 1 }], policy });
    await cancel(await created());
    pass(89_999);
    expect(await create()).toMatchObject({ outcome: 'all_held' });
    pass(1);
    await setChain({ readAt: createdAt + 90_000 });
    expect((await created()).address).toBe(evmAddress(1));
  });

  test('refuses where the merchant has no active address for the pair, whatever else is wrong', async () => {
    const db = await openTestDb();
    const { create, setChain, merchantId } = await setUp(db, { pools: [{ count: 1, currency: 'usdc' }] });
    expect(await create()).toEqual({ outcome: 'no_address' });
    expect(await create({ network: 'ethereum' })).toEqual({ outcome: 'no_address' });
    await setChain({ stoppedReason: 'finality violated' });
    expect(await create()).toEqual({ outcome: 'no_address' });
    await inTransaction(db, (trx) =>
      trx.updateTable('addresses').set({ active: 0 }).where('merchant_id', '=', merchantId).execute(),
    );
    expect(await create({ currency: 'usdc' })).toEqual({ outcome: 'no_address' });
  });

  test("never gives another merchant's address", async () => {
    const db = await openTestDb();
    const { create } = await setUp(db, { pools: [] });
    await addTestAddresses(db, await addTestMerchant(db, 'Other'), { count: 3 });
    expect(await create()).toEqual({ outcome: 'no_address' });
  });

  test.each([
    ['has not been read yet', null, 'the chain has not been read yet'],
    ['is stopped', { stoppedReason: 'another chain' }, 'the chain is stopped: another chain'],
    [
      'was not read for more than two minutes',
      { readAt: createdAt - 2 * minute - 1 },
      'the chain has not been read for 120 seconds',
    ],
  ])('refuses where the chain %s, and locks nothing', async (_what, chain, reason) => {
    const db = await openTestDb();
    const { create } = await setUp(db, { chain });
    expect(await create()).toEqual({ outcome: 'chain_unavailable', reason });
    expect(await stored(db)).toEqual({ payments: [], locks: [] });
  });

  test('still creates when the chain was read two minutes ago', async () => {
    const { created } = await setUp(await openTestDb(), { chain: { readAt: createdAt - 2 * minute } });
    expect(await created()).toMatchObject({ status: 'pending' });
  });

  test('refuses without a rate, and locks nothing', async () => {
    const db = await openTestDb();
    const { create } = await setUp(db, { rates: testRates({ bnb: null }) });
    expect(await create({ currency: 'native' })).toEqual({ outcome: 'rate_unavailable' });
    expect(await stored(db)).toEqual({ payments: [], locks: [] });
    expect(await create()).toMatchObject({ outcome: 'created' });
  });
});

describeDatabases('an idempotency key', (openTestDb, kind) => {
  const idempotency = { key: 'k-1', fingerprint: 'body-1' };

  test('answers the same request with its payment, as it is now', async () => {
    const db = await openTestDb();
    const { create, created, cancel } = await setUp(db);
    const first = await created({ idempotency });
    await cancel(first);
    const again = paymentOf(await create({ idempotency }), 'replayed');
    expect(again).toMatchObject({ paymentNumber: first.paymentNumber, status: 'cancelled' });
    expect((await stored(db)).payments).toHaveLength(1);
  });

  test('refuses another body', async () => {
    const { create, created } = await setUp(await openTestDb());
    await created({ idempotency });
    expect(await create({ idempotency: { ...idempotency, fingerprint: 'body-2' } })).toEqual({
      outcome: 'idempotency_key_reused',
    });
  });

  test('means nothing to another merchant', async () => {
    const db = await openTestDb();
    const { created } = await setUp(db);
    const other = await addTestMerchant(db, 'Other');
    await addTestAddresses(db, other, { first: 50, count: 1 });
    const first = await created({ idempotency });
    const second = await created({ idempotency, merchantId: other });
    expect(second.paymentNumber).not.toBe(first.paymentNumber);
  });

  test('is remembered until 24 hours are over, then stands for a new payment', async () => {
    const { create, created, pass, setChain } = await setUp(await openTestDb());
    const first = await created({ idempotency });
    pass(day - 1);
    expect(paymentOf(await create({ idempotency }), 'replayed').id).toBe(first.id);
    pass(1);
    await setChain({ readAt: createdAt + day });
    const second = await created({ idempotency: { ...idempotency, fingerprint: 'body-2' } });
    expect(second.id).not.toBe(first.id);
    pass(day - 1);
    expect(await create({ idempotency })).toEqual({ outcome: 'idempotency_key_reused' });
  });

  test('does not remember a failure', async () => {
    const { create, created, setChain } = await setUp(await openTestDb(), { chain: { stoppedReason: 'x' } });
    expect(await create({ idempotency })).toMatchObject({ outcome: 'chain_unavailable' });
    await setChain({ stoppedReason: null });
    await created({ idempotency });
  });

  test('is free again, and so is the address, after a creation that died at any of its writes', async () => {
    const db = await openTestDb();
    const faulty = makeFaulty(db);
    const { create } = await setUp(faulty.db, { pools: [{ count: 1 }] });
    let deaths = 0;
    for (let write = 1; ; write++) {
      faulty.failAt(write);
      const outcome = await create({ idempotency }).catch((error: unknown) => error);
      if (!(outcome instanceof InjectedFault)) {
        expect(outcome).toMatchObject({ outcome: 'created' });
        break;
      }
      deaths += 1;
      expect(await stored(db)).toEqual({ payments: [], locks: [] });
      expect(await db.selectFrom('idempotency_keys').select('key').execute()).toEqual([]);
    }
    // On PostgreSQL the key is reserved by one statement, and all is written by another.
    expect(deaths).toBe(kind === 'PostgreSQL' ? 2 : 4);
  });

  test('raced 50 times gives one payment, and its 49 replays', async () => {
    const db = await openTestDb();
    const { create } = await setUp(db);
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => create({ idempotency })));
    expect(count(outcomes)).toEqual({ created: 1, replayed: 49 });
    const numbers = outcomes.map((outcome) => ('view' in outcome ? outcome.view.payment.paymentNumber : ''));
    expect(new Set(numbers).size).toBe(1);
    const { payments, locks } = await stored(db);
    expect([payments.length, locks.length]).toEqual([1, 1]);
  });

  test('raced for the last address is answered with its payment, never with all held', async () => {
    const db = await openTestDb();
    const { create } = await setUp(db, { pools: [{ count: 1 }] });
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => create({ idempotency })));
    expect(count(outcomes)).toEqual({ created: 1, replayed: 19 });
  });
});

describeDatabases('a pool that runs dry', (openTestDb) => {
  const lineOf = (lines: Record<string, unknown>[], msg: string) =>
    lines.filter((line) => line.msg === msg).map(({ time, ...line }) => line);

  async function fill(create: () => Promise<CreateOutcome>, times: number) {
    for (let i = 0; i < times; i++) await create();
  }

  test('is said to be low from the lock on that leaves less than a fifth', async () => {
    const { create, lines, health, merchantId } = await setUp(await openTestDb());
    await fill(create, 8);
    await health.settled();
    expect(lineOf(lines, 'pool low')).toEqual([]);
    await create();
    await health.settled();
    expect(lineOf(lines, 'pool low')).toEqual([
      {
        level: 'warn',
        merchant_id: merchantId,
        network: 'bsc',
        currency: 'usdt',
        total: 10,
        held: 9,
        free: 1,
        msg: 'pool low',
      },
    ]);
  });

  test('is said to be exhausted at a refused creation', async () => {
    const { create, lines, health, merchantId } = await setUp(await openTestDb(), { pools: [{ count: 2 }] });
    await fill(create, 2);
    await health.settled();
    expect(lineOf(lines, 'pool exhausted')).toEqual([]);
    await create();
    await health.settled();
    expect(lineOf(lines, 'pool exhausted')).toEqual([
      {
        level: 'warn',
        merchant_id: merchantId,
        network: 'bsc',
        currency: 'usdt',
        total: 2,
        held: 2,
        msg: 'pool exhausted',
      },
    ]);
  });

  test('is said to be so at most once a minute', async () => {
    const db = await openTestDb();
    const { create, lines, health, pass, setChain } = await setUp(db, { pools: [{ count: 3 }] });
    await fill(create, 5);
    pass(minute - 1);
    await create();
    await health.settled();
    expect(lineOf(lines, 'pool exhausted')).toHaveLength(1);
    expect(lineOf(lines, 'pool low')).toHaveLength(1);
    pass(1);
    await setChain({ readAt: createdAt + minute });
    await fill(create, 2);
    await health.settled();
    expect(lineOf(lines, 'pool exhausted')).toHaveLength(2);
  });

  test('is another pool for each currency', async () => {
    const pools: TestPool[] = [
      { count: 1, currency: 'usdt' },
      { first: 11, count: 1, currency: 'usdc' },
    ];
    const { create, lines, health } = await setUp(await openTestDb(), { pools });
    for (const currency of ['usdt', 'usdc'] as Currency[]) {
      await create({ currency });
      await create({ currency });
    }
    await health.settled();
    const exhausted = lineOf(lines, 'pool exhausted');
    expect(exhausted.map(({ currency }) => currency)).toEqual(['usdt', 'usdc']);
  });

  test('counts the addresses that serve every currency into each', async () => {
    const pools: TestPool[] = [
      { count: 1, currency: 'usdt' },
      { first: 11, count: 2 },
      { first: 21, count: 4, currency: 'usdc' },
    ];
    const { create, lines, health } = await setUp(await openTestDb(), { pools });
    await fill(create, 4);
    await health.settled();
    expect(lineOf(lines, 'pool exhausted')).toMatchObject([{ total: 3, held: 3 }]);
  });

  test('is told by the events pool.low and pool.exhausted, each once while it lasts', async () => {
    const db = await openTestDb();
    const { create, health, pass, setChain, merchantId } = await setUp(db, { pools: [{ count: 1 }] });
    const events = () => db.selectFrom('events').select(['type', 'merchant_id', 'body']).execute();
    // The first refusal is a minute after the first lock.
    for (let at = 0; at <= 60; at++) {
      if (at > 0) pass(minute);
      await setChain({ readAt: createdAt + at * minute });
      await create();
      await health.settled();
    }
    const told = await events();
    expect(told.map(({ type }) => type).toSorted()).toEqual(['pool.exhausted', 'pool.low']);
    for (const { type, merchant_id, body } of told) {
      expect(merchant_id).toBe(merchantId);
      expect(Object.keys(JSON.parse(body)).slice(0, 8)).toEqual([
        'event',
        'payment_id',
        'external_order_id',
        'amount',
        'currency',
        'chain',
        'tx_hash',
        'confirmed_at',
      ]);
      expect(JSON.parse(body)).toMatchObject({
        event: type,
        network: 'bsc',
        pool: { total: 1, held: 1, free: 0 },
      });
    }
  });
});
