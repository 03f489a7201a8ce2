import type { Clock } from '../clock.ts';
import type { AddressKey } from '../core/address.ts';
import type { ChainFamily } from '../core/networks.ts';
import {
  hasRetiredAddress,
  latestReturn,
  listReturns,
  listUsedAddresses,
  listWatchedAddresses,
  type ReadRow,
} from '../storage/pool/watched-addresses.ts';
import type { Db } from '../storage/schema.ts';
import { type AddressSet, createAddressSet } from './address-set.ts';
import type { Watchlist } from './source.ts';

/** A watchlist that follows the table of addresses. */
export type TableWatchlist = Watchlist & {
  /**
   * Takes in the addresses that were added since the last call. Every address that was committed before it is watched after it, also
   * where the table has lost its last rows meanwhile.
   */
  refresh(db: Db): Promise<void>;
  /** The table has lost rows, and new rows may have their ids: the next refresh reads it from the beginning. */
  startOver(): void;
  /**
   * The addresses to which a transfer may matter now (Unix ms): payments on any chain hold them, or let them go lately. They are
   * watched until the next call even if the table did not show them.
   */
  inUse(db: Db, now: number): Promise<ReadonlySet<AddressKey>>;
};

/** For so long after a payment has let go of an address, ms, what comes to it is looked for at the head. */
export const usedLatelyMs = 60 * 60 * 1000;

/** Up to this many addresses are all asked for at the head, in use or not: leaving some out saves nothing. */
export const fewAddresses = 32;

/** How long a retired address is watched after its last use. */
export type Retirement = { afterMs: number; clock: Clock };

/** The addresses read so far, and the last row of each table that was read; null: none yet. */
type Reading = { addresses: AddressSet; last: ReadRow | null; lastReturn: ReadRow | null };

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
  let table: Reading = { addresses: createAddressSet(), last: null, lastReturn: null };
  /** Addresses in use that the table did not show when it was read; null: none. */
  let besides: AddressSet | null = null;
  let builtAt = Number.NEGATIVE_INFINITY;
  let startsOver = false;
  let running: Promise<void> = Promise.resolve();

  /**
   * Reads the rows added since the last time.
   *
   * @returns false where a row that was read last is gone, or is another one now: the database has gone back, and everything that was
   * read before may be wrong.
   */
  async function readOn(db: Db, into: Reading): Promise<boolean> {
    const usedAfter = retirement === null ? null : retirement.clock() - retirement.afterMs;
    for (let more = true; more; ) {
      // Ids appear in the order of commits (serializeInserts), so none below the last can follow later.
      const fromId: number = into.last?.id ?? 0;
      const page = await listWatchedAddresses(db, family, { fromId, usedAfter }, pageSize);
      if (into.last !== null && page.first?.identity !== into.last.identity) return false;
      for (const { key } of page.addresses) into.addresses.add(key);
      into.last = page.last;
      more = page.more;
    }
    const returns = await listReturns(db, family, into.lastReturn?.id ?? 0);
    const [first] = returns;
    if (into.lastReturn !== null && !isSame(first, into.lastReturn)) return false;
    for (const { key, ...row } of returns) {
      if (key !== null) into.addresses.add(key);
      into.lastReturn = row;
    }
    return true;
  }

  async function rebuild(db: Db): Promise<void> {
    const fresh: Reading = { addresses: createAddressSet(), last: null, lastReturn: await latestReturn(db) };
    if (!(await readOn(db, fresh))) return rebuild(db);
    // As a whole or not at all: a reading that fails half-way leaves the list in use as it is.
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

  const has = (key: AddressKey) => table.addresses.has(key) || besides?.has(key) === true;

  return {
    get size() {
      return table.addresses.size + (besides?.size ?? 0);
    },
    has,
    hasAt: (bytes, offset) => table.addresses.hasAt(bytes, offset) || besides?.hasAt(bytes, offset) === true,
    *keys() {
      yield* table.addresses.keys();
      // The table may have taken some of them in since.
      for (const key of besides?.keys() ?? []) if (!table.addresses.has(key)) yield key;
    },
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
    async inUse(db, now) {
      const keys = await listUsedAddresses(db, family, now - lately);
      const missing = keys.filter((key) => !table.addresses.has(key));
      besides = missing.length === 0 ? null : setOf(missing);
      return new Set(keys);
    },
  };
}

function isSame(row: ReadRow | undefined, before: ReadRow): boolean {
  return row?.id === before.id && row.identity === before.identity;
}

function setOf(keys: readonly AddressKey[]): AddressSet {
  const set = createAddressSet();
  for (const key of keys) set.add(key);
  return set;
}
