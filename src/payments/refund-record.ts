import { type AddressKey, familyOf, parseAddress } from '../core/address.ts';
import type { TxHash } from '../core/chain.ts';
import { formatAmount, parseAmount, parseRate, usdCentsDown } from '../core/money.ts';
import type { OnchainPayment } from '../core/payment.ts';
import { counted } from '../core/plural.ts';
import type { RefundRecord } from '../core/refund-record.ts';
import { parseTransactionText } from '../core/transaction-text.ts';
import { InvariantError } from '../errors.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { findNumbered, findPaymentNumbers } from '../storage/payments/numbers.ts';
import { findPaymentById } from '../storage/payments/payments.ts';
import {
  deleteRefundRecord,
  findRefundOfTransfer,
  insertRefundRecord,
  lockRefundRecord,
} from '../storage/payments/refund-records.ts';
import type { OperatorAct, OperatorDeps } from './accept.ts';

/** A refund as an operator writes it down, each text as it was given. */
export type RefundWords = { amount: string; to: string; tx_hash: string };

export type RecordOutcome =
  | { outcome: 'recorded'; record: RefundRecord; payment: OnchainPayment; repeated: boolean }
  | { outcome: 'not_found' }
  | { outcome: 'not_recordable'; why: string }
  | { outcome: 'wrong'; field: keyof RefundWords; why: string };

/**
 * Writes down that a refund was sent from a wallet of the operator's, in what the payment asked for. It counts for nothing
 * until the chain shows it, see payments/check-refunds.ts, and never changes what came for the payment. One transfer is
 * one refund: repeating it changes nothing, and another payment does not get it.
 */
export async function recordRefund(
  { db, clock }: OperatorDeps,
  { paymentNumber, words, reason, actor }: OperatorAct & { paymentNumber: string; words: RefundWords },
): Promise<RecordOutcome> {
  const found = await findNumbered(db, paymentNumber);
  if (found === null) return { outcome: 'not_found' };
  if (found.kind === 'provider') {
    return { outcome: 'not_recordable', why: 'the payment is made by a provider, which makes its refunds' };
  }
  const payment = await findPaymentById(db, found.id);
  const read = readWords(payment, words);
  if ('why' in read) return { outcome: 'wrong', ...read };
  const now = clock();
  const record: Omit<RefundRecord, 'id'> = {
    ...read,
    paymentId: payment.id,
    network: payment.network,
    token: payment.token,
    reason,
    actor,
    createdAt: now,
    status: 'not_found',
    detail: '',
    checks: 0,
    checkedAt: null,
    nextCheckAt: now,
    block: null,
  };
  return inTransaction(db, async (trx): Promise<RecordOutcome> => {
    const inserted = await insertRefundRecord(trx, record);
    if (inserted === null) {
      const known = await findRefundOfTransfer(trx, record);
      if (known === null) throw new InvariantError('a refund that is recorded and is not');
      const isSame = known.paymentId === payment.id && known.amount === record.amount;
      if (isSame) return { outcome: 'recorded', record: known, payment, repeated: true };
      const number = (await findPaymentNumbers(trx, [known.paymentId])).get(known.paymentId) ?? '';
      const shown = formatAmount(known.amount, payment.decimals);
      const why = `its transfer to this address is recorded already, as a refund of ${shown} for ${number} by ${known.actor}`;
      return { outcome: 'not_recordable', why };
    }
    await recordAudit(trx, {
      at: now,
      actor,
      action: 'refund.recorded',
      subject: payment.paymentNumber,
      detail: { reason, ...detailOf(inserted, payment) },
    });
    return { outcome: 'recorded', record: inserted, payment, repeated: false };
  });
}

export type RemoveOutcome =
  | { outcome: 'removed'; record: RefundRecord; payment: OnchainPayment }
  | { outcome: 'not_found' }
  | { outcome: 'not_removable'; why: string };

/** Takes back what was written down wrong. What the chain has shown stays. */
export async function removeRefundRecord(
  { db, clock }: OperatorDeps,
  { paymentNumber, id, actor }: { paymentNumber: string; id: number; actor: string },
): Promise<RemoveOutcome> {
  const found = await findNumbered(db, paymentNumber);
  if (found === null || found.kind === 'provider') return { outcome: 'not_found' };
  const payment = await findPaymentById(db, found.id);
  return inTransaction(db, async (trx): Promise<RemoveOutcome> => {
    const record = await lockRefundRecord(trx, { id, paymentId: payment.id });
    if (record === null) return { outcome: 'not_found' };
    if (record.status === 'verified') return { outcome: 'not_removable', why: 'the chain shows it' };
    await deleteRefundRecord(trx, id);
    await recordAudit(trx, {
      at: clock(),
      actor,
      action: 'refund.removed',
      subject: payment.paymentNumber,
      detail: detailOf(record, payment),
    });
    return { outcome: 'removed', record, payment };
  });
}

type Read = { amount: bigint; usdCents: number; recipient: AddressKey; txHash: TxHash } & Pick<
  RefundRecord,
  'address'
>;

function readWords(
  payment: OnchainPayment,
  words: RefundWords,
): Read | { field: keyof RefundWords; why: string } {
  const { decimals, usdPerCoin } = payment;
  const amount = parseAmount(words.amount.trim(), decimals);
  if (amount === null || amount === 0n) {
    const why = `expected an amount such as ${formatAmount(payment.expectedAmount, decimals)}, with at most ${counted(decimals, 'decimal')}`;
    return { field: 'amount', why };
  }
  const rate = parseRate(usdPerCoin);
  if (rate === null) throw new InvariantError(`payment ${payment.id} has the rate ${usdPerCoin}`);
  const usdCents = Number(usdCentsDown(amount, rate, decimals));
  if (!Number.isSafeInteger(usdCents)) return { field: 'amount', why: 'nobody has so much' };
  const family = familyOf(payment.address);
  const to = parseAddress(family, words.to.trim());
  if ('error' in to) return { field: 'to', why: to.error };
  if (to.address === payment.address) return { field: 'to', why: "this is the payment's own address" };
  const txHash = parseTransactionText(family, words.tx_hash);
  if (txHash === null) {
    return { field: 'tx_hash', why: 'expected the hash of one transaction: 64 hex digits' };
  }
  return { amount, usdCents, recipient: to.key, address: to.address, txHash };
}

function detailOf({ amount, address, txHash }: RefundRecord, payment: OnchainPayment) {
  return {
    amount: formatAmount(amount, payment.decimals),
    network: payment.network,
    currency: payment.currency,
    to: address,
    tx_hash: txHash,
  };
}
