import { expect, test } from 'vitest';
import type { PaymentPolicy } from '../../src/config.ts';
import { createPoolHealth } from '../../src/pool/health.ts';
import { checkAndAddAddresses } from '../../src/pool/import.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { addMerchant } from '../../src/storage/operators/merchants.ts';
import type { Db } from '../../src/storage/schema.ts';
import { evmAddress } from '../support/addresses.ts';
import { testConfig } from '../support/config.ts';
import { describeDecisions } from '../support/databases.ts';
import { captureLog } from '../support/log.ts';

const minute = 60_000;

/** A pool of ten addresses in the test's hands, and what one or two processes say of it. */
async function openPool(db: Db, policy: Partial<PaymentPolicy> = {}) {
  let now = 1_800_000_000_000;
  const clock = () => now;
  const config = testConfig();
  const { id: merchantId } = await inTransaction(db, (trx) => addMerchant(trx, { name: 'Shop', at: now }));
  const rows = Array.from({ length: 10 }, (_, n) => ({
    ...{ network: 'bsc', address: evmAddress(n), currency: 'usdt', label: '' },
  }));
  await checkAndAddAddresses({ db, config, clock }, { merchantId, rows, actor: 'cli' });
  const pool = { merchantId, network: 'bsc', currency: 'usdt' } as const;
  const { log, lines } = captureLog();
  const start = () =>
    createPoolHealth({ db, clock, log, policy: { ...config.payments, ...policy }, chains: config.chains });
  let health = start();
  return {
    restart: () => {
      health = start();
    },
    /** As if `held` payments had an address each and `resting` ones had just let go of theirs. */
    async hold(held: number, resting = 0): Promise<void> {
      const ids = (await db.selectFrom('addresses').select('id').orderBy('id').execute()).map(
        (row) => row.id,
      );
      for (const [n, id] of ids.entries()) {
        await db
          .updateTable('addresses')
          .set({ locked_by: n < held ? n + 1 : null, released_at: n >= held && n < held + resting ? now : 0 })
          .where('id', '=', id)
          .execute();
      }
      now += minute;
      health.afterLock(pool);
      await health.settled();
    },
    async refuse(): Promise<void> {
      now += minute;
      health.afterRefusal(pool);
      await health.settled();
    },
    said: () => lines.filter(({ msg }) => msg.startsWith('pool ')).map(({ msg }) => msg.slice(5)),
    events: async () =>
      (await db.selectFrom('events').select('type').orderBy('sequence').execute()).map((row) => row.type),
  };
}

describeDecisions('the health of a pool', (openTestDb) => {
  test('is told once while it hovers at the threshold, and again after it has recovered', async () => {
    const pool = await openPool(await openTestDb());
    for (const held of [8, 9, 8, 9, 10, 9, 8]) await pool.hold(held);
    expect(pool.said()).toEqual(['low']);
    expect(await pool.events()).toEqual(['pool.low']);
    await pool.hold(7);
    await pool.hold(9);
    expect(pool.said()).toEqual(['low', 'recovered', 'low']);
    expect(await pool.events()).toEqual(['pool.low', 'pool.low']);
  });

  test('at each refusal is logged, and told by an event only once until it has recovered', async () => {
    const pool = await openPool(await openTestDb());
    await pool.hold(10);
    for (let n = 0; n < 3; n++) await pool.refuse();
    expect(pool.said()).toEqual(['low', 'exhausted', 'exhausted', 'exhausted']);
    expect(await pool.events()).toEqual(['pool.low', 'pool.exhausted']);
    await pool.hold(5);
    await pool.hold(10);
    await pool.refuse();
    expect(await pool.events()).toEqual(['pool.low', 'pool.exhausted', 'pool.low', 'pool.exhausted']);
  });

  test('is not told again by a process that starts anew, or by another one', async () => {
    const pool = await openPool(await openTestDb());
    await pool.hold(9);
    pool.restart();
    await pool.hold(9);
    expect(await pool.events()).toEqual(['pool.low']);
    // The log is of one process: the new one says what it found.
    expect(pool.said()).toEqual(['low', 'low']);
    pool.restart();
    await pool.hold(2);
    expect(pool.said()).toEqual(['low', 'low', 'recovered']);
    await pool.hold(9);
    expect(await pool.events()).toEqual(['pool.low', 'pool.low']);
  });

  test('counts addresses in quarantine as free where it is soft, and as held where it is strict', async () => {
    const soft = await openPool(await openTestDb());
    await soft.hold(2, 7);
    expect(soft.said()).toEqual([]);
    const strict = await openPool(await openTestDb(), { quarantine: 'strict', quarantineSeconds: 600 });
    await strict.hold(2, 7);
    expect(strict.said()).toEqual(['low']);
  });
});
