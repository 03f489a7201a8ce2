import { type ChainFamily, networkNames, networks } from '../core/networks.ts';
import type { Db } from '../storage/schema.ts';
import { listWatchedAddresses } from '../storage/watched-addresses.ts';
import { createAddressSet } from './address-set.ts';
import type { Watchlist } from './source.ts';

/** A watchlist that follows the table of addresses. */
export type TableWatchlist = Watchlist & {
  /** Takes in what was added since the last time: everything committed before this call is watched after it. */
  refresh(db: Db): Promise<void>;
};

/** Rows read at once, so that a large table neither fills the memory nor holds up everybody else. */
const pageSize = 10_000;

/**
 * Watches every address of a chain family, active or not, whatever network it was added for: the same key
 * controls it on all of them, and customers confuse networks. Nothing is ever forgotten: a late transfer to
 * an address that is no longer offered must still be found.
 */
export function createWatchlist(family: ChainFamily): TableWatchlist {
  const members = networkNames.filter((network) => networks[network].family === family);
  const addresses = createAddressSet();
  let lastId = 0;

  return {
    get size() {
      return addresses.size;
    },
    has: (key) => addresses.has(key),
    keys: () => addresses.keys(),
    async refresh(db) {
      for (;;) {
        // Ids appear in the order of commits (serializeInserts), so none below the last can follow later.
        const page = await listWatchedAddresses(db, members, lastId, pageSize);
        for (const { id, key } of page) {
          addresses.add(key);
          lastId = Math.max(lastId, id);
        }
        if (page.length < pageSize) return;
      }
    },
  };
}
