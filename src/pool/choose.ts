import type { PaymentPolicy } from '../config.ts';
import type { Address } from '../core/address.ts';
import type { ChainFamily } from '../core/networks.ts';
import { quarantineStart } from '../core/pool.ts';
import { serializeInserts } from '../storage/database.ts';
import { lockPoolWithRoom } from '../storage/pool/derived-pools.ts';
import { readHold } from '../storage/pool/holds.ts';
import { findFreeAddress, findLastReleasedBefore, type Pool } from '../storage/pool/locks.ts';
import type { Trx } from '../storage/schema.ts';
import { addDerivation, computeAddresses } from './derivation.ts';

/**
 * Chooses the address for a new payment, in the transaction that locks it. The first that exists of:
 *
 *   1. the free address that was let go longest ago, and is neither in quarantine nor held back
 *   2. a new one, derived from a key
 *   3. where the quarantine is soft, one in quarantine. After a hold, held back addresses count as in quarantine for that long.
 *
 * Null when there is none.
 */
export async function chooseAddress(
  trx: Trx,
  { family, ...pool }: Pool & { family: ChainFamily },
  policy: Pick<PaymentPolicy, 'quarantine' | 'quarantineSeconds'>,
  now: number,
): Promise<{ id: number; address: Address } | null> {
  const start = quarantineStart(policy, now);
  // With a strict quarantine a hold lasts longer by it already: see holdMs.
  const heldAt = policy.quarantine === 'strict' ? now : start;
  const free = await findFreeAddress(trx, pool, { releasedBefore: start, heldAt });
  if (free !== null) return free;
  const derived = await deriveAddress(trx, pool, family, now);
  if (derived !== null) return derived;
  if (policy.quarantine === 'strict') return null;
  const ended = (await readHold(trx, now)) === null ? await readHold(trx, start) : null;
  // Soon after a hold: lost payments had the addresses that had been let go longest ago, and those let go since the hold began
  // may be paid late. What was let go last before it is the safest.
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
