import type { BlockHash, BlockRef, Cursor } from '../../core/chain.ts';
import { type HeightRange, joined, uncovered } from '../../core/coverage.ts';
import type { Network } from '../../core/networks.ts';
import type { Db, Schema, Trx } from '../schema.ts';
import { listScans } from './scans.ts';

/** How far a chain has been read a second time. */
export type RecheckMark = {
  network: Network;
  /** Every block up to this one was read twice, or lies below where reading began. */
  position: Cursor;
  /** Forks found so far: another number means that what was read meanwhile may be of another branch. */
  forks: number;
  /** Unix ms of the last advance. */
  recheckedAt: number;
};

export async function insertRecheckMark(trx: Trx, mark: RecheckMark): Promise<void> {
  await trx
    .insertInto('chain_rechecks')
    .values({ network: mark.network, ...columnsOf(mark) })
    .onConflict((conflict) => conflict.column('network').doNothing())
    .execute();
}

/** Null while the chain was never read. In a transaction that holds the chain nobody else moves it. */
export async function readRecheckMark(db: Db, network: Network): Promise<RecheckMark | null> {
  const row = await db
    .selectFrom('chain_rechecks')
    .select(['network', 'height', 'hash', 'time', 'forks', 'rechecked_at'])
    .where('network', '=', network)
    .executeTakeFirst();
  return row === undefined ? null : toMark(row);
}

export async function updateRecheckMark(trx: Trx, mark: RecheckMark): Promise<void> {
  await trx.updateTable('chain_rechecks').set(columnsOf(mark)).where('network', '=', mark.network).execute();
}

/** Notes a fork; what was read twice above it was read of blocks that are gone. */
export async function rewindRecheck(trx: Trx, network: Network, forkPoint: BlockRef): Promise<void> {
  const mark = await readRecheckMark(trx, network);
  if (mark === null) return;
  const position = mark.position.height > forkPoint.height ? forkPoint : mark.position;
  await updateRecheckMark(trx, { ...mark, position, forks: mark.forks + 1 });
}

/** What can be promised of a chain. */
export type Coverage = {
  /** Every block that was read, lowest first; also what an operator had read below `from`, where nothing is promised. */
  ranges: HeightRange[];
  /** The block from which everything is read. */
  from: number;
  /** Every block from there up to this one was proven complete. */
  completeTo: number;
  /** Every block from there up to this one was read twice; null while none was. */
  recheckedTo: number | null;
  /** Blocks from there on that were passed over. */
  gaps: HeightRange[];
};

/** Null where nothing that is promised was read yet. */
export async function readCoverage(db: Db, network: Network): Promise<Coverage | null> {
  const chain = await db
    .selectFrom('chain_cursors')
    .select('first_height')
    .where('network', '=', network)
    .executeTakeFirst();
  const ranges = joined(await listScans(db, network));
  const last = ranges.at(-1);
  if (chain === undefined || last === undefined || last.to < chain.first_height) return null;
  const from = chain.first_height;
  const gaps = uncovered({ from, to: last.to }, ranges);
  const completeTo = gaps[0] === undefined ? last.to : gaps[0].from - 1;
  const mark = await readRecheckMark(db, network);
  const rechecked = Math.min(mark?.position.height ?? 0, completeTo);
  return {
    ranges,
    from,
    completeTo,
    recheckedTo: rechecked >= from ? rechecked : null,
    gaps,
  };
}

/** Those of several chains, for whoever shows them. */
export async function readCoverages(
  db: Db,
  networks: readonly Network[],
): Promise<Map<Network, Coverage | null>> {
  const coverages = new Map<Network, Coverage | null>();
  for (const network of networks) coverages.set(network, await readCoverage(db, network));
  return coverages;
}

function columnsOf(mark: RecheckMark): Omit<Schema['chain_rechecks'], 'network'> {
  return {
    height: mark.position.height,
    hash: mark.position.hash,
    time: mark.position.time,
    forks: mark.forks,
    rechecked_at: mark.recheckedAt,
  };
}

function toMark(row: Schema['chain_rechecks']): RecheckMark {
  return {
    network: row.network as Network,
    position: { height: row.height, hash: row.hash as BlockHash, time: row.time },
    forks: row.forks,
    recheckedAt: row.rechecked_at,
  };
}
