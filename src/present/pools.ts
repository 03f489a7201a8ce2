import { shortKey } from '../core/account-key.ts';
import { type GapReport, gapWarning } from '../core/gaps.ts';
import { addressState, type PoolStatus, type Quarantine } from '../core/pool.ts';
import type { PoolAddress } from '../storage/pool/addresses.ts';
import type { DerivedPool } from '../storage/pool/derived-pools.ts';
import { isoTime } from './values.ts';

/*
 * The JSON of receive addresses and their pools.
 */

export function presentPool(pool: PoolStatus) {
  return {
    merchant_id: pool.merchantId,
    network: pool.network,
    currency: pool.currency,
    level: pool.level,
    total: pool.total,
    free: pool.free,
    held: pool.held,
    quarantined: pool.quarantined,
    retired: pool.retired,
    derivable: pool.derivable,
    forecast: {
      payments_last_day: pool.paymentsLastDay,
      busiest_hour: pool.busiestHour,
      mean_lock_seconds: Math.round(pool.meanLockSeconds),
      // A tenth of an address is as much as a forecast knows.
      expected_held: Math.round(pool.forecast.expectedHeld * 10) / 10,
      exhausted_in_seconds: pool.forecast.exhaustedInSeconds,
    },
  };
}

export function presentDerivedPool({ gaps, ...pool }: DerivedPool & { gaps: GapReport }) {
  return {
    id: pool.id,
    network: pool.network,
    currency: pool.currency,
    label: pool.label,
    key: shortKey(pool.xpub),
    limit: pool.limit,
    derived: gaps.derived,
    used: gaps.used,
    skipped: gaps.skipped,
    longest_gap: gaps.longestGap,
    warning: gapWarning(gaps),
    created_at: isoTime(pool.createdAt),
  };
}

export function presentAddress(address: PoolAddress, quarantine: Quarantine) {
  return {
    id: address.id,
    network: address.network,
    address: address.address,
    currency: address.currency,
    label: address.label,
    source: address.source,
    derived_pool_id: address.derived?.poolId ?? null,
    derivation_index: address.derived?.index ?? null,
    state: addressState(address, quarantine),
    active: address.active,
    held: address.lockedBy !== null,
    created_at: isoTime(address.createdAt),
  };
}
