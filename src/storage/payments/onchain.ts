import type { Address, AddressKey } from '../../core/address.ts';
import type { Coin } from '../../core/assets.ts';
import type { BlockHash, TxHash } from '../../core/chain.ts';
import type { OnchainPayment } from '../../core/payment.ts';
import { InvariantError } from '../../errors.ts';
import type { Db } from '../schema.ts';
import { commonColumns, readCommon } from './common.ts';

/*
 * The rows of a payment on a chain: one of `payments`, one of `onchain_payments`.
 */

/** Payments on a chain as {@link toPayment} reads them. */
export function selectPayments(db: Db) {
  return db
    .selectFrom('payments')
    .innerJoin('onchain_payments', 'onchain_payments.payment_id', 'payments.id')
    .select([
      ...commonColumns,
      'payments.kind',
      'onchain_payments.coin',
      'onchain_payments.token',
      'onchain_payments.usd_per_coin',
      'onchain_payments.required_amount',
      'onchain_payments.dust_amount',
      'onchain_payments.required_confirmations',
      'onchain_payments.tier_confirmations',
      'onchain_payments.tier_amount',
      'onchain_payments.exceeds_tier',
      'onchain_payments.counted_amount',
      'onchain_payments.told_amount',
      'onchain_payments.completed_by',
      'onchain_payments.address_id',
      'onchain_payments.address',
      'onchain_payments.lock_height',
      'onchain_payments.lock_hash',
      'onchain_payments.lock_time',
      'onchain_payments.lock_chain_time',
      'onchain_payments.block_time_limit',
      'onchain_payments.reopened',
    ]);
}

type Row = Awaited<ReturnType<ReturnType<typeof selectPayments>['executeTakeFirstOrThrow']>>;

export function toPayment(row: Row): OnchainPayment {
  if (row.kind !== 'onchain')
    throw new InvariantError(`payment ${row.id} is of the unknown kind ${row.kind}`);
  return {
    ...readCommon(row),
    kind: row.kind,
    coin: row.coin as Coin,
    token: row.token as AddressKey | 'native',
    usdPerCoin: row.usd_per_coin,
    requiredAmount: BigInt(row.required_amount),
    dustAmount: BigInt(row.dust_amount),
    requiredConfirmations: row.required_confirmations,
    tier:
      row.tier_confirmations === null || row.tier_amount === null
        ? null
        : { confirmations: row.tier_confirmations, upToAmount: BigInt(row.tier_amount) },
    exceedsTier: row.exceeds_tier === 1,
    countedAmount: BigInt(row.counted_amount),
    toldAmount: BigInt(row.told_amount),
    completedBy: row.completed_by as TxHash | null,
    addressId: row.address_id,
    address: row.address as Address,
    lockHead: { height: row.lock_height, hash: row.lock_hash as BlockHash, time: row.lock_time },
    lockChainTime: row.lock_chain_time,
    blockTimeLimit: row.block_time_limit,
    reopened: row.reopened === 1,
  };
}

/** What `onchain_payments` has of a new payment. */
export function onchainColumns(payment: Omit<OnchainPayment, 'id'>) {
  return {
    network: payment.network,
    coin: payment.coin,
    token: payment.token,
    usd_per_coin: payment.usdPerCoin,
    required_amount: payment.requiredAmount.toString(),
    dust_amount: payment.dustAmount.toString(),
    required_confirmations: payment.requiredConfirmations,
    tier_confirmations: payment.tier?.confirmations ?? null,
    tier_amount: payment.tier?.upToAmount.toString() ?? null,
    exceeds_tier: Number(payment.exceedsTier),
    counted_amount: payment.countedAmount.toString(),
    told_amount: payment.toldAmount.toString(),
    completed_by: payment.completedBy,
    address_id: payment.addressId,
    address: payment.address,
    lock_height: payment.lockHead.height,
    lock_hash: payment.lockHead.hash,
    lock_time: payment.lockHead.time,
    lock_chain_time: payment.lockChainTime,
    block_time_limit: payment.blockTimeLimit,
    reopened: Number(payment.reopened),
    released_at: payment.endedAt,
  };
}
