import type { ApiKey, Merchant } from '../storage/operators/merchants.ts';
import { isoTime, timeOrNull } from './values.ts';

/*
 * The JSON of merchants and their API keys. Never with a key itself: that is shown once, by whoever made it.
 */

export function presentMerchant(merchant: Merchant) {
  return {
    id: merchant.id,
    name: merchant.name,
    created_at: isoTime(merchant.createdAt),
    removed_at: timeOrNull(merchant.removedAt),
  };
}

export function presentKey(key: ApiKey) {
  return {
    id: key.id,
    merchant_id: key.merchantId,
    prefix: key.prefix,
    created_at: isoTime(key.createdAt),
    revoked_at: timeOrNull(key.revokedAt),
  };
}
