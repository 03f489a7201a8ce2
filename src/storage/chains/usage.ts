import type { Network } from '../../core/networks.ts';
import type { Db, Trx } from '../schema.ts';

/** What the nodes of a chain were asked on a day (UTC, days since 1970), by all processes. */
export type NodeUsage = {
  network: Network;
  host: string;
  day: number;
  method: string;
  calls: number;
  bytes: number;
};

/** That a chain is read more slowly, so that the quota of a node lasts until the day is over (Unix ms). */
export type SlowedChain = { network: Network; host: string; everyMs: number; notedAt: number };

/** Adds to what is known. */
export async function addNodeUsage(trx: Trx, added: readonly NodeUsage[]): Promise<void> {
  if (added.length === 0) return;
  // In one order, so that processes which add to the same rows wait for each other instead of locking each other out.
  const keyOf = ({ network, host, day, method }: NodeUsage) => `${day} ${network} ${host} ${method}`;
  const rows = added.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  await trx
    .insertInto('node_usage')
    .values(
      rows.map(({ network, host, day, method, calls, bytes }) => ({
        network,
        host,
        day,
        method,
        calls,
        bytes,
      })),
    )
    .onConflict((conflict) =>
      conflict.columns(['network', 'host', 'day', 'method']).doUpdateSet((eb) => ({
        calls: eb('node_usage.calls', '+', eb.ref('excluded.calls')),
        bytes: eb('node_usage.bytes', '+', eb.ref('excluded.bytes')),
      })),
    )
    .execute();
}

/** The most asked first. */
export async function listNodeUsage(db: Db, day: number): Promise<NodeUsage[]> {
  const rows = await db
    .selectFrom('node_usage')
    .select(['network', 'host', 'day', 'method', 'calls', 'bytes'])
    .where('day', '=', day)
    .orderBy('calls', 'desc')
    .orderBy('method')
    .execute();
  return rows.map((row) => ({ ...row, network: row.network as Network }));
}

/** Deletes the days before `day`. */
export async function pruneNodeUsage(trx: Trx, day: number): Promise<number> {
  const result = await trx.deleteFrom('node_usage').where('day', '<', day).executeTakeFirst();
  return Number(result.numDeletedRows);
}

export async function noteSlowed(trx: Trx, { network, host, everyMs, notedAt }: SlowedChain): Promise<void> {
  const row = { host, every_ms: everyMs, noted_at: notedAt };
  await trx
    .insertInto('slowed_chains')
    .values({ network, ...row })
    .onConflict((conflict) => conflict.column('network').doUpdateSet(row))
    .execute();
}

export async function noteFullPace(trx: Trx, network: Network): Promise<void> {
  await trx.deleteFrom('slowed_chains').where('network', '=', network).execute();
}

/** Whoever reads says so again and again: what it said long ago is over. */
const forgottenMs = 5 * 60_000;

export async function listSlowedChains(db: Db, now: number): Promise<SlowedChain[]> {
  const rows = await db
    .selectFrom('slowed_chains')
    .select(['network', 'host', 'every_ms', 'noted_at'])
    .where('noted_at', '>', now - forgottenMs)
    .execute();
  return rows.map((row) => ({
    network: row.network as Network,
    host: row.host,
    everyMs: row.every_ms,
    notedAt: row.noted_at,
  }));
}
