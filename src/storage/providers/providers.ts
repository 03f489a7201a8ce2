import { sql } from 'kysely';
import { counted } from '../../core/plural.ts';
import type { Db, Trx } from '../schema.ts';

/** How a provider does, for whoever cannot ask the process that talks to it. */
export type ProviderState = {
  name: string;
  /** Sealed. */
  inboundPath: string;
  succeededAt: number | null;
  failedAt: number | null;
  lastError: string | null;
  rejected: number;
  sweptAt: number | null;
  drift: string | null;
};

export async function findProviderState(db: Db, name: string): Promise<ProviderState | null> {
  const row = await db.selectFrom('providers').selectAll().where('name', '=', name).executeTakeFirst();
  if (row === undefined) return null;
  return {
    name: row.name,
    inboundPath: row.inbound_path,
    succeededAt: row.succeeded_at,
    failedAt: row.failed_at,
    lastError: row.last_error,
    rejected: row.rejected,
    sweptAt: row.swept_at,
    drift: row.drift,
  };
}

/** A provider that does not answer, or refuses us, did so last; `null` when it is well. */
export function providerTrouble(
  { lastError, drift }: Pick<ProviderState, 'lastError' | 'drift'>,
  oldestAnswer: number | null,
  now: number,
): string | null {
  if (lastError !== null) return 'it cannot be reached, or refuses us';
  const lateMs = oldestAnswer === null ? 0 : now - oldestAnswer;
  if (lateMs > answeredWithinMs)
    return `a payment has not been answered for ${counted(Math.floor(lateMs / 60_000), 'minute')}`;
  return drift === null ? null : `its webhook configuration is not ours: ${drift}`;
}

/** An open payment is asked about every quarter of an hour; this is a second time, and some. */
const answeredWithinMs = 35 * 60_000;

/** Where another process was faster, its path stays. */
export async function insertProvider(trx: Trx, name: string, inboundPath: string): Promise<void> {
  await trx
    .insertInto('providers')
    .values({
      name,
      inbound_path: inboundPath,
      succeeded_at: null,
      failed_at: null,
      last_error: null,
      rejected: 0,
      swept_at: null,
      drift: null,
    })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
}

export type ProviderNote = Partial<
  Pick<ProviderState, 'succeededAt' | 'failedAt' | 'lastError' | 'sweptAt' | 'drift'>
>;

export async function noteProvider(trx: Trx, name: string, note: ProviderNote): Promise<void> {
  const values = {
    ...(note.succeededAt === undefined ? {} : { succeeded_at: note.succeededAt }),
    ...(note.failedAt === undefined ? {} : { failed_at: note.failedAt }),
    ...(note.lastError === undefined ? {} : { last_error: note.lastError }),
    ...(note.sweptAt === undefined ? {} : { swept_at: note.sweptAt }),
    ...(note.drift === undefined ? {} : { drift: note.drift }),
  };
  if (Object.keys(values).length === 0) return;
  await trx.updateTable('providers').set(values).where('name', '=', name).execute();
}

export async function countRejectedWebhook(trx: Trx, name: string): Promise<void> {
  await trx.updateTable('providers').set({ rejected: sql`rejected + 1` }).where('name', '=', name).execute();
}

export type UnmatchedCharge = {
  provider: string;
  chargeId: string;
  status: string;
  /** As a decimal, with its currency; null where the provider does not tell. */
  amount: string | null;
  currency: string | null;
  foundAt: number;
};

/** Answers whether it was not known yet. */
export async function insertUnmatchedCharge(trx: Trx, charge: UnmatchedCharge): Promise<boolean> {
  const result = await trx
    .insertInto('provider_unmatched')
    .values({
      provider: charge.provider,
      charge_id: charge.chargeId,
      status: charge.status,
      amount: charge.amount,
      currency: charge.currency,
      found_at: charge.foundAt,
    })
    .onConflict((conflict) => conflict.columns(['provider', 'charge_id']).doNothing())
    .executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/** Newest first. */
export async function listUnmatchedCharges(
  db: Db,
  provider: string,
  limit: number,
): Promise<UnmatchedCharge[]> {
  const rows = await db
    .selectFrom('provider_unmatched')
    .selectAll()
    .where('provider', '=', provider)
    .orderBy('found_at', 'desc')
    .orderBy('charge_id')
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    provider: row.provider,
    chargeId: row.charge_id,
    status: row.status,
    amount: row.amount,
    currency: row.currency,
    foundAt: row.found_at,
  }));
}

export async function countUnmatchedCharges(db: Db, provider: string): Promise<number> {
  const row = await db
    .selectFrom('provider_unmatched')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('provider', '=', provider)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}
