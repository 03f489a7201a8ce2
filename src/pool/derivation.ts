import { type AccountKey, parseAccountKey } from '../core/account-key.ts';
import type { Address, ParsedAddress } from '../core/address.ts';
import type { ChainFamily } from '../core/networks.ts';
import { InvariantError } from '../errors.ts';
import { findAddressHolders } from '../storage/pool/addresses.ts';
import { addDerivedAddresses, type DerivedPool, setNextIndex } from '../storage/pool/derived-pools.ts';
import type { Db, Trx } from '../storage/schema.ts';

type Derived = { index: number } & ParsedAddress;

/** Addresses of a pool that nobody has yet, and the index from which the next derivation goes on. */
export type Derivation = { chosen: Derived[]; next: number };

/**
 * Computes the addresses with the lowest indexes that were not derived yet, fewer where the pool has no room for so many. Those that
 * somebody added by hand before are passed over. Each takes about a millisecond, in which nothing else runs.
 */
export async function computeAddresses(
  db: Db,
  source: DerivedPool,
  { family, count }: { family: ChainFamily; count: number },
): Promise<Derivation> {
  const account = accountOf(source);
  const chosen: Derived[] = [];
  let next = source.nextIndex;
  while (chosen.length < count && next < source.limit) {
    const first = next;
    next = Math.min(source.limit, first + count - chosen.length);
    const candidates = Array.from({ length: next - first }, (_, n) => ({
      index: first + n,
      ...account.addressAt(family, first + n),
    }));
    chosen.push(...(await findUntaken(db, source, candidates)));
  }
  return { chosen, next };
}

/** Those that nobody has on the pool's network, and no other merchant on any. */
export async function findUntaken(
  db: Db,
  source: DerivedPool,
  candidates: readonly Derived[],
): Promise<Derived[]> {
  const holders = await findAddressHolders(
    db,
    candidates.map(({ key }) => key),
  );
  const byKey = Map.groupBy(holders, (holder) => holder.key);
  return candidates.filter(({ key }) => {
    const own = byKey.get(key) ?? [];
    const foreign = own.some((holder) => holder.merchantId !== source.merchantId);
    return !foreign && !own.some((holder) => holder.network === source.network);
  });
}

/** Adds what was computed and nobody has. Hold the pool, and call `serializeInserts`, before. */
export async function addDerivation(
  trx: Trx,
  source: DerivedPool,
  { chosen, next }: Derivation,
  now: number,
): Promise<{ id: number; address: Address }[]> {
  const ids = await addDerivedAddresses(trx, source, chosen, now);
  await setNextIndex(trx, source.id, next);
  return chosen.map(({ address }, n) => ({ id: ids[n] as number, address }));
}

/** Reading a key costs as much as deriving an address: the last few are kept. */
const accounts = new Map<string, AccountKey>();
const mostAccounts = 64;

function accountOf({ id, xpub }: DerivedPool): AccountKey {
  const known = accounts.get(xpub);
  if (known !== undefined) return known;
  const account = parseAccountKey(xpub);
  if ('error' in account) throw new InvariantError(`the key of derived pool ${id} is unreadable`);
  if (accounts.size >= mostAccounts) accounts.clear();
  accounts.set(xpub, account);
  return account;
}
