import type { BlockHash, BlockRef, Cursor } from '../../core/chain.ts';
import type { TimeReference } from '../../core/chain-time.ts';
import type { Network } from '../../core/networks.ts';
import { counted } from '../../core/plural.ts';
import { isPostgres } from '../database.ts';
import type { Db, Schema, Trx } from '../schema.ts';

/** How far a chain has been read, and what is known of it beyond that. */
export type ChainState = {
  network: Network;
  cursor: Cursor;
  /** The head as last seen. A reorg can lower it. */
  head: BlockRef;
  /** What tells the chain's own time, in that of `databaseTime` with a steady clock. */
  time: TimeReference;
  finalizedHeight: number | null;
  /** When blocks were read last, or a node proved that there were no more, in that of `databaseTime`. */
  readAt: number;
  /** Why the chain is stopped; null when it is not. */
  stoppedReason: string | null;
};

/** A chain not read for this long is not offered, ms. */
const unreadLimitMs = 120_000;

/** Not read for as long beyond the pace at which it should be, ms, a chain is not in good order. */
const lateLimitMs = 15_000;

/**
 * Why no payment should be made on this chain at `now` (by `databaseTime`); null when one can be. `state` is null before
 * the first read.
 */
export function chainUnavailable(state: ChainState | null, now: number): string | null {
  if (state === null) return 'the chain has not been read yet';
  if (state.stoppedReason !== null) return `the chain is stopped: ${state.stoppedReason}`;
  return now - state.readAt > unreadLimitMs ? unread(state, now) : null;
}

/** What is wrong with a chain that can still be offered, and is read every `paceMs`; null when nothing is. */
export function chainDegraded(state: ChainState, paceMs: number, now: number): string | null {
  return now - state.readAt > paceMs + lateLimitMs ? unread(state, now) : null;
}

function unread({ readAt }: ChainState, now: number): string {
  return `the chain has not been read for ${counted(Math.floor((now - readAt) / 1000), 'second')}`;
}

export async function readChain(db: Db, network: Network): Promise<ChainState | null> {
  const row = await selectChains(db).where('network', '=', network).executeTakeFirst();
  return row === undefined ? null : toState(row);
}

export async function readChains(db: Db): Promise<ChainState[]> {
  const rows = await selectChains(db).orderBy('network').execute();
  return rows.map(toState);
}

/** Reads a chain's state and holds it until the transaction ends: two readers of one chain never both go on. */
export async function lockChain(trx: Trx, network: Network): Promise<ChainState | null> {
  let query = selectChains(trx).where('network', '=', network);
  if (isPostgres(trx)) query = query.forUpdate();
  const row = await query.executeTakeFirst();
  return row === undefined ? null : toState(row);
}

/** @returns false when another process had already begun this chain. */
export async function insertChain(trx: Trx, state: ChainState): Promise<boolean> {
  const result = await trx
    .insertInto('chain_cursors')
    .values({ network: state.network, first_height: state.cursor.height + 1, ...columnsOf(state) })
    .onConflict((conflict) => conflict.column('network').doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

/** Reading goes on above the cursor: where that is below the first block, more is promised than before. */
export async function updateChain(trx: Trx, state: ChainState): Promise<void> {
  const next = state.cursor.height + 1;
  await trx
    .updateTable('chain_cursors')
    .set((eb) => ({
      ...columnsOf(state),
      first_height: eb.case().when('first_height', '>', next).then(next).else(eb.ref('first_height')).end(),
    }))
    .where('network', '=', state.network)
    .execute();
}

export async function insertAnchors(trx: Trx, network: Network, blocks: readonly BlockRef[]): Promise<void> {
  if (blocks.length === 0) return;
  await trx
    .insertInto('chain_anchors')
    .values(blocks.map((block) => ({ network, height: block.height, hash: block.hash, time: block.time })))
    .onConflict((conflict) =>
      conflict.columns(['network', 'height']).doUpdateSet((eb) => ({
        hash: eb.ref('excluded.hash'),
        time: eb.ref('excluded.time'),
      })),
    )
    .execute();
}

/** Highest first. */
export async function listAnchors(db: Db, network: Network): Promise<BlockRef[]> {
  const rows = await db
    .selectFrom('chain_anchors')
    .select(['height', 'hash', 'time'])
    .where('network', '=', network)
    .orderBy('height', 'desc')
    .execute();
  return rows.map((row) => ({ height: row.height, hash: row.hash as BlockHash, time: row.time }));
}

/** From one block to the next, by the first and the last that are kept; null where there are not two. */
export async function measureBlockSeconds(db: Db, network: Network): Promise<number | null> {
  const end = (direction: 'asc' | 'desc') =>
    db
      .selectFrom('chain_anchors')
      .select(['height', 'time'])
      .where('network', '=', network)
      .orderBy('height', direction)
      .limit(1)
      .executeTakeFirst();
  const [first, last] = [await end('asc'), await end('desc')];
  if (first === undefined || last === undefined || last.height <= first.height) return null;
  return Math.max(0, last.time - first.time) / (last.height - first.height);
}

/** The lowest known block at or above a height; null when there is none. */
export async function findAnchorFrom(db: Db, network: Network, height: number): Promise<BlockRef | null> {
  const row = await db
    .selectFrom('chain_anchors')
    .select(['height', 'hash', 'time'])
    .where('network', '=', network)
    .where('height', '>=', height)
    .orderBy('height')
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? null : { height: row.height, hash: row.hash as BlockHash, time: row.time };
}

/** The highest known block below a height; null when there is none. */
export async function findAnchorBelow(db: Db, network: Network, height: number): Promise<BlockRef | null> {
  const row = await db
    .selectFrom('chain_anchors')
    .select(['height', 'hash', 'time'])
    .where('network', '=', network)
    .where('height', '<', height)
    .orderBy('height', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? null : { height: row.height, hash: row.hash as BlockHash, time: row.time };
}

export async function deleteAnchorsAbove(trx: Trx, network: Network, height: number): Promise<void> {
  await trx.deleteFrom('chain_anchors').where('network', '=', network).where('height', '>', height).execute();
}

export async function deleteAnchors(trx: Trx, network: Network, heights: readonly number[]): Promise<void> {
  if (heights.length === 0) return;
  await trx
    .deleteFrom('chain_anchors')
    .where('network', '=', network)
    .where('height', 'in', heights)
    .execute();
}

type ChainColumns = Omit<Schema['chain_cursors'], 'network' | 'first_height'>;

function selectChains(db: Db) {
  return db
    .selectFrom('chain_cursors')
    .select([
      'network',
      'height',
      'hash',
      'time',
      'head_height',
      'head_hash',
      'head_time',
      'time_height',
      'time_hash',
      'time_block',
      'time_shown_at',
      'time_watched_since',
      'finalized_height',
      'read_at',
      'stopped_reason',
    ]);
}

function columnsOf(state: ChainState): ChainColumns {
  return {
    height: state.cursor.height,
    hash: state.cursor.hash,
    time: state.cursor.time,
    head_height: state.head.height,
    head_hash: state.head.hash,
    head_time: state.head.time,
    time_height: state.time.head.height,
    time_hash: state.time.head.hash,
    time_block: state.time.head.time,
    time_shown_at: state.time.shownAt,
    time_watched_since: state.time.watchedSince,
    finalized_height: state.finalizedHeight,
    read_at: state.readAt,
    stopped_reason: state.stoppedReason,
  };
}

function toState(row: ChainColumns & { network: string }): ChainState {
  return {
    network: row.network as Network,
    cursor: { height: row.height, hash: row.hash as BlockHash, time: row.time },
    head: { height: row.head_height, hash: row.head_hash as BlockHash, time: row.head_time },
    time: {
      head: { height: row.time_height, hash: row.time_hash as BlockHash, time: row.time_block },
      shownAt: row.time_shown_at,
      watchedSince: row.time_watched_since,
    },
    finalizedHeight: row.finalized_height,
    readAt: row.read_at,
    stoppedReason: row.stopped_reason,
  };
}
