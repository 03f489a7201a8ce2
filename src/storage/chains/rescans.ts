import type { Selectable } from 'kysely';
import type { Network } from '../../core/networks.ts';
import { noFindings, type Rescan, type RescanFindings, type RescanStatus } from '../../core/rescan.ts';
import type { Db, Schema, Trx } from '../schema.ts';

const columns = [
  'id',
  'network',
  'from_height',
  'to_height',
  'native',
  'status',
  'reached',
  'actor',
  'cancelled_by',
  'error',
  'findings',
  'created_at',
  'started_at',
  'ended_at',
] as const;

const open = ['waiting', 'running'];

/** Null while another one of this chain has not ended. */
export async function insertRescan(
  trx: Trx,
  rescan: Pick<Rescan, 'network' | 'from' | 'to' | 'native' | 'actor' | 'createdAt'>,
): Promise<Rescan | null> {
  const row = await trx
    .insertInto('rescans')
    .values({
      network: rescan.network,
      from_height: rescan.from,
      to_height: rescan.to,
      native: rescan.native ? 1 : 0,
      status: 'waiting',
      reached: rescan.from - 1,
      actor: rescan.actor,
      findings: JSON.stringify(noFindings),
      created_at: rescan.createdAt,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning(columns)
    .executeTakeFirst();
  return row === undefined ? null : toRescan(row);
}

/** The one that waits or runs; there is at most one. */
export async function findOpenRescan(db: Db, network: Network): Promise<Rescan | null> {
  const row = await db
    .selectFrom('rescans')
    .select(columns)
    .where('network', '=', network)
    .where('status', 'in', open)
    .executeTakeFirst();
  return row === undefined ? null : toRescan(row);
}

export async function findRescan(db: Db, network: Network, id: number): Promise<Rescan | null> {
  const row = await db
    .selectFrom('rescans')
    .select(columns)
    .where('network', '=', network)
    .where('id', '=', id)
    .executeTakeFirst();
  return row === undefined ? null : toRescan(row);
}

/** Newest first. */
export async function listRescans(db: Db, network: Network, limit: number): Promise<Rescan[]> {
  const rows = await db
    .selectFrom('rescans')
    .select(columns)
    .where('network', '=', network)
    .orderBy('id', 'desc')
    .limit(limit)
    .execute();
  return rows.map(toRescan);
}

export async function startRescan(trx: Trx, id: number, at: number): Promise<void> {
  await trx
    .updateTable('rescans')
    .set({ status: 'running', started_at: at })
    .where('id', '=', id)
    .where('status', '=', 'waiting')
    .execute();
}

/**
 * Belongs in the transaction of what was found. False when it has ended, or another step has got further meanwhile. Tells
 * whether it is to end.
 */
export async function advanceRescan(
  trx: Trx,
  { id, reached }: Pick<Rescan, 'id' | 'reached'>,
  to: { reached: number; findings: RescanFindings },
): Promise<{ cancelled: boolean } | null> {
  const row = await trx
    .updateTable('rescans')
    .set({ reached: to.reached, findings: JSON.stringify(to.findings) })
    .where('id', '=', id)
    .where('reached', '=', reached)
    .where('status', '=', 'running')
    .returning('cancelled_by')
    .executeTakeFirst();
  return row === undefined ? null : { cancelled: row.cancelled_by !== null };
}

/** False when it had ended already. */
export async function endRescan(
  trx: Trx,
  id: number,
  {
    status,
    error,
    at,
  }: { status: Exclude<RescanStatus, 'waiting' | 'running'>; error: string | null; at: number },
): Promise<boolean> {
  const result = await trx
    .updateTable('rescans')
    .set({ status, error, ended_at: at })
    .where('id', '=', id)
    .where('status', 'in', open)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** What waits ends at once; what runs, with the block that it reads. Null when it had ended already. */
export async function cancelRescan(
  trx: Trx,
  { network, id }: Pick<Rescan, 'network' | 'id'>,
  { actor, at }: { actor: string; at: number },
): Promise<Rescan | null> {
  const row = await trx
    .updateTable('rescans')
    .set((eb) => ({
      cancelled_by: eb.fn.coalesce('cancelled_by', eb.val(actor)),
      ended_at: eb.case().when('status', '=', 'waiting').then(at).else(eb.ref('ended_at')).end(),
      status: eb.case().when('status', '=', 'waiting').then('cancelled').else(eb.ref('status')).end(),
    }))
    .where('network', '=', network)
    .where('id', '=', id)
    .where('status', 'in', open)
    .returning(columns)
    .executeTakeFirst();
  return row === undefined ? null : toRescan(row);
}

function toRescan(row: Selectable<Schema['rescans']>): Rescan {
  return {
    id: row.id,
    network: row.network as Network,
    from: row.from_height,
    to: row.to_height,
    native: row.native === 1,
    status: row.status as RescanStatus,
    reached: row.reached,
    actor: row.actor,
    cancelledBy: row.cancelled_by,
    error: row.error,
    findings: JSON.parse(row.findings) as RescanFindings,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  };
}
