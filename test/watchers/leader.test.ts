import { sql } from 'kysely';
import { expect, onTestFinished, test } from 'vitest';
import { inTransaction } from '../../src/storage/database.ts';
import type { Db } from '../../src/storage/schema.ts';
import { createLeader, LeaseLost, leaseMs } from '../../src/watchers/leader.ts';
import { describeDatabases } from '../support/databases.ts';
import { silentLog } from '../support/log.ts';
import { waitFor } from '../support/wait.ts';

const name = 'chain bsc';

function leaderOf(db: Db, holder: string) {
  const leader = createLeader({ db, name, holder, log: silentLog });
  onTestFinished(() => leader.resign());
  return leader;
}

/** For the database alone; a process that was paused has not noticed. */
async function passLease(db: Db): Promise<void> {
  await sql`update leases set until = until - ${leaseMs}`.execute(db);
}

const write = (db: Db) => (value: string) =>
  inTransaction(db, async (trx) => {
    const row = { name: 'written', holder: value, until: 0 };
    await trx
      .insertInto('leases')
      .values(row)
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ holder: value }))
      .execute();
  });

async function written(db: Db): Promise<string | undefined> {
  const query = db.selectFrom('leases').select('holder').where('name', '=', 'written');
  return (await query.executeTakeFirst())?.holder;
}

describeDatabases('the leader of a chain', (openTestDb, kind) => {
  test.runIf(kind === 'PostgreSQL')(
    'that was paused for longer than its lease commits nothing once another leads, though it believes to lead',
    async () => {
      const db = await openTestDb();
      const paused = leaderOf(db, 'paused');
      expect(await paused.leads()).toBe(true);
      await write(paused.db)('by the first');
      await passLease(db);
      const other = leaderOf(db, 'other');
      expect(await other.leads()).toBe(true);
      expect(await paused.leads()).toBe(true);
      await expect(write(paused.db)('by the paused one')).rejects.toThrow(LeaseLost);
      expect(await written(db)).toBe('by the first');
      expect(await paused.leads()).toBe(false);
      await write(other.db)('by the other');
      expect(await written(db)).toBe('by the other');
    },
  );

  test.runIf(kind === 'PostgreSQL')(
    'that nobody has replaced commits after the end of its lease, and nobody takes over before that is done',
    async () => {
      const db = await openTestDb();
      const slow = leaderOf(db, 'slow');
      expect(await slow.leads()).toBe(true);
      const taking = Promise.withResolvers<unknown>();
      let taken = false;
      await passLease(db);
      await inTransaction(slow.db, async () => {
        const other = leaderOf(db, 'other');
        const led = other.leads().then((leads) => {
          taken = leads;
        });
        taking.resolve(led);
        await waitFor('the other to wait for this transaction', async () => {
          const { rows } = await sql`select 1 from pg_locks where not granted`.execute(db);
          return rows.length > 0;
        });
        expect(taken).toBe(false);
      });
      await taking.promise;
      expect(taken).toBe(true);
    },
  );

  test.runIf(kind === 'PostgreSQL')('lets another lead at once when it resigns', async () => {
    const db = await openTestDb();
    const first = leaderOf(db, 'first');
    expect(await first.leads()).toBe(true);
    const second = leaderOf(db, 'second');
    expect(await second.leads()).toBe(false);
    await first.resign();
    await waitFor('the second to lead', () => second.leads());
  });

  test.runIf(kind === 'SQLite')('is the one daemon that there is', async () => {
    const db = await openTestDb();
    expect(await leaderOf(db, 'alone').leads()).toBe(true);
    await write(leaderOf(db, 'alone').db)('by it');
    expect(await written(db)).toBe('by it');
  });
});
