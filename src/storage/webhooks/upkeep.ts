import { sql } from 'kysely';
import type { Db, Trx } from '../schema.ts';

export type ExpiredLease = {
  id: number;
  endpointId: string;
  attempt: number;
  firstAttemptAt: number;
  leaseUntil: number;
};

/** Claims whose process must be dead, oldest first. */
export async function findExpiredLeases(db: Db, until: number, limit: number): Promise<ExpiredLease[]> {
  const rows = await db
    .selectFrom('deliveries')
    .select(['id', 'endpoint_id', 'attempts', 'first_attempt_at', 'lease_until'])
    .where('state', '=', sql.lit('sending'))
    .where('lease_until', '<=', until)
    .orderBy('lease_until')
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    endpointId: row.endpoint_id,
    attempt: row.attempts,
    firstAttemptAt: row.first_attempt_at ?? 0,
    leaseUntil: row.lease_until ?? 0,
  }));
}

/**
 * Makes due what would wait for too long because the clock was set back (all Unix ms): what was never tried by `now`,
 * what is tried again by `latest`. Not what is sent again in a row, paced.
 */
export async function bringForward(
  trx: Trx,
  { now, latest }: { now: number; latest: number },
): Promise<void> {
  const pending = () => trx.updateTable('deliveries').where('state', '=', sql.lit('pending'));
  await pending()
    .set({ next_attempt_at: now })
    .where('next_attempt_at', '>', now)
    .where('lane', '=', 'fresh')
    .execute();
  await pending()
    .set({ next_attempt_at: latest })
    .where('next_attempt_at', '>', latest)
    .where('attempts', '>', 0)
    .execute();
}

/** Lets what is due after `now` (Unix ms) be due so much earlier, because the clock was set back by as much. */
export async function moveDue(trx: Trx, { now, byMs }: { now: number; byMs: number }): Promise<void> {
  await trx
    .updateTable('deliveries')
    .set({ next_attempt_at: sql<number>`next_attempt_at - ${byMs}` })
    .where('state', '=', sql.lit('pending'))
    .where('next_attempt_at', '>', now)
    .execute();
}

/** Cancels what waits for endpoints that are disabled or removed, up to `limit`; answers how many that were. */
export async function cancelOfDisabledEndpoints(
  trx: Trx,
  { limit, at }: { limit: number; at: number },
): Promise<number> {
  const result = await trx
    .updateTable('deliveries')
    .set({ state: 'cancelled', finished_at: at, lease_until: null })
    .where('state', '=', 'pending')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('deliveries')
        .select('id')
        .where('state', '=', sql.lit('pending'))
        .where('endpoint_id', 'in', trx.selectFrom('webhook_endpoints').select('id').where('active', '=', 0))
        .limit(limit),
    )
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

/** Deletes deliveries and their attempts that ended before `before`, up to `limit`; answers how many. */
export async function pruneDeliveries(trx: Trx, before: number, limit: number): Promise<number> {
  const result = await trx
    .deleteFrom('deliveries')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('deliveries')
        .select('id')
        .where('finished_at', '<', before)
        .orderBy('finished_at')
        .limit(limit),
    )
    .executeTakeFirst();
  return Number(result.numDeletedRows);
}

/** How much is due, and since when; for health and metrics. */
export async function getDeliveryBacklog(
  db: Db,
  now: number,
): Promise<{ due: number; oldestDueAt: number | null }> {
  const row = await db
    .selectFrom('deliveries')
    .select((eb) => [eb.fn.countAll().as('due'), eb.fn.min('next_attempt_at').as('oldest')])
    .where('state', '=', sql.lit('pending'))
    .where('next_attempt_at', '<=', now)
    .executeTakeFirstOrThrow();
  return { due: Number(row.due), oldestDueAt: row.oldest };
}
