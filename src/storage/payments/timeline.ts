import type { Db } from '../schema.ts';

/** What was told of a payment, and how that went. */
export type Told = {
  type: string;
  at: number;
  delivery: {
    id: number;
    state: string;
    attempts: number;
    lastStatus: number | null;
    lastError: string | null;
    url: string;
    at: number;
    finishedAt: number | null;
  } | null;
};

/** Oldest first; an event once for each of its deliveries. */
export async function listTold(db: Db, paymentId: number, limit: number): Promise<Told[]> {
  const rows = await db
    .selectFrom('events')
    .leftJoin('deliveries', 'deliveries.event_sequence', 'events.sequence')
    .leftJoin('webhook_endpoints', 'webhook_endpoints.id', 'deliveries.endpoint_id')
    .select([
      'events.type',
      'events.created_at as event_at',
      'deliveries.id',
      'deliveries.state',
      'deliveries.attempts',
      'deliveries.last_status',
      'deliveries.last_error',
      'deliveries.created_at',
      'deliveries.finished_at',
      'webhook_endpoints.url',
    ])
    .where('events.payment_id', '=', paymentId)
    .orderBy('events.sequence')
    .orderBy('deliveries.id')
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    type: row.type,
    at: row.event_at,
    delivery:
      row.id === null
        ? null
        : {
            id: row.id,
            state: row.state ?? '',
            attempts: row.attempts ?? 0,
            lastStatus: row.last_status,
            lastError: row.last_error,
            url: row.url ?? '',
            at: row.created_at ?? row.event_at,
            finishedAt: row.finished_at,
          },
  }));
}

/** Of every deposit that was recorded for a payment, also what the chain took back; oldest first. */
export async function listDepositsOf(db: Db, paymentId: number, limit: number) {
  return db
    .selectFrom('deposits')
    .select([
      'network',
      'tx_hash',
      'amount',
      'decimals',
      'currency',
      'height',
      'block_time',
      'status',
      'role',
      'seen_at',
      'reported_by',
    ])
    .where('payment_id', '=', paymentId)
    .orderBy('id')
    .limit(limit)
    .execute();
}
