import type { Db, Trx } from '../schema.ts';

export type NewInboundEvent = {
  provider: string;
  dedupeKey: string;
  verdict: string;
  reading: string;
  type: string;
  chargeId: string | null;
  reference: string | null;
  body: string;
  receivedAt: number;
};

export type InboundEvent = NewInboundEvent & { id: number };

/** Keeps an event; answers false for one that is known. One that is verified takes the place of one that was not. */
export async function insertInboundEvent(trx: Trx, event: NewInboundEvent): Promise<boolean> {
  const values = {
    verdict: event.verdict,
    reading: event.reading,
    type: event.type,
    charge_id: event.chargeId,
    reference: event.reference,
    body: event.body,
    received_at: event.receivedAt,
    handled_at: null,
    outcome: null,
  };
  const result = await trx
    .insertInto('inbound_events')
    .values({ provider: event.provider, dedupe_key: event.dedupeKey, ...values })
    .onConflict((conflict) =>
      event.verdict === 'unverified'
        ? conflict.columns(['provider', 'dedupe_key']).doNothing()
        : conflict
            .columns(['provider', 'dedupe_key'])
            .doUpdateSet(values)
            .where('inbound_events.verdict', '=', 'unverified'),
    )
    .executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

export async function listWaitingEvents(db: Db, provider: string, limit: number): Promise<InboundEvent[]> {
  const rows = await db
    .selectFrom('inbound_events')
    .selectAll()
    .where('provider', '=', provider)
    .where('handled_at', 'is', null)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    provider: row.provider,
    dedupeKey: row.dedupe_key,
    verdict: row.verdict,
    reading: row.reading,
    type: row.type,
    chargeId: row.charge_id,
    reference: row.reference,
    body: row.body,
    receivedAt: row.received_at,
  }));
}

export async function noteEventHandled(trx: Trx, id: number, outcome: string, at: number): Promise<void> {
  await trx.updateTable('inbound_events').set({ handled_at: at, outcome }).where('id', '=', id).execute();
}

/** Deletes those received before `before` (Unix ms), up to `limit`; answers how many. */
export async function pruneInboundEvents(trx: Trx, before: number, limit: number): Promise<number> {
  const old = trx
    .selectFrom('inbound_events')
    .select('id')
    .where('received_at', '<', before)
    .orderBy('received_at')
    .limit(limit);
  const result = await trx.deleteFrom('inbound_events').where('id', 'in', old).executeTakeFirst();
  return Number(result.numDeletedRows);
}
