import type { Clock } from '../clock.ts';
import type { AddressKey } from '../core/address.ts';
import type { ChainFamily } from '../core/networks.ts';
import {
  hasRetiredAddress,
  latestReturn,
  listReturnedAddresses,
  listUsedAddresses,
  listWatchedAddresses,
  type WatchedRow,
} from '../storage/pool/watched-addresses.ts';
import type { Db } from '../storage/schema.ts';
import { type AddressSet, createAddressSet } from './address-set.ts';
import type { Watchlist } from './source.ts';

/** A watchlist that follows the table of addresses. */
export type TableWatchlist = Watchlist & {
  /** Takes in what was added since the last time: everything committed before this call is watched after it, also where the table has lost its last rows since. */
  refresh(db: Db): Promise<void>;
  /** The table has lost rows, and others may have their ids: it is read from its beginning the next time. */
  startOver(): void;
  /** Those to which a transfer may matter now (Unix ms): payments hold them, or let them go lately, on any chain. */
  inUse(db: Db, now: number): Promise<ReadonlySet<AddressKey>>;
};

/** For so long after a payment has let go of an address, ms, what comes to it is looked for at the head. */
export const usedLatelyMs = 60 * 60 * 1000;

/** So few addresses are asked for at the head whether they are in use or not: leaving some out saves nothing. */
export const fewAddresses = 32;

/** How long a retired address is watched after its last use. */
export type Retirement = { afterMs: number; clock: Clock };

/** Addresses, and up to which row of their table, and which return to service, they were taken in. */
type Reading = { addresses: AddressSet; last: WatchedRow | null; lastReturn: number };

/** Rows read at once, so that a large table neither fills the memory nor holds up everybody else. */
const pageSize = 10_000;

/** The whole table is read anew this often, ms, if any address may have to leave. */
const rebuildMs = 24 * 60 * 60 * 1000;

/**
 * Watches every address of a chain family, whatever network it was added for: the same key controls it on all
 * of them, and customers confuse networks. One that is retired is watched for some time after its last
 * use, because a late transfer to it must still be found; without `retirement` it is never forgotten.
 */
export function createWatchlist(
  family: ChainFamily,
  retirement: Retirement | null = null,
  lately = usedLatelyMs,
): TableWatchlist {
  let table: Reading = { addresses: createAddressSet(), last: null, lastReturn: 0 };
  let builtAt = Number.NEGATIVE_INFINITY;
  let startsOver = false;
  let running: Promise<void> = Promise.resolve();

  /** @returns false where the table has lost what was read last. */
  async function readOn(db: Db, into: Reading): Promise<boolean> {
    const usedAfter = retirement === null ? null : retirement.clock() - retirement.afterMs;
    for (let more = true; more; ) {
      // Ids appear in the order of commits (serializeInserts), so none below the last can follow later.
      const page = await listWatchedAddresses(db, family, { after: into.last, usedAfter }, pageSize);
      if (page === null) return false;
      for (const { key } of page.addresses) into.addresses.add(key);
      into.last = page.last;
      more = page.more;
    }
    for (const { id, key } of await listReturnedAddresses(db, family, into.lastReturn)) {
      into.addresses.add(key);
      into.lastReturn = id;
    }
    return true;
  }

  async function rebuild(db: Db): Promise<void> {
    const fresh = { addresses: createAddressSet(), last: null, lastReturn: await latestReturn(db) };
    if (!(await readOn(db, fresh))) return rebuild(db);
    // Only as a whole: what a reading that failed half-way had taken in is not known to the list in use.
    table = fresh;
  }

  async function update(db: Db): Promise<void> {
    const now = retirement?.clock() ?? 0;
    const isDue = retirement !== null && now - builtAt >= rebuildMs;
    const mayLeave = isDue && (table.addresses.size === 0 || (await hasRetiredAddress(db)));
    if (startsOver || mayLeave || !(await readOn(db, table))) {
      const starting = startsOver;
      startsOver = false;
      try {
        await rebuild(db);
      } catch (error) {
        startsOver ||= starting;
        throw error;
      }
    }
    if (isDue) builtAt = now;
  }

  return {
    get size() {
      return table.addresses.size;
    },
    has: (key) => table.addresses.has(key),
    hasAt: (bytes, offset) => table.addresses.hasAt(bytes, offset),
    keys: () => table.addresses.keys(),
    refresh(db) {
      // One after another: the chains of a family share this list, and one that reads it anew must not lose
      // what another takes in meanwhile.
      const turn = running.catch(() => {}).then(() => update(db));
      running = turn;
      return turn;
    },
    startOver() {
      startsOver = true;
    },
    inUse: async (db, now) => new Set(await listUsedAddresses(db, family, now - lately)),
  };
}
