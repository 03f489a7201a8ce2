import type { PaymentPolicy } from '../config.ts';
import { type AccountKey, parseAccountKey } from '../core/account-key.ts';
import type { Address } from '../core/address.ts';
import type { ChainFamily } from '../core/networks.ts';
import { quarantineStart } from '../core/pool.ts';
import { InvariantError } from '../errors.ts';
import { serializeInserts } from '../storage/database.ts';
import { findAddressHolders } from '../storage/pool/addresses.ts';
import {
  addDerivedAddress,
  type DerivedPool,
  lockPoolWithRoom,
  setNextIndex,
} from '../storage/pool/derived-pools.ts';
import { findFreeAddress, type Pool } from '../storage/pool/locks.ts';
import type { Trx } from '../storage/schema.ts';

/**
 * The address for a new payment, in the transaction that locks it: the free one that was let go longest ago; else a new one,
 * derived; else, where the quarantine is soft, one in quarantine. Null when there is none.
 */
export async function chooseAddress(
  trx: Trx,
  { family, ...pool }: Pool & { family: ChainFamily },
  policy: Pick<PaymentPolicy, 'quarantine' | 'quarantineSeconds'>,
  now: number,
): Promise<{ id: number; address: Address } | null> {
  const free = await findFreeAddress(trx, pool, quarantineStart(policy, now));
  if (free !== null) return free;
  const derived = await deriveAddress(trx, pool, family, now);
  if (derived !== null) return derived;
  return policy.quarantine === 'strict' ? null : findFreeAddress(trx, pool, null);
}

/**
 * Derives the address with the lowest index that was not derived yet. One that somebody added by hand before is
 * passed over.
 */
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
    const account = accountOf(source);
    for (let index = source.nextIndex; index < source.limit; index++) {
      const parsed = account.addressAt(family, index);
      const holders = await findAddressHolders(trx, [parsed.key]);
      const foreign = holders.some((holder) => holder.merchantId !== source.merchantId);
      if (foreign || holders.some((holder) => holder.network === source.network)) continue;
      const id = await addDerivedAddress(trx, source, index, parsed, now);
      await setNextIndex(trx, source.id, index + 1);
      return { id, address: parsed.address };
    }
    await setNextIndex(trx, source.id, source.limit);
  }
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
