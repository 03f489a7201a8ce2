import type { Config, PaymentPolicy } from '../config.ts';
import type { ChainFamily, Network } from '../core/networks.ts';
import { InvariantError } from '../errors.ts';
import { isoTime } from '../present/values.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import {
  askToDeriveAhead,
  countDerivedLately,
  type DerivedPool,
  endDerivingAhead,
  listPoolsToDeriveAhead,
} from '../storage/pool/derived-pools.ts';
import {
  addHold,
  extendHolds,
  lockAddressTable,
  longestLifetimeMs,
  readHold,
  voidHolds,
} from '../storage/pool/holds.ts';
import type { Db, Trx } from '../storage/schema.ts';
import { passOverIds } from '../storage/webhooks/deliveries.ts';
import { addDerivation, computeAddresses, type Derivation, findUntaken } from './choose.ts';

/** Of each key so many addresses are derived ahead, or as many as in its last day. */
const leastAhead = 20;
const mostAhead = 1_000;

/** How often a daemon looks whether a hold has asked for it. */
export const deriveAheadEveryMs = 5_000;

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

function networksOf(chains: Config['chains']): Network[] {
  return Object.values(chains).map(({ network }) => network);
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
