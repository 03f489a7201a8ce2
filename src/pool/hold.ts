import type { Config, PaymentPolicy } from '../config.ts';
import { isoTime } from '../present/values.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { askToDeriveAhead } from '../storage/pool/derived-pools.ts';
import { addHold, lockAddressTable, longestLifetimeMs, readHold, voidHolds } from '../storage/pool/holds.ts';
import type { Db, Trx } from '../storage/schema.ts';
import { passOverIds } from '../storage/webhooks/deliveries.ts';
import { deriveAhead, networksOf } from './derive-ahead.ts';

export type HoldRequest = { at: number; until: number; reason: string; actor: string };

/** What is held back once a hold is added. `until`, Unix ms, is later than the hold's own where an earlier hold lasts longer. */
export type Held = { until: number; lastAddressId: number; derivedAhead: number };

/**
 * How long a hold has to last, ms: as long as a lost payment may still be paid, and then, where the quarantine is strict, as long as its
 * address would have been in quarantine. Lost payments may have had a longer lifetime than the configuration says now, so the longest of
 * the newest payments counts too.
 */
export async function holdMs(
  db: Db,
  {
    lifetimeSeconds,
    quarantine,
    quarantineSeconds,
  }: Pick<PaymentPolicy, 'lifetimeSeconds' | 'quarantine' | 'quarantineSeconds'>,
): Promise<number> {
  const quarantineMs = quarantine === 'strict' ? quarantineSeconds * 1000 : 0;
  return Math.max(lifetimeSeconds * 1000, await longestLifetimeMs(db)) + quarantineMs;
}

/**
 * Holds back every address, because the database may have lost the payments that have them. Lost payments may also have had the next
 * addresses of a key: those are derived now, so that they are watched, and are held back as well. If this is killed in the middle, any
 * daemon finishes it, and so does repeating it.
 */
export async function holdAddresses(db: Db, chains: Config['chains'], request: HoldRequest): Promise<Held> {
  const begun = await inTransaction(db, (trx) => beginHold(trx, chains, request));
  const derivedAhead = await deriveAhead(db, chains, request.at);
  // An earlier hold may last longer.
  const { until, lastAddressId } = (await readHold(db, request.at)) ?? begun;
  return { until, lastAddressId, derivedAhead };
}

/**
 * The part of a hold that must not wait. After this transaction no payment is given an address that a lost payment may have, and no
 * delivery gets the id of a lost one. It waits for transactions that are choosing an address. A key gives no new address until
 * {@link deriveAhead} has passed over those that lost payments may have had.
 */
export async function beginHold(
  trx: Trx,
  chains: Config['chains'],
  { at, until, reason, actor }: HoldRequest,
): Promise<Pick<Held, 'until' | 'lastAddressId'>> {
  await lockAddressTable(trx);
  await askToDeriveAhead(trx, networksOf(chains));
  await passOverIds(trx);
  const { lastAddressId } = await addHold(trx, { at, until, reason });
  await recordAudit(trx, {
    at,
    actor,
    action: 'addresses.held',
    subject: 'addresses',
    detail: { until: isoTime(until), last_address_id: lastAddressId, reason },
  });
  return { until, lastAddressId };
}

/** Ends every hold, because nothing was lost after all. @returns false when there was none. */
export async function releaseAddresses(
  trx: Trx,
  { at, actor }: Pick<HoldRequest, 'at' | 'actor'>,
): Promise<boolean> {
  const holds = await voidHolds(trx, at);
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
