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
