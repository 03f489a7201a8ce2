import type { Clock } from '../clock.ts';
import type { ChainConfig, Config } from '../config.ts';
import { type AccountKey, parseAccountKey, shortKey } from '../core/account-key.ts';
import type { Address } from '../core/address.ts';
import { type GapReport, reportGaps } from '../core/gaps.ts';
import { labelFault } from '../core/labels.ts';
import type { Network } from '../core/networks.ts';
import { counted } from '../core/plural.ts';
import { privateKeyIn, privateKeyRefusal } from '../core/private-keys.ts';
import { inTransaction, serializeInserts } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import {
  addDerivedPool,
  type DerivedPool,
  findPoolsOfKey,
  listDerivedIndexes,
  listDerivedPools,
  removeDerivedPool,
  renewDerivedPool,
  setPoolLimit,
} from '../storage/pool/derived-pools.ts';
import type { Db } from '../storage/schema.ts';
import { readAddressText } from './address-text.ts';
import { addressRules, readPurpose } from './check.ts';

export type DerivedDeps = { db: Db; config: Pick<Config, 'chains' | 'payments'>; clock: Clock };

export type DerivedPoolRequest = {
  merchantId: string;
  network: Network;
  /** Empty: for every currency of the network. */
  currency: string;
  label: string;
  xpub: string;
  /** Most addresses; null: as the configuration says. */
  limit: number | null;
  /** The first address as the wallet shows it; required where the key does not look like an account's. */
  confirmFirst?: string | undefined;
  actor: string;
};

export type DerivedPoolOutcome =
  | { pool: DerivedPool; firstAddresses: Address[] }
  | { error: string; field: 'network' | 'currency' | 'label' | 'xpub' | 'confirm_first' };

/** How many addresses to show, for comparing them with the wallet. */
const shownAddresses = 3;

/** Lets addresses be derived from an account's public key. Nothing is derived before a payment needs it. */
export async function createDerivedPool(
  { db, config, clock }: DerivedDeps,
  request: DerivedPoolRequest,
): Promise<DerivedPoolOutcome> {
  const { merchantId, network, label, xpub, actor } = request;
  const secret = privateKeyIn(xpub);
  if (secret !== null) return { field: 'xpub', error: privateKeyRefusal(secret) };
  const account = parseAccountKey(xpub);
  if ('error' in account) return { field: 'xpub', error: account.error };
  const purpose = readPurpose(addressRules(config), request);
  if ('error' in purpose) return purpose;
  const { family, currency } = purpose;
  const doubt = confirmationFault(account, { network, family }, request.confirmFirst);
  if (doubt !== null) return { field: 'confirm_first', error: doubt };
  const fault = labelFault(label);
  if (fault !== null) return { field: 'label', error: fault };

  const limit = request.limit ?? config.payments.derivedLimit;
  const at = clock();
  const added = await inTransaction(db, async (trx) => {
    await serializeInserts(trx, 'addresses');
    const holders = await findPoolsOfKey(trx, xpub);
    if (holders.some((holder) => holder.merchantId !== merchantId)) return 'another merchant has this key';
    const former = holders.find((holder) => holder.network === network);
    if (former?.removedAt === null) return `this key has a pool on ${network} already`;
    const added = { merchantId, network, currency, label, xpub, limit, createdAt: at };
    const pool =
      former === undefined ? await addDerivedPool(trx, added) : await renewDerivedPool(trx, former.id, added);
    await recordAudit(trx, {
      at,
      actor,
      action: 'derived_pool.added',
      subject: merchantId,
      detail: { pool: pool.id, network, currency, key: shortKey(xpub), limit },
    });
    return pool;
  });
  if (typeof added === 'string') return { field: 'xpub', error: added };
  const indexes = Array.from({ length: shownAddresses }, (_, index) => index);
  return {
    pool: added,
    firstAddresses: indexes.map((index) => account.addressAt(family, index).address),
  };
}

/** What the operator must still say or see before money is sent below this key; null: nothing. */
function confirmationFault(
  account: AccountKey,
  chain: Pick<ChainConfig, 'network' | 'family'>,
  given: string | undefined,
): string | null {
  if (given === undefined) {
    if (account.isAccount) return null;
    return `this key is not where wallets have accounts (it lies ${counted(account.depth, 'level')} below the master key): it may be of another coin or program. Give the first address that your wallet shows for it, to be compared (--confirm-first)`;
  }
  const read = readAddressText(chain, given);
  if ('error' in read) return read.error;
  if (read.key === account.addressAt(chain.family, 0).key) return null;
  return 'the first address below this key is another one: this is not the key of that account';
}

/**
 * Takes a pool, such as one of a wrong key, out of use with all addresses derived for it. Payments that hold one
 * go on, and what reaches it is still seen. Adding the key again takes the pool into use again, not the addresses.
 */
export async function endDerivedPool(
  { db, clock }: Pick<DerivedDeps, 'db' | 'clock'>,
  removal: { merchantId: string; poolId: number; actor: string },
): Promise<{ retired: number; held: number } | null> {
  const { merchantId, poolId, actor } = removal;
  return inTransaction(db, async (trx) => {
    await serializeInserts(trx, 'addresses');
    const at = clock();
    const removed = await removeDerivedPool(trx, { merchantId, poolId, at });
    if (removed === null) return null;
    const detail = { pool: poolId, retired: removed.retired };
    await recordAudit(trx, { at, actor, action: 'derived_pool.removed', subject: merchantId, detail });
    return removed;
  });
}

/** Changes how many addresses a pool may have. @returns false when the merchant has no such pool. */
export async function changePoolLimit(
  { db, clock }: Pick<DerivedDeps, 'db' | 'clock'>,
  change: { merchantId: string; poolId: number; limit: number; actor: string },
): Promise<boolean> {
  const { merchantId, poolId, limit, actor } = change;
  return inTransaction(db, async (trx) => {
    if (!(await setPoolLimit(trx, merchantId, poolId, limit))) return false;
    await recordAudit(trx, {
      at: clock(),
      actor,
      action: 'derived_pool.changed',
      subject: merchantId,
      detail: { pool: poolId, limit },
    });
    return true;
  });
}

/** A merchant's derived pools, and what a wallet that restores their accounts must know. Reads all addresses. */
export async function describeDerivedPools(
  db: Db,
  merchantId: string,
): Promise<(DerivedPool & { gaps: GapReport })[]> {
  const described = [];
  for (const pool of await listDerivedPools(db, merchantId)) {
    const indexes = await listDerivedIndexes(db, pool.id);
    described.push({ ...pool, gaps: reportGaps(indexes, pool.nextIndex) });
  }
  return described;
}
