import { sql } from 'kysely';
import type { Network } from '../../core/networks.ts';
import type { Db, Trx } from '../schema.ts';

/** Unix ms by PostgreSQL's clock, at this moment and not at the beginning of the transaction. */
const databaseNow = sql<number>`cast(extract(epoch from clock_timestamp()) * 1000 as bigint)`;

/** Whoever has this one reads the chain. */
export function leaseOf(network: Network): string {
  return `chain ${network}`;
}

/** Who reads each chain; on SQLite nobody needs to say so. */
export async function listChainLeaders(db: Db): Promise<{ network: Network; holder: string }[]> {
  const rows = await db
    .selectFrom('leases')
    .select(['name', 'holder'])
    .where('name', 'like', leaseOf('%' as Network))
    .orderBy('name')
    .execute();
  return rows.map(({ name, holder }) => ({
    network: name.slice(leaseOf('' as Network).length) as Network,
    holder,
  }));
}

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

/** Whether `holder` still has the lease: then nobody else takes it before this transaction ends. */
export async function holdLease(trx: Trx, lease: { name: string; holder: string }): Promise<boolean> {
  const row = await trx
    .selectFrom('leases')
    .select('name')
    .where('name', '=', lease.name)
    .where('holder', '=', lease.holder)
    .forShare()
    .executeTakeFirst();
  return row !== undefined;
}

export async function releaseLease(trx: Trx, lease: { name: string; holder: string }): Promise<void> {
  await trx.deleteFrom('leases').where('name', '=', lease.name).where('holder', '=', lease.holder).execute();
}
