import type { Config } from '../config.ts';
import type { ChainFamily, Network } from '../core/networks.ts';
import { InvariantError } from '../errors.ts';
import { inTransaction } from '../storage/database.ts';
import {
  countDerivedLately,
  type DerivedPool,
  endDerivingAhead,
  listPoolsToDeriveAhead,
} from '../storage/pool/derived-pools.ts';
import { extendHolds, lockAddressTable } from '../storage/pool/holds.ts';
import type { Db } from '../storage/schema.ts';
import { addDerivation, computeAddresses, type Derivation, findUntaken } from './derivation.ts';

/** Of each key so many addresses are derived ahead, or as many as in its last day. */
const leastAhead = 20;
const mostAhead = 1_000;

/** How often a daemon looks whether a hold has asked for it. */
export const deriveAheadEveryMs = 5_000;

/**
 * Derives ahead of every key what a hold has asked for. Others are locked out only while those of one key are written; what is
 * imported between two of them is held back as well.
 *
 * @param now Unix ms; what holds back addresses then holds back these.
 * @param signal No further key is begun once it aborts.
 * @returns how many were derived.
 */
export async function deriveAhead(
  db: Db,
  chains: Config['chains'],
  now: number,
  signal?: AbortSignal,
): Promise<number> {
  const networks = networksOf(chains);
  let derived = 0;
  for (;;) {
    const pools = await listPoolsToDeriveAhead(db, networks);
    if (pools.length === 0) return derived;
    for (const pool of pools) {
      if (signal?.aborted === true) return derived;
      derived += await deriveAheadOf(db, chains, pool, now);
    }
  }
}

async function deriveAheadOf(
  db: Db,
  chains: Config['chains'],
  pool: DerivedPool,
  now: number,
): Promise<number> {
  const family = chains[pool.network]?.family;
  if (family === undefined) throw new InvariantError(`${pool.network} is not a configured network`);
  const count = Math.max(leastAhead, await countDerivedLately(db, pool.id, mostAhead));
  const { chosen, next } = await computeAhead(db, pool, family, count);
  return inTransaction(db, async (trx) => {
    // Nobody adds an address, and so takes one of these, until it is written and held back.
    await lockAddressTable(trx);
    if (!(await endDerivingAhead(trx, pool))) return 0;
    const untaken = await findUntaken(trx, pool, chosen);
    await addDerivation(trx, pool, { chosen: untaken, next }, now);
    await extendHolds(trx, now);
    return untaken.length;
  });
}

/** Lets a daemon serve its other requests meanwhile. */
async function computeAhead(
  db: Db,
  pool: DerivedPool,
  family: ChainFamily,
  count: number,
): Promise<Derivation> {
  const all: Derivation = { chosen: [], next: pool.nextIndex };
  while (all.chosen.length < count && all.next < pool.limit) {
    const part = Math.min(leastAhead, count - all.chosen.length);
    const source = { ...pool, nextIndex: all.next };
    const { chosen, next } = await computeAddresses(db, source, { family, count: part });
    all.chosen.push(...chosen);
    all.next = next;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return all;
}

export function networksOf(chains: Config['chains']): Network[] {
  return Object.values(chains).map(({ network }) => network);
}
