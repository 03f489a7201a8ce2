import type { Clock } from '../clock.ts';
import { counted } from '../core/plural.ts';
import { inTransaction, serializeInserts } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { type BrandChange, changeBrand } from '../storage/operators/brands.ts';
import {
  type ApiKey,
  addApiKey,
  addMerchant,
  type Belongings,
  countBelongings,
  countOpenPayments,
  findNamesake,
  type Merchant,
  markMerchantRemoved,
  revokeKey,
  revokeKeysOf,
} from '../storage/operators/merchants.ts';
import { endSessionsOf } from '../storage/operators/user-sessions.ts';
import { disableUser, listUsers, lockUsers } from '../storage/operators/users.ts';
import { listDerivedPools, removeDerivedPool } from '../storage/pool/derived-pools.ts';
import { retireAddressesOf } from '../storage/pool/retire.ts';
import type { Db, Trx } from '../storage/schema.ts';
import { deleteEndpoint, listEndpoints } from '../storage/webhooks/endpoints.ts';

/*
 * What operators do with merchants and their API keys, for the API and the commands alike, each with its entry in the
 * audit log.
 */

type Deps = { db: Db; clock: Clock };

/** Makes a merchant with a first key, which exists only in this answer. `namesake` has the name already. */
export async function registerMerchant(
  { db, clock }: Deps,
  { name, actor }: { name: string; actor: string },
): Promise<{ merchant: Merchant; secret: string; namesake: Merchant | null }> {
  return inTransaction(db, async (trx) => {
    const at = clock();
    const namesake = await findNamesake(trx, name);
    const merchant = await addMerchant(trx, { name, at });
    const { apiKey, secret } = await addApiKey(trx, { merchantId: merchant.id, at });
    const detail = { name, key: apiKey.id, prefix: apiKey.prefix };
    await recordAudit(trx, { at, actor, action: 'merchant.added', subject: merchant.id, detail });
    return { merchant, secret, namesake };
  });
}

/** What to tell somebody who has added a merchant whose name another one has. */
export function namesakeWarning({ id }: Merchant): string {
  return `there is a merchant of this name already, ${id}; "depositd key add" gives it another key, "depositd merchant remove" takes one of them out of use`;
}

/** Changes how a merchant shows itself to its payers. */
export async function changeMerchantBrand(
  { db, clock }: Deps,
  { merchantId, change, actor }: { merchantId: string; change: BrandChange; actor: string },
): Promise<void> {
  await inTransaction(db, async (trx) => {
    await changeBrand(trx, merchantId, change);
    const { logo, ...texts } = change;
    const detail = { ...texts, ...(logo === undefined ? {} : { logo: logo?.type ?? null }) };
    await recordAudit(trx, { at: clock(), actor, action: 'merchant.changed', subject: merchantId, detail });
  });
}

/** Gives a merchant another key, which exists only in this answer. */
export async function issueKey(
  { db, clock }: Deps,
  { merchantId, actor }: { merchantId: string; actor: string },
): Promise<{ apiKey: ApiKey; secret: string }> {
  return inTransaction(db, async (trx) => {
    const at = clock();
    const added = await addApiKey(trx, { merchantId, at });
    const detail = { key: added.apiKey.id, prefix: added.apiKey.prefix };
    await recordAudit(trx, { at, actor, action: 'key.added', subject: merchantId, detail });
    return added;
  });
}

/** Revokes a key; null when there is no such one, also not of `merchantId` where that is given, or it is revoked already. */
export async function withdrawKey(
  { db, clock }: Deps,
  { actor, ...wanted }: { id: string; merchantId?: string; actor: string },
): Promise<ApiKey | null> {
  return inTransaction(db, async (trx) => {
    const at = clock();
    const key = await revokeKey(trx, { ...wanted, at });
    if (key === null) return null;
    const detail = { key: key.id, prefix: key.prefix };
    await recordAudit(trx, { at, actor, action: 'key.revoked', subject: key.merchantId, detail });
    return key;
  });
}

export type RemoveOutcome =
  | { outcome: 'removed'; merchant: Merchant }
  | { outcome: 'not_found' }
  | { outcome: 'not_removable'; why: string };

/**
 * Takes a merchant out of use: its keys are revoked, its addresses retired, its derived pools and webhook endpoints
 * removed, its users disabled. What was paid stays in the books, and late money is still seen. `force`: also where there is
 * more than keys.
 */
export async function removeMerchant(
  { db, clock }: Deps,
  { merchantId, force, actor }: { merchantId: string; force: boolean; actor: string },
): Promise<RemoveOutcome> {
  try {
    return await inTransaction(db, async (trx): Promise<RemoveOutcome> => {
      const at = clock();
      await serializeInserts(trx, 'addresses');
      const has = await countBelongings(trx, merchantId);
      const merchant = await markMerchantRemoved(trx, merchantId, at);
      if (merchant === null) return { outcome: 'not_found' };
      if (!force) refuseBelongings(has);
      const keys = await revokeKeysOf(trx, merchantId, at);
      for (const { id } of await listDerivedPools(trx, merchantId)) {
        await removeDerivedPool(trx, { merchantId, poolId: id, at });
      }
      await retireAddressesOf(trx, merchantId);
      for (const { id } of await listEndpoints(trx, merchantId)) await deleteEndpoint(trx, id, at);
      await lockUsers(trx);
      await disableUsersOf(trx, { merchantId, at, actor });
      // Now that nobody can lock an address any more: whoever was about to has done so and is counted, or gets none.
      const open = await countOpenPayments(trx, merchantId);
      if (open > 0) {
        throw new Refusal(`it has ${counted(open, 'open payment')}: cancel, or wait until none is open`);
      }
      const detail = { name: merchant.name, keys, ...has };
      await recordAudit(trx, { at, actor, action: 'merchant.removed', subject: merchantId, detail });
      return { outcome: 'removed', merchant };
    });
  } catch (error) {
    if (error instanceof Refusal) return { outcome: 'not_removable', why: error.message };
    throw error;
  }
}

/** There is nothing left that they may see. */
async function disableUsersOf(
  trx: Trx,
  { merchantId, ...by }: { merchantId: string; at: number; actor: string },
): Promise<void> {
  for (const { id, name, ...user } of await listUsers(trx)) {
    if (user.merchantId !== merchantId || !(await disableUser(trx, id, by.at))) continue;
    await endSessionsOf(trx, id);
    await recordAudit(trx, { ...by, action: 'user.disabled', subject: id, detail: { name } });
  }
}

/** Undoes what the transaction has done so far. */
class Refusal extends Error {}

function refuseBelongings({ payments, addresses, derived_pools, endpoints }: Belongings): void {
  const list = [
    ...(payments > 0 ? [counted(payments, 'payment')] : []),
    ...(addresses > 0 ? [counted(addresses, 'address')] : []),
    ...(derived_pools > 0 ? [counted(derived_pools, 'derived pool')] : []),
    ...(endpoints > 0 ? [counted(endpoints, 'webhook endpoint')] : []),
  ];
  if (list.length === 0) return;
  throw new Refusal(
    `it has ${list.join(', ')}; if it is to go all the same (--force, or force=true over HTTP), its addresses are retired, its derived pools and endpoints removed, and its payments stay in the books`,
  );
}
