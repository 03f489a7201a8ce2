import { sql } from 'kysely';
import type { Db, Trx } from '../schema.ts';

/** How one endpoint did in an interval that began at `at` (Unix ms). */
export type EndpointMeasurement = {
  endpointId: string;
  at: number;
  /** Attempts that ended. */
  succeeded: number;
  failed: number;
  /** How old the oldest delivery became that it had not got, where somebody looked; 0: there was none. */
  oldestPendingMs: number;
};

/** Adds to what is known. Rows are locked in one order, so that no two processes wait for each other. */
export async function addEndpointMeasurements(trx: Trx, rows: readonly EndpointMeasurement[]): Promise<void> {
  if (rows.length === 0) return;
  await trx
    .insertInto('endpoint_measurements')
    .values(
      rows
        .map((row) => ({
          endpoint_id: row.endpointId,
          at: row.at,
          succeeded: row.succeeded,
          failed: row.failed,
          oldest_pending_ms: row.oldestPendingMs,
        }))
        .toSorted((a, b) => (a.endpoint_id < b.endpoint_id ? -1 : 1)),
    )
    .onConflict((conflict) =>
      conflict.columns(['endpoint_id', 'at']).doUpdateSet((eb) => ({
        succeeded: eb('endpoint_measurements.succeeded', '+', eb.ref('excluded.succeeded')),
        failed: eb('endpoint_measurements.failed', '+', eb.ref('excluded.failed')),
        oldest_pending_ms: sql<number>`case when excluded.oldest_pending_ms > endpoint_measurements.oldest_pending_ms
          then excluded.oldest_pending_ms else endpoint_measurements.oldest_pending_ms end`,
      })),
    )
    .execute();
}

/** Of some endpoints in the span [since, until), Unix ms, joined in steps; the oldest first. */
export async function sumEndpointMeasurements(
  db: Db,
  {
    endpointIds,
    since,
    until,
    stepMs,
  }: { endpointIds: readonly string[]; since: number; until: number; stepMs: number },
): Promise<EndpointMeasurement[]> {
  if (endpointIds.length === 0) return [];
  const step = sql<number>`at - at % ${sql.lit(stepMs)}`;
  const rows = await db
    .selectFrom('endpoint_measurements')
    .select(({ fn }) => [
      'endpoint_id',
      step.as('step'),
      fn.sum<number>('succeeded').as('succeeded'),
      fn.sum<number>('failed').as('failed'),
      fn.max('oldest_pending_ms').as('oldest'),
    ])
    .where('endpoint_id', 'in', endpointIds)
    .where('at', '>=', since)
    .where('at', '<', until)
    .groupBy(['endpoint_id', step])
    .orderBy('step')
    .execute();
  return rows.map((row) => ({
    endpointId: row.endpoint_id,
    at: Number(row.step),
    succeeded: Number(row.succeeded),
    failed: Number(row.failed),
    oldestPendingMs: Number(row.oldest),
  }));
}

/** Attempts to an endpoint that ended since then (Unix ms, the beginning of an interval). */
export async function sumAttempts(
  db: Db,
  endpointId: string,
  since: number,
): Promise<{ succeeded: number; failed: number }> {
  const row = await db
    .selectFrom('endpoint_measurements')
    .select(({ fn }) => [fn.sum<number>('succeeded').as('succeeded'), fn.sum<number>('failed').as('failed')])
    .where('endpoint_id', '=', endpointId)
    .where('at', '>=', since)
    .executeTakeFirstOrThrow();
  return { succeeded: Number(row.succeeded ?? 0), failed: Number(row.failed ?? 0) };
}

/** Retries that are looked through for the oldest; beyond so many its exact age helps nobody. */
const mostRetries = 10_000;

/** When the oldest delivery was made that an endpoint has not got yet, Unix ms; null: it has got all. */
export async function oldestPendingAt(db: Db, endpointId: string): Promise<number | null> {
  const waiting = (lane: 'fresh' | 'backlog', limit: number) =>
    db
      .selectFrom('deliveries')
      .select('id')
      .where('endpoint_id', '=', endpointId)
      .where('lane', '=', lane)
      .where('state', '=', sql.lit('pending'))
      .orderBy('next_attempt_at')
      .orderBy('id')
      .limit(limit);
  const retries = db
    .selectFrom(waiting('backlog', mostRetries).as('retries'))
    .select(({ fn }) => fn.min('retries.id').as('id'));
  const found = [await retries.executeTakeFirst(), await waiting('fresh', 1).executeTakeFirst()];
  const ids = found.flatMap((row) => (row?.id == null ? [] : [row.id]));
  if (ids.length === 0) return null;
  const row = await db
    .selectFrom('deliveries')
    .select(({ fn }) => fn.min('created_at').as('at'))
    .where('id', 'in', ids)
    .executeTakeFirst();
  return row?.at ?? null;
}
