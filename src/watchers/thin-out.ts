import type { Network } from '../core/networks.ts';
import { deleteAnchors, listAnchors, lockChain } from '../storage/chains/chains.ts';
import { inTransaction } from '../storage/database.ts';
import type { Db } from '../storage/schema.ts';
import { surplusAnchors } from './anchors.ts';

/** Drops surplus anchors. Not for each step: an advance adds but one or two. */
export async function thinOut(db: Db, network: Network): Promise<void> {
  await inTransaction(db, async (trx) => {
    const state = await lockChain(trx, network);
    if (state === null) return;
    const anchors = await listAnchors(trx, network);
    const surplus = surplusAnchors(
      anchors.map((anchor) => anchor.height),
      state.cursor.height,
    );
    await deleteAnchors(trx, network, surplus);
  });
}
