import { familyOf } from '../core/address.ts';
import type { Deposit, OnchainPayment } from '../core/payment.ts';
import { findLatestPaymentAt } from '../storage/payments/payments.ts';
import { findRecipients } from '../storage/pool/recipients.ts';
import type { Db } from '../storage/schema.ts';
import { showAmount } from './values.ts';

/** What a payment expects, beside a deposit that was probably meant for it. */
export type Expectation = {
  payment_number: string;
  external_order_id: string;
  status: OnchainPayment['status'];
  network: OnchainPayment['network'];
  currency: OnchainPayment['currency'];
  amount: string;
};

/**
 * The payment that an unmatched deposit was probably meant for: one that holds the address now, on whatever chain of
 * its family, else the last that did. Null when none ever did.
 */
export async function findExpected(
  db: Db,
  deposit: Pick<Deposit, 'addressId' | 'recipient'>,
): Promise<OnchainPayment | null> {
  const recipients = await findRecipients(db, deposit.recipient);
  const own = recipients.find(({ id }) => id === deposit.addressId);
  if (own === undefined) return null;
  const family = familyOf(own.address);
  const ids = recipients.filter(({ address }) => familyOf(address) === family).map(({ id }) => id);
  return findLatestPaymentAt(db, ids);
}

export function presentExpectation(payment: OnchainPayment): Expectation {
  return {
    payment_number: payment.paymentNumber,
    external_order_id: payment.externalOrderId,
    status: payment.status,
    network: payment.network,
    currency: payment.currency,
    amount: showAmount(payment, payment.expectedAmount),
  };
}
