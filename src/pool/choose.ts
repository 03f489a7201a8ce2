import type { PaymentPolicy } from '../config.ts';
import { type AccountKey, parseAccountKey } from '../core/account-key.ts';
import type { Address, ParsedAddress } from '../core/address.ts';
import type { ChainFamily } from '../core/networks.ts';
import { quarantineStart } from '../core/pool.ts';
import { InvariantError } from '../errors.ts';
import { serializeInserts } from '../storage/database.ts';
import { findAddressHolders } from '../storage/pool/addresses.ts';
import {
  addDerivedAddresses,
  type DerivedPool,
  lockPoolWithRoom,
  setNextIndex,
} from '../storage/pool/derived-pools.ts';
import { readHold } from '../storage/pool/holds.ts';
import { findFreeAddress, findLastReleasedBefore, type Pool } from '../storage/pool/locks.ts';
import type { Db, Trx } from '../storage/schema.ts';

/**
 * The address for a new payment, in the transaction that locks it: the free one that was let go longest ago; else a new one,
 * derived; else, where the quarantine is soft, one in quarantine, as held back ones are for as long after their hold. Null when
 * there is none.
 */
export async function chooseAddress(
  trx: Trx,
  { family, ...pool }: Pool & { family: ChainFamily },
  policy: Pick<PaymentPolicy, 'quarantine' | 'quarantineSeconds'>,
  now: number,
): Promise<{ id: number; address: Address } | null> {
  const start = quarantineStart(policy, now);
  // A strict quarantine is part of the hold itself.
  const heldAt = policy.quarantine === 'strict' ? now : start;
  const free = await findFreeAddress(trx, pool, { releasedBefore: start, heldAt });
  if (free !== null) return free;
  const derived = await deriveAddress(trx, pool, family, now);
  if (derived !== null) return derived;
  if (policy.quarantine === 'strict') return null;
  const ended = (await readHold(trx, now)) === null ? await readHold(trx, start) : null;
  // Lost payments had those that come first; what was let go since then may be paid late.
  const before = ended === null ? null : await findLastReleasedBefore(trx, pool, ended.at);
  return before ?? findFreeAddress(trx, pool, { releasedBefore: null, heldAt: now });
}

async function deriveAddress(
  trx: Trx,
  pool: Pool,
  family: ChainFamily,
  now: number,
): Promise<{ id: number; address: Address } | null> {
  for (;;) {
    const source = await lockPoolWithRoom(trx, pool);
    if (source === null) return null;
    await serializeInserts(trx, 'addresses');
    const derivation = await computeAddresses(trx, source, { family, count: 1 });
    const [derived] = await addDerivation(trx, source, derivation, now);
    if (derived !== undefined) return derived;
  }
}

type Derived = { index: number } & ParsedAddress;

/** Addresses of a pool that nobody has, and the index after the last that was looked at. */
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
