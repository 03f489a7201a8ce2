import type { Network } from '../core/networks.ts';
import { deleteAnchors, listAnchors, lockChain } from '../storage/chains/chains.ts';
import { inTransaction } from '../storage/database.ts';
import type { Db } from '../storage/schema.ts';

/** All anchors this close to the cursor are kept, blocks. */
const denseBlocks = 128;

/** Beyond, the distance doubles from one bucket to the next, and this many anchors remain in each. */
const perBucket = 8;

/**
 * Which anchors to drop so that few remain and a fork point at any depth is still found close by: dense near
 * the cursor, exponentially sparser below. `heights` may come in any order.
 */
export function surplusAnchors(heights: readonly number[], cursor: number): number[] {
  const kept = new Set<string>();
  return heights
    .toSorted((a, b) => a - b)
    .filter((height) => {
      const depth = cursor - height;
      if (depth <= denseBlocks) return false;
      const bucket = Math.floor(Math.log2(depth / denseBlocks));
      const slot = `${bucket} ${Math.floor(height / ((denseBlocks * 2 ** bucket) / perBucket))}`;
      // The lowest of each slot stays: it is the one that will stay when the slots grow.
      if (kept.has(slot)) return true;
      kept.add(slot);
      return false;
    });
}

/** Drops surplus anchors. Not for each step: an advance adds but one or two. */
export async function thinOutAnchors(db: Db, network: Network): Promise<void> {
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
