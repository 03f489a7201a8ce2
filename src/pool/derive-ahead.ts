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

/** From each key as many addresses are derived ahead as it had derived in its last day, within these bounds. */
const leastAhead = 20;
const mostAhead = 1_000;

/** How often a daemon looks whether a hold has asked for deriving ahead, ms. */
export const deriveAheadEveryMs = 5_000;

/**
 * Derives the next addresses of every key for which a hold has asked, and extends the holds over them: lost payments may have had
 * them. Payments and imports wait only while the addresses of one key are written. What is imported between two keys is held back too.
 *
 * @param now Unix ms; the holds that last then are extended.
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
    // Until these are written and held back, nobody can add an address, which might be one of them.
    await lockAddressTable(trx);
    if (!(await endDerivingAhead(trx, pool))) return 0;
    const untaken = await findUntaken(trx, pool, chosen);
    await addDerivation(trx, pool, { chosen: untaken, next }, now);
    await extendHolds(trx, now);
    return untaken.length;
  });
}

/** In small parts, between which a daemon serves its other requests. */
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
