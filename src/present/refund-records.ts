import type { OnchainPayment } from '../core/payment.ts';
import type { RefundRecord } from '../core/refund-record.ts';
import { isoTime, showAmount, timeOrNull } from './values.ts';

/** The JSON of a refund that an operator wrote down. */
export function presentRefundRecord(record: RefundRecord, payment: OnchainPayment) {
  const { id, address, txHash, amount, reason, actor, createdAt, status, detail, checkedAt, block } = record;
  return {
    id,
    payment_number: payment.paymentNumber,
    network: payment.network,
    currency: payment.currency,
    amount: showAmount(payment, amount),
    to: address as string,
    tx_hash: txHash as string,
    status,
    detail,
    reason,
    actor,
    created_at: isoTime(createdAt),
    checked_at: timeOrNull(checkedAt),
    block_height: block?.height ?? null,
    block_time: timeOrNull(block?.time ?? null),
  };
}
