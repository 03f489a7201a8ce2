import { sql } from 'kysely';
import type { Trx } from '../schema.ts';

/** Unix ms by PostgreSQL's clock, at this moment and not at the beginning of the transaction. */
const databaseNow = sql<number>`cast(extract(epoch from clock_timestamp()) * 1000 as bigint)`;

/**
 * Takes or keeps a lease for `forMs` from now, by PostgreSQL's clock: of several processes on one database, one does a
 * job, whatever their own clocks say.
 *
 * @returns whether `holder` has it now.
 */
export async function takeLease(
  trx: Trx,
  { name, holder, forMs }: { name: string; holder: string; forMs: number },
): Promise<boolean> {
  const until = sql<number>`${databaseNow} + ${forMs}`;
  const result = await trx
    .insertInto('leases')
    .values({ name, holder, until })
    .onConflict((conflict) =>
      conflict
        .column('name')
        .doUpdateSet({ holder, until })
        .where((eb) => eb.or([eb('leases.holder', '=', holder), eb('leases.until', '<=', databaseNow)])),
    )
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

export async function releaseLease(trx: Trx, lease: { name: string; holder: string }): Promise<void> {
  await trx.deleteFrom('leases').where('name', '=', lease.name).where('holder', '=', lease.holder).execute();
}
