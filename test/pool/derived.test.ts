import { HDKey } from '@scure/bip32';
import { expect, test } from 'vitest';
import { parseAccountKey } from '../../src/core/account-key.ts';
import type { Address } from '../../src/core/address.ts';
import {
  changePoolLimit,
  createDerivedPool,
  type DerivedPoolRequest,
  describeDerivedPools,
  endDerivedPool,
} from '../../src/pool/derived.ts';
import { checkAndAddAddresses } from '../../src/pool/import.ts';
import { listAudit } from '../../src/storage/operators/audit.ts';
import type { Db } from '../../src/storage/schema.ts';
import { describeDatabases } from '../support/databases.ts';
import { openShop, type Shop, type ShopOptions } from '../support/shop.ts';

const root = HDKey.fromMasterSeed(Buffer.alloc(32, 9));
const account = root.derive("m/44'/60'/0'");
const xpub = account.publicExtendedKey;

/** The address at `m/0/index` below the account. */
function addressAt(index: number): Address {
  const key = parseAccountKey(xpub);
  if ('error' in key) throw new Error(key.error);
  return key.addressAt('evm', index).address;
}

function addPool(shop: Shop, changes: Partial<DerivedPoolRequest> = {}) {
  return createDerivedPool(shop, {
    merchantId: shop.merchantId,
    network: 'bsc',
    currency: '',
    label: '',
    xpub,
    limit: 5,
    actor: 'cli',
    ...changes,
  });
}

/** A shop without any address of its own, and a derived pool. */
async function derivingShop(db: Db, pool: Partial<DerivedPoolRequest> = {}, options: ShopOptions = {}) {
  const shop = await openShop(db, { addresses: 0, ...options });
  const outcome = await addPool(shop, pool);
  if ('error' in outcome) throw new Error(outcome.error);
  return { shop, pool: outcome.pool };
}

function listByHand(shop: Shop, address: string, network = 'bsc', merchantId = shop.merchantId) {
  return checkAndAddAddresses(shop, {
    merchantId,
    rows: [{ network, address, currency: '', label: '' }],
    actor: 'cli',
  });
}

async function stored(db: Db): Promise<[number | null, string][]> {
  const rows = await db
    .selectFrom('addresses')
    .select(['derivation_index', 'address'])
    .where('source', '=', 'derived')
    .orderBy('derivation_index')
    .execute();
  return rows.map((row) => [row.derivation_index, row.address]);
}

describeDatabases('a derived pool', (openTestDb) => {
  test('gives each payment that finds no free address the next one below the key, from 0', async () => {
    const { shop } = await derivingShop(await openTestDb());
    const payments = [await shop.create(), await shop.create(), await shop.create()];
    expect(payments.map((payment) => payment.address)).toEqual([0, 1, 2].map(addressAt));
    expect(await stored(shop.db)).toEqual([0, 1, 2].map((index) => [index, addressAt(index)]));
  });

  test('derives nothing before a payment needs it, and nothing for one that is refused', async () => {
    const { shop } = await derivingShop(await openTestDb(), { currency: 'usdc' });
    expect(await stored(shop.db)).toEqual([]);
    expect((await shop.tryCreate({ currency: 'usdt' })).outcome).toBe('no_address');
    expect((await shop.tryCreate({ currency: 'usdc', network: 'ethereum' })).outcome).toBe('no_address');
    expect(await stored(shop.db)).toEqual([]);
  });

  test('is paid like any other: what reaches an address derived a moment ago is seen', async () => {
    const { shop } = await derivingShop(await openTestDb());
    const payment = await shop.create();
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed');
  });

  test('is drawn from only when no address is free: free ones first, the lowest index first', async () => {
    const { shop } = await derivingShop(await openTestDb(), {}, { payments: { quarantineSeconds: 600 } });
    const [first, second] = [await shop.create(), await shop.create()];
    await shop.cancel(second);
    shop.passTime(1);
    await shop.cancel(first);
    shop.passTime(601);
    await shop.read();
    expect((await shop.create()).address).toBe(second.address);
    expect((await shop.create()).address).toBe(first.address);
    expect((await shop.create()).address).toBe(addressAt(2));
  });

  test('spares addresses in quarantine; at its limit they are used again, unless the quarantine is strict', async () => {
    for (const [quarantine, last] of [
      ['soft', 'created'],
      ['strict', 'all_held'],
    ] as const) {
      const { shop } = await derivingShop(await openTestDb(), { limit: 2 }, { payments: { quarantine } });
      const first = await shop.create();
      await shop.cancel(first);
      expect((await shop.create()).address).toBe(addressAt(1));
      const outcome = await shop.tryCreate({});
      expect(outcome.outcome).toBe(last);
      if (outcome.outcome === 'created') expect(outcome.view.payment.address).toBe(first.address);
      expect((await shop.tryCreate({})).outcome).toBe('all_held');
      expect(await stored(shop.db)).toHaveLength(2);
    }
  });

  test('at 40 creations at once derives each index once and stops at its limit', async () => {
    const { shop } = await derivingShop(await openTestDb(), { limit: 15 });
    const outcomes = await Promise.all(Array.from({ length: 40 }, () => shop.tryCreate({})));
    const created = outcomes.flatMap((outcome) =>
      outcome.outcome === 'created' ? [outcome.view.payment.address] : [],
    );
    const expected = Array.from({ length: 15 }, (_, index) => addressAt(index));
    expect(created.toSorted()).toEqual(expected.toSorted());
    expect(outcomes.filter((outcome) => outcome.outcome === 'all_held')).toHaveLength(25);
  });

  test('passes over an address that is listed by hand, whoever listed it', async () => {
    const { shop, pool } = await derivingShop(await openTestDb());
    const rival = await shop.addShop('Rival', 0, 0);
    await listByHand(shop, addressAt(0), 'bsc', rival);
    await listByHand(shop, addressAt(2));
    await listByHand(shop, addressAt(3), 'ethereum');
    const addresses = [];
    for (let n = 0; n < 4; n++) addresses.push((await shop.create()).address);
    // The one listed by hand is free and comes first; on another network the same address is no obstacle.
    expect(addresses).toEqual([2, 1, 3, 4].map(addressAt));
    const [described] = await describeDerivedPools(shop.db, shop.merchantId);
    expect(described).toMatchObject({ id: pool.id, nextIndex: 5, gaps: { derived: 3, skipped: 2 } });
  });

  test('may be given room for more, or be told to derive no more', async () => {
    const { shop, pool } = await derivingShop(await openTestDb(), { limit: 1 });
    await shop.create();
    expect((await shop.tryCreate({})).outcome).toBe('all_held');
    const change = { merchantId: shop.merchantId, poolId: pool.id, actor: 'cli' };
    expect(await changePoolLimit(shop, { ...change, limit: 3 })).toBe(true);
    expect((await shop.create()).address).toBe(addressAt(1));
    expect(await changePoolLimit(shop, { ...change, limit: 0 })).toBe(true);
    expect((await shop.tryCreate({})).outcome).toBe('all_held');
    expect(await changePoolLimit(shop, { ...change, merchantId: 'mer_other', limit: 9 })).toBe(false);
  });

  test('takes the limit of the configuration when it names none', async () => {
    const { pool } = await derivingShop(
      await openTestDb(),
      { limit: null },
      { payments: { derivedLimit: 7 } },
    );
    expect(pool.limit).toBe(7);
  });

  test('tells the longest row of addresses that were never paid', async () => {
    const { shop } = await derivingShop(await openTestDb(), { limit: 10 });
    const payments = [];
    for (let n = 0; n < 6; n++) payments.push(await shop.create());
    for (const index of [0, 3]) {
      const payment = payments[index];
      if (payment !== undefined) shop.pay(payment, 50);
    }
    await shop.confirmAll();
    const [described] = await describeDerivedPools(shop.db, shop.merchantId);
    expect(described?.gaps).toEqual({ derived: 6, used: 2, skipped: 0, longestGap: 2 });
  });

  test('shows its first addresses; a key that is no account’s needs the first one as the wallet shows it', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 0 });
    expect(await addPool(shop)).toMatchObject({ firstAddresses: [0, 1, 2].map(addressAt) });
    const master = root.publicExtendedKey;
    const child = account.deriveChild(0);
    for (const [key, levels] of [
      [master, 0],
      [account.derive('m/1').publicExtendedKey, 4],
      // As deep as an account, and none: wallets derive those hardened.
      [root.derive("m/44'/60'").deriveChild(0).publicExtendedKey, 3],
    ] as const) {
      expect(await addPool(shop, { xpub: key })).toEqual({
        field: 'confirm_first',
        error: expect.stringContaining(`it lies ${levels} levels below the master key`),
      });
    }
    const below = parseAccountKey(master);
    if ('error' in below) throw new Error(below.error);
    const first = below.addressAt('evm', 0).address;
    expect(await addPool(shop, { xpub: master, confirmFirst: addressAt(0) })).toEqual({
      field: 'confirm_first',
      error: 'the first address below this key is another one: this is not the key of that account',
    });
    expect(await addPool(shop, { xpub: master, confirmFirst: 'shop.eth' })).toMatchObject({
      field: 'confirm_first',
    });
    const network = 'ethereum';
    const wrong = await addPool(shop, { network, xpub: child.publicExtendedKey, confirmFirst: first });
    expect(wrong).toMatchObject({ field: 'confirm_first' });
    expect(await addPool(shop, { network, confirmFirst: addressAt(0).toLowerCase() })).toMatchObject({
      firstAddresses: [addressAt(0), addressAt(1), addressAt(2)],
    });
    expect(await addPool(shop, { xpub: master, confirmFirst: first.toLowerCase() })).toMatchObject({
      firstAddresses: [first, expect.any(String), expect.any(String)],
    });
  });

  test('that is removed derives nothing more and has its addresses retired; what holds one is still paid', async () => {
    const { shop, pool } = await derivingShop(await openTestDb(), { limit: 10 });
    const [held, ended] = [await shop.create(), await shop.create()];
    await shop.cancel(ended);
    const removal = { merchantId: shop.merchantId, poolId: pool.id, actor: 'cli' };
    expect(await endDerivedPool(shop, { ...removal, merchantId: 'another' })).toBeNull();
    expect(await endDerivedPool(shop, removal)).toEqual({ retired: 2, held: 1 });
    expect(await endDerivedPool(shop, removal)).toBeNull();
    expect((await shop.tryCreate({})).outcome).toBe('no_address');
    expect(await describeDerivedPools(shop.db, shop.merchantId)).toEqual([]);
    expect(await changePoolLimit(shop, { ...removal, limit: 20 })).toBe(false);
    shop.pay(held, 50);
    await shop.confirmAll();
    expect(await shop.state(held)).toBe('confirmed');

    // The same key again, after a mistake: it goes on behind what was derived, which stays retired.
    expect(await addPool(shop, { limit: 10 })).toMatchObject({ pool: { id: pool.id, nextIndex: 2 } });
    expect((await shop.create()).address).toBe(addressAt(2));
    const audit = await listAudit(shop.db, { beforeId: null, limit: 10 });
    expect(audit.map(({ action }) => action)).toContain('derived_pool.removed');
  });

  test('may exist on each network of a merchant, and its key serves no other merchant', async () => {
    const { shop } = await derivingShop(await openTestDb());
    const rival = await shop.addShop('Rival', 0, 0);
    expect(await addPool(shop, { network: 'ethereum' })).toHaveProperty('pool');
    expect(await addPool(shop)).toEqual({ field: 'xpub', error: 'this key has a pool on bsc already' });
    expect(await addPool(shop, { merchantId: rival, network: 'ethereum' })).toEqual({
      field: 'xpub',
      error: 'another merchant has this key',
    });
    const [onBsc, onEthereum] = [await shop.create(), await shop.create({ network: 'ethereum' })];
    expect(onBsc.address).toBe(onEthereum.address);
  });

  test.each([
    ['a private key', 'xpub', { xpub: account.privateExtendedKey }, /^this looks like a private key/],
    ['a seed phrase', 'xpub', { xpub: 'all all all all all all all all all all all all' }, /seed phrase/],
    ['a mistyped key', 'xpub', { xpub: `${xpub.slice(0, -1)}x` }, /mistyped/],
    ['a chain that is off', 'network', { network: 'tron' }, /tron is off/],
    ['a currency that is not offered', 'currency', { currency: 'doge' }, /cannot be paid on bsc/],
    ['a label of two lines', 'label', { label: 'a\nb' }, /line breaks/],
  ] as const)(
    'is refused for %s, names the field, and stores nothing',
    async (_, field, changes, message) => {
      const shop = await openShop(await openTestDb(), { addresses: 0 });
      const outcome = await addPool(shop, changes);
      expect(outcome).toEqual({ field, error: expect.stringMatching(message) });
      expect(await describeDerivedPools(shop.db, shop.merchantId)).toEqual([]);
      const audit = JSON.stringify(await listAudit(shop.db, { beforeId: null, limit: 10 }));
      expect(audit).not.toMatch(/xprv|derived_pool/);
    },
  );

  test('is in the audit log without the whole key, from which every payment could be followed', async () => {
    const { shop } = await derivingShop(await openTestDb());
    const [entry] = await listAudit(shop.db, { beforeId: null, limit: 1 });
    expect(entry).toMatchObject({
      action: 'derived_pool.added',
      subject: shop.merchantId,
      detail: { network: 'bsc', limit: 5, key: `${xpub.slice(0, 8)}…${xpub.slice(-6)}` },
    });
    expect(JSON.stringify(entry)).not.toContain(xpub);
  });
});
