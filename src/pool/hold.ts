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

/** What a hold holds back. */
export type Held = { until: number; lastAddressId: number; derivedAhead: number };

/**
 * As long as a payment that nobody knows of may be paid, and then as long as its address would rest. The lifetime that the
 * configuration says now may be another than that of lost payments: it is no shorter than any of the newest that there are.
 */
export async function holdMs(
  db: Db,
  {
    lifetimeSeconds,
    quarantine,
    quarantineSeconds,
  }: Pick<PaymentPolicy, 'lifetimeSeconds' | 'quarantine' | 'quarantineSeconds'>,
): Promise<number> {
  const restMs = quarantine === 'strict' ? quarantineSeconds * 1000 : 0;
  return Math.max(lifetimeSeconds * 1000, await longestLifetimeMs(db)) + restMs;
}

/**
 * Holds back every address that there is, because the database may have lost the payments that have them. Lost payments may also
 * have had the next addresses of a key: these are derived, and so watched, and held back as well. Killed in the middle it is
 * finished by any daemon, or by repeating it.
 */
export async function holdAddresses(db: Db, chains: Config['chains'], request: HoldRequest): Promise<Held> {
  const begun = await inTransaction(db, (trx) => beginHold(trx, chains, request));
  const derivedAhead = await deriveAhead(db, chains, request.at);
  // One that began before may last longer.
  const { until, lastAddressId } = (await readHold(db, request.at)) ?? begun;
  return { until, lastAddressId, derivedAhead };
}

/**
 * What must not wait. Whoever chooses an address meanwhile is waited for: no payment is given one that a lost payment may have
 * after this transaction, and no delivery the id of a lost one. A key gives none until {@link deriveAhead} has passed over what lost payments may have had of it.
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

/** Ends every hold, for nothing was lost. @returns false when there was none. */
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
