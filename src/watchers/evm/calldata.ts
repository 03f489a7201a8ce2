import type { AddressKey } from '../../core/address.ts';
import type { Watchlist } from '../source.ts';

/** Bytes of an address. */
const width = 20;

/**
 * Whether a transaction's input names a watched address. Contracts that pay on are told whom, and how depends on them:
 * as a word of 32 bytes (Disperse, Multicall3), as one within the input of a further call, where words do not begin at
 * multiples of 32 (a Safe that calls one of those), or packed without a gap (the Safe's own batches). So every place
 * is tried; the cost is a look-up for each byte, whatever the number of addresses.
 *
 * @param input `0x` and whole bytes of hex.
 */
export function namesWatched(input: string, watch: Pick<Watchlist, 'has' | 'hasAt'>): boolean {
  // Without room for an address and a selector before it there is nothing to find.
  const bytes = Buffer.from(input.slice(2), 'hex');
  const last = bytes.length - width;
  for (let at = 0; at <= last; at++) {
    const found =
      watch.hasAt === undefined
        ? watch.has(bytes.toString('hex', at, at + width) as AddressKey)
        : watch.hasAt(bytes, at);
    if (found) return true;
  }
  return false;
}
