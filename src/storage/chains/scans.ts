import { type HeightRange, uncovered } from '../../core/coverage.ts';
import type { Network } from '../../core/networks.ts';
import type { Db, Schema, Trx } from '../schema.ts';

/** Blocks that were read, who showed them, and when that was committed. */
export type Scan = HeightRange & {
  network: Network;
  /** Host names; several where old scans were joined. */
  hosts: readonly string[];
  /** Whether the blocks were read whole, for the chain's own coin. */
  native: boolean;
  /** Unix ms of the first and the last commit. */
  since: number;
  until: number;
};

/** Scans kept apart, the newest ones, for each chain; older ones are joined. */
const keptApart = 1_000;

/** Writes that blocks were read, in the transaction that moves the cursor over them. */
export async function recordScan(trx: Trx, { network, from, to, host, native, at }: NewScan): Promise<void> {
  const extended = await trx
    .updateTable('chain_scans')
    .set({ to_height: to, until_at: at })
    .where('network', '=', network)
    .where('to_height', '=', from - 1)
    .where('hosts', '=', host)
    .where('native', '=', native ? 1 : 0)
    .executeTakeFirst();
  if (extended.numUpdatedRows > 0n) return;
  const scan = { network, from, to, hosts: [host], native, since: at, until: at };
  await insertScan(trx, scan);
}

export type NewScan = HeightRange & { network: Network; host: string; native: boolean; at: number };

/** Writes what of these blocks was never read before. */
export async function recordMissingScan(trx: Trx, scan: NewScan): Promise<void> {
  for (const part of uncovered(scan, await listScans(trx, scan.network))) {
    await recordScan(trx, { ...scan, ...part });
  }
}

/** Forgets the reading of blocks that a fork took off the chain. */
export async function cutScans(trx: Trx, network: Network, above: number): Promise<void> {
  await trx
    .deleteFrom('chain_scans')
    .where('network', '=', network)
    .where('from_height', '>', above)
    .execute();
  await trx
    .updateTable('chain_scans')
    .set({ to_height: above })
    .where('network', '=', network)
    .where('to_height', '>', above)
    .execute();
}

/** Lowest first. */
export async function listScans(db: Db, network: Network): Promise<Scan[]> {
  const rows = await selectScans(db, network).execute();
  return rows.map(toScan);
}

/** The scan that a block lies in, or the next one above it; null when there is none. */
export async function findScanFrom(db: Db, network: Network, height: number): Promise<Scan | null> {
  const row = await selectScans(db, network).where('to_height', '>=', height).limit(1).executeTakeFirst();
  return row === undefined ? null : toScan(row);
}

/**
 * Joins the oldest scans up to a height where they follow each other, so that the table stays small for years.
 * What is lost is who read which of the joined blocks.
 */
export async function joinOldScans(trx: Trx, network: Network, upTo: number): Promise<void> {
  const scans = await listScans(trx, network);
  if (scans.length <= keptApart) return;
  const old = scans.slice(0, scans.length - keptApart / 2).filter((scan) => scan.to <= upTo);
  const joined: Scan[] = [];
  for (const scan of old) {
    const last = joined.at(-1);
    if (last !== undefined && last.to + 1 === scan.from) joined[joined.length - 1] = join(last, scan);
    else joined.push(scan);
  }
  await trx
    .deleteFrom('chain_scans')
    .where('network', '=', network)
    .where('to_height', '<=', old.at(-1)?.to ?? -1)
    .execute();
  for (const scan of joined) await insertScan(trx, scan);
}

/** The same for those whose last commit was before `before` (Unix ms), however far the second reading has come. */
export async function joinScansBefore(trx: Trx, network: Network, before: number): Promise<void> {
  const row = await trx
    .selectFrom('chain_scans')
    .select((eb) => eb.fn.max('to_height').as('height'))
    .where('network', '=', network)
    .where('until_at', '<', before)
    .executeTakeFirst();
  if (row?.height != null) await joinOldScans(trx, network, row.height);
}

function join(first: Scan, second: Scan): Scan {
  return {
    ...first,
    to: second.to,
    hosts: [...new Set([...first.hosts, ...second.hosts])].sort(),
    native: first.native && second.native,
    until: second.until,
  };
}

async function insertScan(trx: Trx, scan: Scan): Promise<void> {
  await trx
    .insertInto('chain_scans')
    .values({
      network: scan.network,
      from_height: scan.from,
      to_height: scan.to,
      hosts: scan.hosts.join(' '),
      native: scan.native ? 1 : 0,
      since_at: scan.since,
      until_at: scan.until,
    })
    .execute();
}

function selectScans(db: Db, network: Network) {
  return db
    .selectFrom('chain_scans')
    .select(['network', 'from_height', 'to_height', 'hosts', 'native', 'since_at', 'until_at'])
    .where('network', '=', network)
    .orderBy('from_height');
}

function toScan(row: Schema['chain_scans']): Scan {
  return {
    network: row.network as Network,
    from: row.from_height,
    to: row.to_height,
    hosts: row.hosts.split(' '),
    native: row.native === 1,
    since: row.since_at,
    until: row.until_at,
  };
}
