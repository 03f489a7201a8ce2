import type { Trx } from '../schema.ts';

/**
 * Takes or keeps a lease until `until` (Unix ms): of several processes on one database, one does a job.
 *
 * @returns whether `holder` has it now.
 */
export async function takeLease(
  trx: Trx,
  lease: { name: string; holder: string; now: number; until: number },
): Promise<boolean> {
  const { name, holder, now, until } = lease;
  const result = await trx
    .insertInto('leases')
    .values({ name, holder, until })
    .onConflict((conflict) =>
      conflict
        .column('name')
        .doUpdateSet({ holder, until })
        .where((eb) => eb.or([eb('leases.holder', '=', holder), eb('leases.until', '<=', now)])),
    )
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

export async function releaseLease(trx: Trx, lease: { name: string; holder: string }): Promise<void> {
  await trx.deleteFrom('leases').where('name', '=', lease.name).where('holder', '=', lease.holder).execute();
}
