import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AddressKey } from '../../src/core/address.ts';
import { inTransaction, serializeInserts } from '../../src/storage/database.ts';
import type { Db } from '../../src/storage/schema.ts';
import { createAddressSet } from '../../src/watchers/address-set.ts';
import { createWatchlist, type TableWatchlist, usedLatelyMs } from '../../src/watchers/watchlist.ts';
import { describeDecisions } from '../support/databases.ts';
import { InjectedFault } from '../support/faulty-db.ts';

const key = fc.stringMatching(/^[0-9a-f]{40}$/) as fc.Arbitrary<AddressKey>;

test('an address set answers as a Set of strings does', () => {
  fc.assert(
    fc.property(fc.array(key, { maxLength: 50 }), fc.array(key, { maxLength: 20 }), (members, others) => {
      const set = createAddressSet();
      const reference = new Set<AddressKey>();
      for (const member of [...members, ...members]) {
        expect(set.add(member)).toBe(!reference.has(member));
        reference.add(member);
      }
      expect(set.size).toBe(reference.size);
      expect([...set.keys()]).toEqual([...reference]);
      for (const one of [...members, ...others]) expect(set.has(one)).toBe(reference.has(one));
    }),
  );
});

test('addresses that differ in one digit are told apart', () => {
  const set = createAddressSet();
  const [zero, ...rest] = ['0', '1', 'f'].flatMap((digit) =>
    Array.from({ length: 40 }, (_, at) => `${'0'.repeat(at)}${digit}${'0'.repeat(39 - at)}` as AddressKey),
  );
  set.add(zero as AddressKey);
  for (const other of rest) expect(set.has(other)).toBe(other === zero);
});

test('E4: a hundred thousand addresses take about thirty bytes each and are all found', () => {
  const keys = Array.from({ length: 100_000 }, () => randomBytes(20).toString('hex') as AddressKey);
  const before = process.memoryUsage().arrayBuffers;
  const set = createAddressSet();
  for (const one of keys) set.add(one);
  expect((process.memoryUsage().arrayBuffers - before) / keys.length).toBeLessThan(60);
  expect(keys.every((one) => set.has(one))).toBe(true);
  expect(
    keys.some((one) => set.has(one.replace(/^./, (digit) => (digit === 'a' ? 'b' : 'a')) as AddressKey)),
  ).toBe(false);
});

describeDecisions('the watchlist', (openTestDb) => {
  test('watches every address of the family, whatever network it was added for and whether active or not', async () => {
    const db = await openTestDb();
    await addAddresses(db, ['bsc', 'ethereum', 'tron', 'bsc'], [0, 1, 2]);
    const watch = createWatchlist('evm');
    expect(watch.size).toBe(0);
    await watch.refresh(db);
    expect([...watch.keys()].sort()).toEqual([0, 1, 3].map(keyOfNumber));
    expect(watch.has(keyOfNumber(2))).toBe(false);
  });

  test('takes in only what is new, and each address once', async () => {
    const db = await openTestDb();
    await addAddresses(db, ['bsc', 'bsc']);
    const watch = createWatchlist('evm');
    await watch.refresh(db);
    await addAddresses(db, ['ethereum', 'ethereum', 'ethereum']);
    await watch.refresh(db);
    await watch.refresh(db);
    expect(watch.size).toBe(3);
    expect(watch.has(keyOfNumber(2))).toBe(true);
  });

  test('a first reading that fails half-way misses nothing once it is repeated', async () => {
    const db = await openTestDb();
    await addAddresses(db, ['bsc', 'ethereum', 'bsc']);
    for (let failing = 1; ; failing++) {
      const watch = createWatchlist('evm', { afterMs: 1000, clock: () => 0 });
      const failure = await watch.refresh(failingAt(db, failing)).then(
        () => null,
        (error: unknown) => error,
      );
      await watch.refresh(db);
      expect([...watch.keys()].sort()).toEqual([0, 1, 2].map(keyOfNumber));
      if (failure === null) break;
      expect(failure).toBeInstanceOf(InjectedFault);
    }
  });

  test('reads the table anew when it is told that rows were lost, also where the last one is the same', async () => {
    const db = await openTestDb();
    await addAddresses(db, ['bsc', 'bsc', 'bsc']);
    const watch = createWatchlist('evm');
    await watch.refresh(db);
    await db
      .updateTable('addresses')
      .set({ address_key: keyOfNumber(8) })
      .where('id', '=', 1)
      .execute();
    watch.startOver();
    await watch.refresh(db);
    expect([...watch.keys()].sort()).toEqual([1, 2, 8].map(keyOfNumber));
  });

  const keysOf = (watch: TableWatchlist) => [...watch.keys()].sort();

  test.each([
    ['fewer rows', [10], 1],
    ['as many rows', [10, 11, 12], 1],
    ['more rows', [10, 11, 12, 13, 14], 1],
    ['the same addresses in another order', [3, 2, 4], 1],
    ['other addresses below the same last one', [10, 11, 4], 1],
    ['nothing yet', [], 1],
  ])(
    'takes in what was given the ids of rows that a failover lost, and lets go of these: %s',
    async (_, anew, at) => {
      const db = await openTestDb();
      await addAddresses(db, ['bsc', 'ethereum', 'bsc', 'ethereum', 'bsc']);
      const watch = createWatchlist('evm', { afterMs: 1000, clock: () => 0 });
      await watch.refresh(db);
      await inTransaction(db, (trx) => trx.deleteFrom('addresses').where('id', '>', 2).execute());
      await addAddresses(db, [], [], { from: 3, numbers: anew, at });
      await watch.refresh(db);
      expect(keysOf(watch)).toEqual([0, 1, ...anew].map(keyOfNumber).sort());
      await addAddresses(db, ['bsc'], [], { from: 20, numbers: [20], at });
      await watch.refresh(db);
      expect(watch.has(keyOfNumber(20))).toBe(true);
    },
  );

  test('takes in an address that returned to service under the number of a return that was lost', async () => {
    const db = await openTestDb();
    await addAddresses(db, ['bsc', 'bsc', 'bsc'], [0, 1]);
    const watch = createWatchlist('evm', { afterMs: 1000, clock: () => 5000 });
    await inTransaction(db, (trx) => trx.updateTable('addresses').set({ created_at: -9000 }).execute());
    await watch.refresh(db);
    expect(keysOf(watch)).toEqual([keyOfNumber(2)]);
    const bringBack = (addressId: number) =>
      inTransaction(db, async (trx) => {
        await trx.updateTable('addresses').set({ active: 1 }).where('id', '=', addressId).execute();
        await trx
          .insertInto('address_returns')
          .values({ id: 7, address_id: addressId, at: addressId })
          .execute();
      });
    await bringBack(1);
    await watch.refresh(db);
    expect(keysOf(watch)).toEqual([0, 2].map(keyOfNumber));
    await inTransaction(db, async (trx) => {
      await trx.deleteFrom('address_returns').execute();
      await trx.updateTable('addresses').set({ active: 0 }).where('id', '=', 1).execute();
    });
    await bringBack(2);
    await watch.refresh(db);
    expect(keysOf(watch)).toEqual([1, 2].map(keyOfNumber));
  });

  test('watches what is in use, whatever it has taken in, as long as that is so', async () => {
    const db = await openTestDb();
    const watch = createWatchlist('evm');
    await addAddresses(db, ['bsc']);
    await inTransaction(db, (trx) => trx.updateTable('addresses').set({ released_at: 10_000 }).execute());
    await watch.inUse(db, 10_000);
    expect(watch.has(keyOfNumber(0))).toBe(true);
    expect(watch.hasAt?.(Buffer.from(keyOfNumber(0), 'hex'), 0)).toBe(true);
    expect([watch.size, keysOf(watch)]).toEqual([1, [keyOfNumber(0)]]);
    await watch.inUse(db, 10_000 + usedLatelyMs);
    expect(watch.size).toBe(0);
  });

  test('reads a table of many pages', async () => {
    const db = await openTestDb();
    await addAddresses(
      db,
      Array.from({ length: 20_001 }, () => 'bsc'),
    );
    const watch = createWatchlist('evm');
    await Promise.all([watch.refresh(db), watch.refresh(db)]);
    expect(watch.size).toBe(20_001);
  });
});

/** The same database, of which the `n`th question is not answered. */
function failingAt(db: Db, n: number): Db {
  let asked = 0;
  return db.withPlugin({
    transformQuery({ node }) {
      asked += 1;
      if (asked === n) throw new InjectedFault(`question ${n} was made to fail`);
      return node;
    },
    transformResult: async ({ result }) => result,
  });
}

/** One address for each network given; the `inactive` ones by their place. Or with these `numbers`, and ids `from` one on. */
async function addAddresses(
  db: Db,
  networks: readonly string[],
  inactive: readonly number[] = [],
  given: { from: number; numbers: readonly number[]; at: number } | null = null,
): Promise<void> {
  const numbers = given?.numbers ?? networks.map((_, i) => i);
  await inTransaction(db, async (trx) => {
    await serializeInserts(trx, 'addresses');
    await trx
      .insertInto('merchants')
      .values({ id: 'm1', name: 'Shop', created_at: 0 })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    const rows = numbers.map((number, i) => ({
      ...(given === null ? {} : { id: given.from + i }),
      merchant_id: 'm1',
      network: networks[i] ?? 'bsc',
      // The family is told by the address itself: a network may be any that is configured.
      address: networks[i] === 'tron' ? `T${number}` : `0x${keyOfNumber(number)}`,
      address_key: keyOfNumber(number),
      currency: '',
      label: '',
      source: 'static' as const,
      active: inactive.includes(i) ? 0 : 1,
      locked_by: null,
      released_at: 0,
      created_at: given?.at ?? 0,
    }));
    for (let at = 0; at < rows.length; at += 500) {
      await trx
        .insertInto('addresses')
        .values(rows.slice(at, at + 500))
        .execute();
    }
  });
}

function keyOfNumber(number: number): AddressKey {
  return (number + 1).toString(16).padStart(40, '0') as AddressKey;
}
