import type { ChainState } from '../storage/chains.ts';
import { deleteAnchors, listAnchors } from '../storage/chains.ts';
import { inTransaction } from '../storage/database.ts';
import type { Db } from '../storage/schema.ts';
import { surplusAnchors } from './anchors.ts';

/** Drops surplus anchors. Not for each step: an advance adds but one or two. */
export async function thinOut(db: Db, state: ChainState): Promise<void> {
  const anchors = await listAnchors(db, state.network);
  const surplus = surplusAnchors(
    anchors.map((anchor) => anchor.height),
    state.cursor.height,
  );
  if (surplus.length === 0) return;
  await inTransaction(db, (trx) => deleteAnchors(trx, state.network, surplus));
}
