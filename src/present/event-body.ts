import type { ChainConfig } from '../config.ts';
import type { Currency } from '../core/assets.ts';
import type { SessionView } from '../core/checkout-session.ts';
import type { EventType } from '../core/events.ts';
import type { Deposit, OnchainPayment, PaymentView } from '../core/payment.ts';
import { InvariantError } from '../errors.ts';
import type { PoolLoad } from '../storage/pool/counts.ts';
import type { Pool } from '../storage/pool/locks.ts';
import type { Endpoint } from '../storage/webhooks/endpoints.ts';
import { presentSession } from './checkout-sessions.ts';
import { presentExpectation } from './expected.ts';
import { knownTx, presentWithoutCheckout, shownAmount } from './payments.ts';
import { isoTime, showAmount } from './values.ts';

/**
 * The body of a payment's event, frozen from here on: the seed's eight keys first, then what depositd adds.
 * `payment` is the retrieve shape without the two values that open the checkout.
 */
export function paymentEventBody(event: EventType, view: PaymentView): string {
  const { payment } = view;
  return JSON.stringify({
    event,
    payment_id: payment.paymentNumber,
    external_order_id: payment.externalOrderId,
    amount: shownAmount(view),
    currency: (payment.kind === 'onchain' ? payment.coin : payment.currency).toUpperCase(),
    chain: payment.chain,
    tx_hash: knownTx(view),
    confirmed_at: payment.confirmedAt === null ? null : offsetTime(payment.confirmedAt),
    status: payment.status,
    network: payment.network,
    metadata: payment.metadata,
    created_at: isoTime(payment.createdAt),
    payment: presentWithoutCheckout(view),
    checkout_session: payment.checkoutSession ?? '',
    livemode: payment.livemode,
  });
}

/** The body of an event of a checkout session: the keys that every event has, then the session without its link. */
export function sessionEventBody(event: EventType, view: SessionView, at: number): string {
  const { checkout_url, ...session } = presentSession(view, '', at);
  return JSON.stringify({
    ...withoutPayment(event, view.session.livemode, at),
    external_order_id: session.external_order_id,
    amount: null,
    status: session.status,
    metadata: session.metadata,
    checkout_session: session.id,
    session,
  });
}

/**
 * The body of `deposit.unmatched`: the same keys where they have a meaning, then what came, and what was expected
 * by the payment it was probably meant for. Where more came at the same time than is told one by one, `deposit` is the
 * largest of these, `deposits` are the first of them and `deposits_total` is how many there are.
 */
export function unmatchedEventBody(
  shown: readonly (readonly [deposit: Deposit, address: string])[],
  total: number,
  chain: Pick<ChainConfig, 'name' | 'native' | 'livemode'>,
  expected: OnchainPayment | null,
): string {
  const [first] = shown;
  if (first === undefined) throw new InvariantError('an unmatched deposit that is none');
  const [deposit] = first;
  return JSON.stringify({
    ...withoutPayment('deposit.unmatched', chain.livemode, deposit.seenAt),
    amount: showAmount(deposit, deposit.amount),
    currency: symbolOn(chain, deposit.currency),
    chain: chain.name,
    tx_hash: deposit.txHash,
    status: 'unmatched',
    network: deposit.network,
    deposit: unmatchedDeposit(first),
    ...(total === 1 ? {} : { deposits: shown.map(unmatchedDeposit), deposits_total: total }),
    expected: expected === null ? null : presentExpectation(expected),
  });
}

function unmatchedDeposit([deposit, address]: readonly [Deposit, string]): Record<string, unknown> {
  return {
    id: deposit.id,
    network: deposit.network,
    currency: deposit.currency,
    amount: showAmount(deposit, deposit.amount),
    address,
    tx_hash: deposit.txHash,
    block_height: deposit.height,
    block_time: isoTime(deposit.blockTime * 1000),
    reason: deposit.unmatchedReason,
  };
}

/** The body of `pool.low` and `pool.exhausted`: the keys that every event has, then the pool. */
export function poolEventBody(
  event: Extract<EventType, 'pool.low' | 'pool.exhausted'>,
  { network, currency }: Pool,
  { total, held }: PoolLoad,
  chain: Pick<ChainConfig, 'name' | 'native' | 'livemode'>,
  at: number,
): string {
  return JSON.stringify({
    ...withoutPayment(event, chain.livemode, at),
    amount: null,
    currency: symbolOn(chain, currency),
    chain: chain.name,
    status: event === 'pool.low' ? 'low' : 'exhausted',
    network,
    pool: { network, currency, total, held, free: total - held },
  });
}

/**
 * The body of an event about an endpoint itself: the keys that every webhook has, empty, then the endpoint.
 * Without its URL's path, which may hold a key of the receiver's.
 */
export function endpointEventBody(
  event: EventType,
  endpoint: Pick<Endpoint, 'id' | 'url' | 'description' | 'disabledReason'>,
  { livemode, at }: { livemode: boolean; at: number },
): string {
  return JSON.stringify({
    ...withoutPayment(event, livemode, at),
    endpoint: {
      id: endpoint.id,
      host: new URL(endpoint.url).host,
      description: endpoint.description,
      disabled_reason: endpoint.disabledReason,
    },
  });
}

/** The keys that every event has, in their order, of one that is about no payment. */
function withoutPayment(event: EventType, livemode: boolean, at: number) {
  return {
    event,
    payment_id: null,
    external_order_id: '',
    amount: '0',
    currency: '',
    chain: '',
    tx_hash: '',
    confirmed_at: null,
    status: '',
    network: '',
    metadata: {},
    created_at: isoTime(at),
    checkout_session: '',
    livemode,
  };
}

/** What people call a currency on a chain. */
function symbolOn({ native }: Pick<ChainConfig, 'native'>, currency: Currency): string {
  return (currency === 'native' ? native.coin : currency).toUpperCase();
}

/** The body of `provider.event`: what a provider sent that has no payments, word for word. It confirms nothing. */
export function providerEventBody(
  shown: { name: string; label: string; type: string; event: string; body: string },
  { livemode, at }: { livemode: boolean; at: number },
): string {
  const { label, ...provider } = shown;
  return JSON.stringify({
    ...withoutPayment('provider.event', livemode, at),
    amount: null,
    chain: label,
    network: shown.name,
    provider_event: provider,
  });
}

/** As the seed prints times in webhooks. */
function offsetTime(ms: number): string {
  return isoTime(ms).replace('Z', '+00:00');
}
