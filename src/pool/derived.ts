import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { parseAccountKey } from '../core/account-key.ts';
import type { Address } from '../core/address.ts';
import { currencies } from '../core/assets.ts';
import { labelFault } from '../core/labels.ts';
import { type Network, networks } from '../core/networks.ts';
import { privateKeyIn, privateKeyRefusal } from '../core/private-keys.ts';
import { inTransaction, serializeInserts } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import {
  addDerivedPool,
  type DerivedPool,
  findPoolsOfKey,
  listDerivedIndexes,
  listDerivedPools,
  setPoolLimit,
} from '../storage/pool/derived-pools.ts';
import type { Db } from '../storage/schema.ts';
import { addressRules } from './check.ts';
import { type GapReport, reportGaps } from './gaps.ts';

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
  actor: string;
};

export type DerivedPoolOutcome =
  | { pool: DerivedPool; firstAddresses: Address[]; warnings: string[] }
  | { error: string; field: 'network' | 'currency' | 'label' | 'xpub' };

/** How many addresses to show, for comparing them with the wallet. */
const shownAddresses = 3;

/** The depth of `m/44'/60'/0'`, which wallets show as an account. */
const accountDepth = 3;

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
  const offered = addressRules(config).offered.get(network);
  if (offered === undefined)
    return { field: 'network', error: `${network} is off: the configuration has no chains.${network}` };
  const currency = currencies.find((name) => name === request.currency) ?? null;
  if (request.currency !== '' && (currency === null || !offered.has(currency)))
    return {
      field: 'currency',
      error: `this cannot be paid on ${network}; expected ${[...offered].join(', ')}`,
    };
  const fault = labelFault(label);
  if (fault !== null) return { field: 'label', error: fault };

  const limit = request.limit ?? config.payments.derivedLimit;
  const at = clock();
  const added = await inTransaction(db, async (trx) => {
    await serializeInserts(trx, 'addresses');
    const holders = await findPoolsOfKey(trx, xpub);
    if (holders.some((holder) => holder.merchantId !== merchantId)) return 'another merchant has this key';
    if (holders.some((holder) => holder.network === network))
      return `this key has a pool on ${network} already`;
    const pool = await addDerivedPool(trx, {
      merchantId,
      network,
      currency,
      label,
      xpub,
      limit,
      createdAt: at,
    });
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
    firstAddresses: indexes.map((index) => account.addressAt(networks[network].family, index).address),
    warnings:
      account.depth === accountDepth
        ? []
        : [
            `this key lies ${account.depth} levels below the master key, an account lies ${accountDepth}: make sure that your wallet shows the first addresses`,
          ],
  };
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

/** Enough of a key to recognise it: whoever has the whole of it sees every payment of the account. */
export function shortKey(xpub: string): string {
  return `${xpub.slice(0, 8)}…${xpub.slice(-6)}`;
}
