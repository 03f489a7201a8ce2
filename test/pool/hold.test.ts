import { HDKey } from '@scure/bip32';
import { sql } from 'kysely';
import { expect, test, vi } from 'vitest';
import { parseAccountKey } from '../../src/core/account-key.ts';
import { type Address, keyOfHex } from '../../src/core/address.ts';
import type { Network } from '../../src/core/networks.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { listMethods } from '../../src/payments/methods.ts';
import { requotePayment } from '../../src/payments/requote.ts';
import { deriveAhead } from '../../src/pool/derive-ahead.ts';
import { createDerivedPool } from '../../src/pool/derived.ts';
import { beginHold, holdAddresses, holdMs, releaseAddresses } from '../../src/pool/hold.ts';
import { checkAndAddAddresses } from '../../src/pool/import.ts';
import { describePools } from '../../src/pool/status.ts';
import { presentAddress } from '../../src/present/pools.ts';
import { inTransaction, serializeInserts } from '../../src/storage/database.ts';
import { addAddresses, listAddresses } from '../../src/storage/pool/addresses.ts';
import { removeDerivedPool, setNextIndex } from '../../src/storage/pool/derived-pools.ts';
import { readQuarantine } from '../../src/storage/pool/holds.ts';
import type { Db } from '../../src/storage/schema.ts';
import { listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import { evmAddress } from '../support/addresses.ts';
import { describeDatabases } from '../support/databases.ts';
import { testTime, testUsdPer } from '../support/payments.ts';
import { openShop, type Shop } from '../support/shop.ts';
import { openShop as openWebhooks } from '../support/webhooks.ts';

const wallet = HDKey.fromMasterSeed(Buffer.alloc(32, 7));

/** Makes the database as if it had never had a payment, as an older copy of it is. */
async function forget({ db }: Shop, payment: OnchainPayment): Promise<void> {
  await inTransaction(db, async (trx) => {
    await trx.updateTable('addresses').set({ locked_by: null }).where('locked_by', '=', payment.id).execute();
    await trx.deleteFrom('onchain_payments').where('payment_id', '=', payment.id).execute();
    await trx.deleteFrom('payments').where('id', '=', payment.id).execute();
  });
}

async function hold(shop: Shop, ms?: number, policy = shop.config.payments) {
  return holdAddresses(shop.db, shop.config.chains, await holdRequest(shop, ms, policy));
}

async function holdRequest(shop: Shop, ms?: number, policy = shop.config.payments) {
  const at = shop.clock();
  return { at, until: at + (ms ?? (await holdMs(shop.db, policy))), reason: 'a test', actor: 'cli' };
}

/** A pool of the shop's for another account of the same wallet. */
async function addKey(
  shop: Shop,
  account = 0,
  limit = 60,
): Promise<{ id: number; addressAt: (index: number) => string }> {
  const request = { network: 'bsc', currency: '', label: '', limit, actor: 'cli' } as const;
  const xpub = wallet.derive(`m/44'/60'/${account}'`).publicExtendedKey;
  const outcome = await createDerivedPool(shop, { merchantId: shop.merchantId, xpub, ...request });
  if ('error' in outcome) throw new Error(outcome.error);
  const key = parseAccountKey(xpub);
  if ('error' in key) throw new Error(key.error);
  return { id: outcome.pool.id, addressAt: (index) => key.addressAt('evm', index).address };
}

function newAddress(n: number) {
  const address = evmAddress(n) as Address;
  return {
    network: 'bsc' as Network,
    address,
    key: keyOfHex(address),
    currency: null,
    label: '',
    source: 'static' as const,
  };
}

/** Resolves once somebody waits for a lock. */
async function isWaiting(db: Db): Promise<void> {
  await vi.waitFor(async () => {
    const { rows } = await sql`select from pg_locks where not granted`.execute(db);
    expect(rows.length).toBeGreaterThan(0);
  });
}

/** A payment whose time is over, and which nobody has paid. */
async function createLate(shop: Shop): Promise<OnchainPayment> {
  shop.passTime(1_810);
  await shop.read();
  const payment = await shop.create();
  shop.passTime(1_810);
  await shop.read();
  return payment;
}

async function importAddress(shop: Shop, n: number): Promise<string> {
  const rows = [{ network: 'bsc', address: evmAddress(n), currency: '', label: '' }];
  await checkAndAddAddresses(shop, { merchantId: shop.merchantId, rows, actor: 'cli' });
  return evmAddress(n);
}

describeDatabases('after payments were lost', (openTestDb, kind) => {
  test('what they had is chosen last for as long as a quarantine lasts, as it would be if they were known', async () => {
    const policy = { quarantine: 'soft', lifetimeSeconds: 1_800, quarantineSeconds: 1_800 } as const;
    const shop = await openShop(await openTestDb(), { addresses: 5, payments: policy });
    const lost = await shop.create();
    await forget(shop, lost);
    await hold(shop);
    shop.passTime(1_810);
    await shop.read();
    const given = new Set<string>();
    for (let n = 0; n < 4; n++) given.add((await shop.create()).address);
    expect(given.size).toBe(4);
    expect(given).not.toContain(lost.address);
    expect((await shop.create()).address).toBe(lost.address);
  });

  test('nor is one given again that was let go since, while another is free: its customer may pay late', async () => {
    const policy = { quarantine: 'soft', lifetimeSeconds: 1_800, quarantineSeconds: 1_800 } as const;
    const shop = await openShop(await openTestDb(), { addresses: 3, payments: policy });
    const lost = await shop.create();
    await forget(shop, lost);
    await hold(shop);
    shop.passTime(1_810);
    await shop.read();
    const given: string[] = [];
    for (let n = 0; n < 4; n++) {
      const payment = await shop.create();
      given.push(payment.address);
      await shop.cancel(payment);
      shop.passTime(10);
    }
    expect(new Set(given.slice(0, 3)).size).toBe(3);
    expect(given[2]).toBe(lost.address);
    expect(given[3]).toBe(given[0]);
  });

  test.each([
    ['soft', 1_800],
    ['strict', 5_400],
  ] as const)(
    'an address that one of them has is given to nobody while it can be paid, and its money is nobody’s, in a %s quarantine',
    async (quarantine, seconds) => {
      const policy = { quarantine, lifetimeSeconds: 1_800, quarantineSeconds: 3_600 };
      const shop = await openShop(await openTestDb(), { addresses: 1, payments: policy });
      const lost = await shop.create();
      await forget(shop, lost);
      const { until } = await hold(shop);
      // A shorter one ends nothing before its time, and says so.
      expect(await hold(shop, 60_000)).toMatchObject({ until });
      expect(await shop.tryCreate({})).toEqual({
        outcome: 'all_held',
        retryAfterSeconds: seconds,
        heldBack: expect.stringMatching(
          /^the receive addresses are held back until 20\S+Z, because payments/,
        ),
      });
      shop.pay(lost, 50);
      await shop.confirmAll();
      expect(await shop.unmatched()).toMatchObject([{ recipient: keyOfHex(lost.address) }]);
      shop.passTime(seconds - 60);
      await shop.read();
      expect(await shop.tryCreate({})).toMatchObject({ outcome: 'all_held' });
      shop.passTime(60);
      await shop.read();
      expect((await shop.create()).address).toBe(lost.address);
    },
  );

  test('their money confirms no payment that had the address before, also where late money confirms by itself', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 1, payments: { late: 'confirm' } });
    const before = await shop.create();
    shop.passTime(1_810);
    await shop.read();
    const lost = await shop.create();
    expect(lost.address).toBe(before.address);
    await forget(shop, lost);
    await hold(shop);
    shop.pay(lost, 50);
    await shop.confirmAll();
    expect(await shop.state(before)).toBe('expired late');
    expect((await shop.accept(before)).outcome).toBe('accepted');
    const after = await createLate(shop);
    shop.pay(after, 50);
    await shop.confirmAll();
    expect(await shop.state(after)).toBe('confirmed late');
  });

  test('nor one that the chain took back after it was confirmed', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 1, payments: { late: 'confirm' } });
    const before = await shop.create();
    shop.pay(before, 50);
    await shop.confirmAll();
    const lost = await shop.create();
    await forget(shop, lost);
    await hold(shop);
    shop.chains.bsc.reorg(4);
    await shop.confirmAll();
    expect(await shop.state(before)).toBe('failed reorged');
    shop.pay(lost, 50);
    await shop.confirmAll();
    expect(await shop.state(before)).toBe('failed reorged');
    expect(await shop.events(before)).toContain('payment.late');
  });

  test('where nothing was lost, as a release says, late money confirms by itself as ever', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 1, payments: { late: 'confirm' } });
    const payment = await createLate(shop);
    await hold(shop);
    await inTransaction(shop.db, (trx) => releaseAddresses(trx, { at: shop.clock(), actor: 'cli' }));
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed late');
  });

  test('it lasts as long as they could be paid, also where payments have less time since', async () => {
    const shop = await openShop(await openTestDb(), { payments: { lifetimeSeconds: 86_400 } });
    await shop.create();
    await forget(shop, await shop.create());
    const { until } = await hold(shop, undefined, { ...shop.config.payments, lifetimeSeconds: 1_800 });
    expect(until - shop.clock()).toBe(86_400_000);
  });

  test('no delivery has the id of one that was lost, which its receiver has seen', async () => {
    const shop = await openShop(await openTestDb());
    const { addEndpoint, happen } = await openWebhooks(shop.db, shop.clock);
    await addEndpoint('http://127.0.0.1:1/');
    const sendOne = async () => {
      await happen();
      return (await listDeliveries(shop.db, { limit: 1 }))[0]?.id ?? 0;
    };
    await hold(shop);
    const first = await sendOne();
    expect(first).toBeGreaterThan(1_000_000);
    expect(await sendOne()).toBe(first + 1);
    await hold(shop);
    expect(await sendOne()).toBeGreaterThan(first + 1_000_000);
  });

  test('an address that is added is given out at once, and again when it is let go; so are all when they are released', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 1 });
    const lost = await shop.create();
    await forget(shop, lost);
    await hold(shop);
    const added = await importAddress(shop, 700);
    const payment = await shop.create();
    expect(payment.address).toBe(added);
    expect((await shop.tryCreate({})).outcome).toBe('all_held');
    shop.passTime(1);
    await shop.cancel(payment);
    expect((await shop.create()).address).toBe(added);
    const release = () =>
      inTransaction(shop.db, (trx) => releaseAddresses(trx, { at: shop.clock(), actor: 'cli' }));
    expect(await release()).toBe(true);
    expect(await release()).toBe(false);
    expect((await shop.create()).address).toBe(lost.address);
  });

  test.each(['a release', 'the end of a hold and a quarantine'])(
    'addresses are chosen after %s as if there had never been a hold, also where the quarantine is soft',
    async (after) => {
      const policy = { quarantine: 'soft', lifetimeSeconds: 1_800, quarantineSeconds: 1_800 } as const;
      const shop = await openShop(await openTestDb(), { addresses: 2, payments: policy });
      const first = await shop.create();
      await shop.cancel(first);
      await hold(shop);
      const added = await importAddress(shop, 700);
      const { addressAt } = await addKey(shop);
      await hold(shop);
      if (after === 'a release')
        await inTransaction(shop.db, (trx) => releaseAddresses(trx, { at: shop.clock(), actor: 'cli' }));
      else
        for (let hours = 0; hours < 2; hours++) {
          shop.passTime(1_800);
          await shop.read();
        }
      const given: string[] = [];
      for (let n = 0; n < 23; n++) given.push((await shop.create()).address);
      const ahead = Array.from({ length: 20 }, (_, index) => addressAt(index));
      const last = after === 'a release' ? addressAt(20) : first.address;
      expect(given).toEqual([expect.any(String), added, ...ahead, last]);
    },
  );

  test('a key derives ahead, so that money for the lost is seen, and goes on beyond that', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 0 });
    const { id, addressAt } = await addKey(shop);
    const kept = await shop.create();
    const lost = [await shop.create(), await shop.create()];
    for (const payment of lost) await forget(shop, payment);
    await shop.db.deleteFrom('addresses').where('derivation_index', '>', 0).execute();
    await inTransaction(shop.db, (trx) => setNextIndex(trx, id, 1));
    expect(await hold(shop)).toMatchObject({ derivedAhead: 20 });
    expect((await shop.create()).address).toBe(addressAt(21));
    for (const payment of lost) shop.pay(payment, 50);
    await shop.confirmAll();
    const found = (await shop.unmatched()).map(({ recipient }) => recipient);
    expect(found.toSorted()).toEqual(lost.map(({ address }) => keyOfHex(address)).toSorted());
    expect(await shop.state(kept)).toBe('pending');

    // As many as in a day, and never beyond the limit.
    shop.passTime(10);
    expect(await hold(shop)).toMatchObject({ derivedAhead: 22 });
    expect(await hold(shop)).toMatchObject({ derivedAhead: 16 });
    expect(await hold(shop)).toMatchObject({ derivedAhead: 0 });
  });

  test('a key gives no address that a lost payment may have had before it has derived ahead, also where that was interrupted', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 0 });
    const { addressAt } = await addKey(shop);
    const lost = await shop.create();
    await forget(shop, lost);
    await shop.db.deleteFrom('addresses').execute();
    await shop.db.updateTable('derived_pools').set({ next_index: 0 }).execute();
    const { chains } = shop.config;
    const request = await holdRequest(shop);
    await inTransaction(shop.db, (trx) => beginHold(trx, chains, request));
    expect(await shop.tryCreate({})).toEqual({ outcome: 'all_held', retryAfterSeconds: 5 });
    const added = await importAddress(shop, 700);
    expect((await shop.create()).address).toBe(added);

    // What was taken by hand meanwhile is passed over. A daemon goes on, whoever was interrupted.
    const rows = [{ network: 'bsc', address: addressAt(3), currency: '', label: '' }];
    await checkAndAddAddresses(shop, { merchantId: shop.merchantId, rows, actor: 'cli' });
    expect(await deriveAhead(shop.db, chains, shop.clock())).toBe(20);
    expect(await deriveAhead(shop.db, chains, shop.clock())).toBe(0);
    expect((await shop.create()).address).toBe(addressAt(21));
    shop.pay(lost, 50);
    await shop.confirmAll();
    expect(await shop.unmatched()).toMatchObject([{ recipient: keyOfHex(lost.address) }]);
  });

  test('others add addresses between the keys that a hold derives ahead of, however many there are', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 0 });
    for (let account = 0; account < 10; account++) await addKey(shop, account);
    let isHeld = false;
    const held = hold(shop).finally(() => {
      isHeld = true;
    });
    let between = 0;
    for (let n = 0; !isHeld; n++) {
      await importAddress(shop, 700 + n);
      if (!isHeld) between += 1;
    }
    expect(await held).toMatchObject({ derivedAhead: 200 });
    expect(between).toBeGreaterThan(3);
  });

  test.runIf(kind === 'PostgreSQL')(
    'a hold waits for who adds addresses or removes a key, and has nothing meanwhile that these wait for',
    async () => {
      const shop = await openShop(await openTestDb(), { addresses: 1 });
      const { id } = await addKey(shop);
      const { db, merchantId } = shop;
      let held: ReturnType<typeof hold> | undefined;
      await inTransaction(db, async (trx) => {
        await serializeInserts(trx, 'addresses');
        await sql`set local lock_timeout = '500ms'`.execute(trx);
        held = hold(shop);
        await isWaiting(db);
        const removed = await removeDerivedPool(trx, { merchantId, poolId: id, at: shop.clock() });
        expect(removed).toEqual({ retired: 0, held: 0 });
        await addAddresses(trx, merchantId, [newAddress(700)], shop.clock());
      });
      expect(await held).toMatchObject({ derivedAhead: 0, lastAddressId: 3 });
    },
  );

  test('no payment gets a held address after the hold is written, however many are being made', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 60 });
    const taken = async () => {
      const rows = await shop.db.selectFrom('onchain_payments').select('payment_id').execute();
      return rows.length;
    };
    const creations = Array.from({ length: 40 }, () => shop.tryCreate({}));
    await creations[0];
    await hold(shop);
    const before = await taken();
    const outcomes = await Promise.all([
      ...creations,
      ...Array.from({ length: 5 }, () => shop.tryCreate({})),
    ]);
    expect(await taken()).toBe(before);
    expect(outcomes.filter(({ outcome }) => outcome === 'created')).toHaveLength(before);
    expect(before).toBeGreaterThan(0);
  });

  test('held addresses count as in quarantine, and the methods say until when', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 3 });
    const payment = await shop.create();
    await hold(shop);
    const { db, config, clock, merchantId } = shop;
    const [pool] = await describePools(db, merchantId, config.payments, clock());
    expect(pool).toMatchObject({ free: 0, held: 1, quarantined: 2, heldBack: 2, level: 'exhausted' });
    const rates = { usdPer: testUsdPer, quote: () => null };
    const [method] = await listMethods({ db, config, clock, timeOf: testTime, rates }, merchantId, []);
    expect(method).toMatchObject({
      onchain: { freeAddresses: 0 },
      trouble: { kind: 'held', text: expect.stringContaining('held back until') },
    });
    const quarantine = await readQuarantine(db, 0, clock());
    const listed = await listAddresses(db, { merchantId, network: 'bsc', afterId: 0, limit: 9 });
    const states = listed.map((address) => presentAddress(address, quarantine).state);
    expect(states.toSorted()).toEqual(['held', 'quarantined', 'quarantined']);
    expect(await shop.state(payment)).toBe('pending');
  });

  test('an expired payment gets no fresh quote at its address, which a lost one may have had since', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 1, payments: { lifetimeSeconds: 600 } });
    const payment = await shop.create();
    shop.passTime(700);
    shop.passTime(2);
    await shop.read();
    expect(await shop.state(payment)).toBe('expired');
    await hold(shop);
    const { db, config, clock, creator } = shop;
    const rates = { usdPer: testUsdPer, quote: () => null };
    expect(
      await requotePayment({ db, config, clock, rates, payments: creator }, payment.paymentToken),
    ).toEqual({
      outcome: 'refused',
      why: 'address_taken',
    });
  });
});
