import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { sessionStatusAt } from '../core/checkout-session.ts';
import type { OnchainPayment } from '../core/payment.ts';
import type { Rates } from '../rates/rates.ts';
import { lockSession } from '../storage/checkout/sessions.ts';
import { listSums } from '../storage/deposits/sums.ts';
import { lockPayment, markReplaced } from '../storage/payments/payments.ts';
import { findPaymentByNumber, findPaymentByToken } from '../storage/payments/views.ts';
import { holdFreeAddress, wasGivenSince } from '../storage/pool/locks.ts';
import type { Db, Trx } from '../storage/schema.ts';
import { mostChoices } from './choose.ts';
import type { CreateOutcome, PaymentCreator } from './create.ts';
import type { CreateRequest } from './new-payment.ts';
import { fiatMoneyOf, usdCentsOf } from './quote.ts';
import { isDust } from './tally.ts';

/** Fresh quotes of one order. */
export const mostRequotes = 3;

/** Why there is no fresh quote. */
export type RequoteRefusal =
  | 'switched_off'
  /** It is not expired, or money has come for it. */
  | 'not_expired'
  | 'received'
  | 'too_many'
  /** Its checkout session is over, or another payment is open in it. */
  | 'session_ended'
  /** Another payment has been given its address since. */
  | 'address_taken';

export type RequoteOutcome =
  /** The payer pays this one: it was made, or was there already. */
  | { outcome: 'requoted'; paymentToken: string }
  | { outcome: 'not_found' }
  | { outcome: 'refused'; why: RequoteRefusal }
  | Exclude<CreateOutcome, { view: unknown } | { outcome: 'idempotency_key_reused' | 'no_address' }>;

export type RequoteDeps = {
  db: Db;
  config: Pick<Config, 'payments'>;
  clock: Clock;
  rates: Rates;
  payments: PaymentCreator;
};

/**
 * Makes a new payment of the same order at the rate of now, to the same address, of one that expired with nothing received.
 * Asked twice it is one payment. What was mined before the new lock is the old payment's late money, as ever.
 */
export async function requotePayment(deps: RequoteDeps, token: string): Promise<RequoteOutcome> {
  const { db, config, rates, payments } = deps;
  const view = await findPaymentByToken(db, token);
  if (view === null || view.kind !== 'onchain') return { outcome: 'not_found' };
  const { payment } = view;
  if (payment.replacedBy !== null) return replacement(db, payment.replacedBy);
  if (!config.payments.requote) return { outcome: 'refused', why: 'switched_off' };

  const outcome = await payments.createWithin<RequoteRefusal | 'replaced'>(requestOf(payment, rates), {
    admit: (trx, now) => admit(trx, payment.id, now),
    address: async (trx, now) => {
      const free = await holdFreeAddress(trx, payment.addressId, now);
      return (await wasGivenSince(trx, payment.addressId, payment.id)) ? null : free;
    },
    made: (trx, made) => markReplaced(trx, payment.id, made.paymentNumber),
  });
  switch (outcome.outcome) {
    case 'created':
    case 'replayed':
      return { outcome: 'requoted', paymentToken: outcome.view.payment.paymentToken };
    case 'not_admitted': {
      if (outcome.why !== 'replaced') return { outcome: 'refused', why: outcome.why };
      const now = await findPaymentByToken(db, token);
      return replacement(db, now?.payment.replacedBy ?? '');
    }
    case 'no_address':
    case 'all_held':
      return { outcome: 'refused', why: 'address_taken' };
    case 'idempotency_key_reused':
      return { outcome: 'not_found' };
    case 'rate_unavailable':
    case 'chain_unavailable':
    case 'clock_skew':
    case 'database_unchecked':
      return outcome;
    default:
      return outcome satisfies never;
  }
}

/** Why there can be no fresh quote of a payment, as far as the payment tells; null where there may be. */
export function requoteRefusal(payment: OnchainPayment, on: boolean): RequoteRefusal | null {
  if (!on) return 'switched_off';
  if (payment.status !== 'expired') return 'not_expired';
  if (payment.reason !== null) return 'received';
  return payment.requotes >= mostRequotes ? 'too_many' : null;
}

async function replacement(db: Db, paymentNumber: string): Promise<RequoteOutcome> {
  const view = await findPaymentByNumber(db, paymentNumber);
  if (view === null) return { outcome: 'not_found' };
  return { outcome: 'requoted', paymentToken: view.payment.paymentToken };
}

async function admit(trx: Trx, id: number, now: number): Promise<RequoteRefusal | 'replaced' | null> {
  const payment = await lockPayment(trx, id);
  if (payment.replacedBy !== null) return 'replaced';
  const refusal = requoteRefusal(payment, true);
  if (refusal !== null) return refusal;
  // Also what the chain took back counts as received: it may be mined again.
  const sums = await listSums(trx, id);
  const everSeen = sums.map((sum) => ({ ...sum, status: 'seen' }) as const);
  if (!isDust(payment, everSeen)) return 'received';
  if (payment.checkoutSession === null) return null;
  const view = await lockSession(trx, payment.checkoutSession);
  const others = view.payments.some(({ status }) => status === 'pending');
  const over = sessionStatusAt(view, now) !== 'open' || view.session.expiresAt <= now;
  if (over || others) return 'session_ended';
  return view.payments.length >= mostChoices ? 'too_many' : null;
}

function requestOf(payment: OnchainPayment, rates: Rates): CreateRequest {
  const price = fiatMoneyOf(payment.price);
  return {
    merchantId: payment.merchantId,
    network: payment.network,
    currency: payment.currency,
    amountUsdCents: usdCentsOf(price, rates) ?? payment.amountUsdCents,
    price,
    externalOrderId: payment.externalOrderId,
    customerEmail: payment.customerEmail,
    redirectUrl: payment.redirectUrl,
    metadata: payment.metadata,
    locale: payment.locale,
    checkoutSession: payment.checkoutSession,
    replaced: payment,
    idempotency: null,
  };
}
