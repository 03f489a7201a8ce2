import type { Config, PaymentPolicy } from '../config.ts';
import { isoTime } from '../present/values.ts';
import { serializeInserts } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { countDerivedLately, lockDerivedPools } from '../storage/pool/derived-pools.ts';
import { addHold, endHolds, lockAddressTable, readHold } from '../storage/pool/holds.ts';
import type { Trx } from '../storage/schema.ts';
import { deriveAddresses } from './choose.ts';

/** Of each key so many addresses are derived ahead, or as many as in its last day. */
const leastAhead = 20;
const mostAhead = 1_000;

export type HoldRequest = { at: number; until: number; reason: string; actor: string };

/** What a hold holds back. */
export type Held = { until: number; lastAddressId: number; derivedAhead: number };

/** As long as a payment that nobody knows of may be paid, and then as long as its address would rest. */
export function holdMs({
  lifetimeSeconds,
  quarantine,
  quarantineSeconds,
}: Pick<PaymentPolicy, 'lifetimeSeconds' | 'quarantine' | 'quarantineSeconds'>): number {
  return (lifetimeSeconds + (quarantine === 'strict' ? quarantineSeconds : 0)) * 1000;
}

/**
 * Holds back every address that there is, because the database may have lost the payments that have them. Whoever chooses an
 * address meanwhile is waited for: none is given away after this transaction. Lost payments may also have had the next addresses
 * of a key: these are derived, and so watched, and held back as well.
 */
export async function holdAddresses(
  trx: Trx,
  chains: Config['chains'],
  { at, until, reason, actor }: HoldRequest,
): Promise<Held> {
  await lockAddressTable(trx);
  const pools = await lockDerivedPools(trx);
  await serializeInserts(trx, 'addresses');
  let derivedAhead = 0;
  for (const pool of pools) {
    const family = chains[pool.network]?.family;
    if (family === undefined) continue;
    const count = Math.max(leastAhead, await countDerivedLately(trx, pool.id, mostAhead));
    derivedAhead += (await deriveAddresses(trx, pool, { family, count, now: at })).length;
  }
  const { lastAddressId } = await addHold(trx, { at, until, reason });
  await recordAudit(trx, {
    at,
    actor,
    action: 'addresses.held',
    subject: 'addresses',
    detail: { until: isoTime(until), last_address_id: lastAddressId, derived: derivedAhead, reason },
  });
  // One that began before may last longer.
  const whole = await readHold(trx, at);
  return { until: whole?.until ?? until, lastAddressId, derivedAhead };
}

/** Ends every hold. @returns false when there was none. */
export async function releaseAddresses(
  trx: Trx,
  { at, actor }: Pick<HoldRequest, 'at' | 'actor'>,
): Promise<boolean> {
  const holds = await endHolds(trx, at);
  if (holds === 0) return false;
  await recordAudit(trx, {
    at,
    actor,
    action: 'addresses.released',
    subject: 'addresses',
    detail: { holds },
  });
  return true;
}
