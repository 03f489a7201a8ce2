import { randomBytes } from 'node:crypto';
import { isTaken } from '../core/charge.ts';
import { type FiatCode, parseFiatCode } from '../core/fiat.ts';
import type { ProviderPayment } from '../core/payment.ts';
import { InvariantError } from '../errors.ts';
import { inTransaction, serializeByName } from '../storage/database.ts';
import { hastenFetch } from '../storage/providers/fetches.ts';
import { listProviderPaymentsById, lockProviderPayment } from '../storage/providers/payments.ts';
import {
  hasOpenRefund,
  insertRefund,
  listRefundsOfPayment,
  type StoredRefund,
  updateRefund,
} from '../storage/providers/refunds.ts';
import { majorUnits } from './answer.ts';
import type { Bridge } from './bridge.ts';
import { fetchCharge } from './fetch.ts';
import { awaitedMs, openRefundsOf } from './open-refunds.ts';
import type { Refund, RefundIntent, Result } from './provider.ts';
import { type SettleDeps, settleCharge } from './settle.ts';

export type RefundOutcome =
  | { outcome: 'refunded'; refund: StoredRefund; payment: ProviderPayment; replayed: boolean }
  | { outcome: 'unsupported'; reason: string }
  /** A no, ours or the provider's: nothing was sent, or nothing happened. */
  | { outcome: 'not_refundable'; reason: string }
  | { outcome: 'idempotency_key_reused' }
  | NoAnswer;

/** A provider that says no, or nothing. */
export type NoAnswer =
  | { outcome: 'provider_failed'; reason: string }
  | { outcome: 'provider_unavailable'; reason: string; retryAfterSeconds: number };

export type RefundRequest = {
  paymentId: number;
  /** Null: what is left of the whole. */
  amount: bigint | null;
  reason: string;
  idempotencyKey: string | null;
};

/**
 * Has the provider pay back. Its ledger is asked before; what is asked for is written down before it is sent; and it is
 * sent once: when the answer is lost, only the ledger, or the provider's own memory of the same key, tells what became of
 * it, and until then there is no other refund of the payment.
 */
export async function refundCharge(
  deps: SettleDeps,
  bridge: Bridge,
  request: RefundRequest,
): Promise<RefundOutcome> {
  const { provider } = bridge;
  const { refund: ask, descriptor } = provider;
  if (ask === undefined || descriptor.capabilities.refund === 'none') {
    return { outcome: 'unsupported', reason: `${descriptor.displayName} cannot refund` };
  }
  const earlier = await findByKey(deps, request);
  if (earlier !== null) return earlier;
  const fresh = await freshPayment(deps, bridge, request.paymentId);
  if ('outcome' in fresh) return fresh;
  const refundedBefore = await refundedSoFar(bridge, fresh.payment);
  if (refundedBefore.outcome !== 'done') return unavailable(refundedBefore);

  const now = deps.clock();
  const begun = await inTransaction(
    deps.db,
    async (trx): Promise<RefundOutcome | { begun: StoredRefund }> => {
      await serializeByName(trx, `refunds of ${bridge.name}`);
      const payment = await lockProviderPayment(trx, request.paymentId);
      const others = await listRefundsOfPayment(trx, payment.id);
      const same = others.find(
        ({ idempotencyKey }) => idempotencyKey !== null && idempotencyKey === request.idempotencyKey,
      );
      if (same !== undefined) return replayOf(same, request, payment);
      const left = payment.expectedAmount - refundedOf(payment, others);
      const amount = request.amount ?? left;
      const why = whyNot(payment, bridge, { amount, left, others });
      if (why !== null) return { outcome: 'not_refundable', reason: why };
      // Of an account's sum nobody can tell which refund it grew by.
      if (descriptor.capabilities.refundKeptMs === null && (await hasOpenRefund(trx, bridge.name))) {
        return { outcome: 'not_refundable', reason: 'it is not known yet what became of another refund' };
      }
      const refund: StoredRefund = {
        id: `re_${randomBytes(12).toString('hex')}`,
        paymentId: payment.id,
        provider: bridge.name,
        amount,
        reason: request.reason,
        status: 'sending',
        providerRefundId: null,
        idempotencyKey: request.idempotencyKey,
        providerKey: `dep_${randomBytes(16).toString('hex')}`,
        refundedBefore: refundedBefore.value,
        createdAt: now,
        updatedAt: now,
      };
      await insertRefund(trx, refund);
      return { begun: refund };
    },
  );
  if ('outcome' in begun) return begun;
  const result = await bridge.client.call(ask(intentOf(begun.begun, fresh.payment)));
  return conclude(deps, bridge, begun.begun, fresh.payment, result);
}

/** Writes what the provider answered to a refund. */
async function conclude(
  deps: SettleDeps,
  bridge: Bridge,
  refund: StoredRefund,
  payment: ProviderPayment,
  result: Result<Refund>,
): Promise<RefundOutcome> {
  const at = deps.clock();
  const write = (status: StoredRefund['status'], providerRefundId: string | null) =>
    inTransaction(deps.db, async (trx) => {
      await updateRefund(trx, refund.id, { status, providerRefundId, at });
      await hastenFetch(trx, payment.id, at);
      return { ...refund, status, providerRefundId, updatedAt: at };
    });
  switch (result.outcome) {
    case 'done': {
      const written = await write(result.value.status, result.value.id);
      const shown = (await refresh(deps, bridge, payment)) ?? payment;
      return { outcome: 'refunded', refund: written, payment: shown, replayed: false };
    }
    case 'declined':
      await write('failed', null);
      return { outcome: 'not_refundable', reason: result.reason };
    case 'not_found':
      await write('failed', null);
      return { outcome: 'provider_failed', reason: 'the provider does not find the payment' };
    case 'rejected':
    case 'limited':
    case 'not_sent':
      await write('failed', null);
      return unavailable(result);
    case 'unknown':
      deps.log.warn(
        { provider: bridge.name, refund: refund.id, reason: result.reason },
        'provider refund unknown',
      );
      return { outcome: 'refunded', refund: await write('unknown', null), payment, replayed: false };
    default:
      return result satisfies never;
  }
}

/**
 * Finds out what became of refunds whose answer was lost, with the process or on the way. Where the provider keeps keys,
 * the same is asked for again under the same; else its sums tell. What they do not tell stays unknown.
 */
export async function resolveRefunds(deps: SettleDeps, bridge: Bridge, signal: AbortSignal): Promise<void> {
  const { db, clock } = deps;
  const { refundKeptMs } = bridge.provider.descriptor.capabilities;
  for (const { refund, payment } of await openRefundsOf(db, bridge.name, clock() - awaitedMs)) {
    if (signal.aborted) return;
    const fetched = await fetchCharge(bridge, payment, { signal });
    if (fetched.outcome !== 'done') return;
    if (fetched.value !== null) await settleCharge(deps, bridge, payment.id, fetched.value);
    const shown = await refundedSoFar(bridge, {
      ...payment,
      refunded: fetched.value?.refunded ?? payment.refunded,
    });
    const before = refund.refundedBefore;
    if (
      shown.outcome === 'done' &&
      before !== null &&
      shown.value !== null &&
      shown.value >= before + refund.amount
    ) {
      await note(refund, 'succeeded');
    } else if (refundKeptMs !== null && clock() - refund.createdAt < refundKeptMs && bridge.provider.refund) {
      const result = await bridge.client.call(bridge.provider.refund(intentOf(refund, payment)), signal);
      if (result.outcome === 'done') await note(refund, result.value.status, result.value.id);
      else if (result.outcome === 'declined' || result.outcome === 'not_found') await note(refund, 'failed');
      else await note(refund, 'unknown');
    } else {
      await note(refund, 'unknown');
    }
  }

  async function note(
    refund: StoredRefund,
    status: StoredRefund['status'],
    id: string | null = null,
  ): Promise<void> {
    const at = clock();
    await inTransaction(db, async (trx) => {
      await updateRefund(trx, refund.id, { status, providerRefundId: id, at });
      if (status !== 'unknown') await hastenFetch(trx, refund.paymentId, at);
    });
    if (status !== 'unknown')
      deps.log.info({ provider: bridge.name, refund: refund.id, status }, 'provider refund known');
  }
}

async function findByKey({ db }: SettleDeps, request: RefundRequest): Promise<RefundOutcome | null> {
  if (request.idempotencyKey === null) return null;
  const refunds = await listRefundsOfPayment(db, request.paymentId);
  const same = refunds.find(({ idempotencyKey }) => idempotencyKey === request.idempotencyKey);
  const [payment] = await listProviderPaymentsById(db, [request.paymentId]);
  return same === undefined || payment === undefined ? null : replayOf(same, request, payment);
}

function replayOf(refund: StoredRefund, request: RefundRequest, payment: ProviderPayment): RefundOutcome {
  const asked = request.amount === null || request.amount === refund.amount;
  if (!asked || request.reason !== refund.reason) return { outcome: 'idempotency_key_reused' };
  return { outcome: 'refunded', refund, payment, replayed: true };
}

/** The payment as the provider shows it now. */
export async function freshPayment(
  deps: SettleDeps,
  bridge: Bridge,
  id: number,
): Promise<{ payment: ProviderPayment } | NoAnswer> {
  const [payment] = await listProviderPaymentsById(deps.db, [id]);
  if (payment === undefined) throw new InvariantError(`provider payment ${id} does not exist`);
  const fetched = await fetchCharge(bridge, payment);
  if (fetched.outcome !== 'done') return unavailable(fetched);
  return { payment: await settleCharge(deps, bridge, id, fetched.value) };
}

/** Null where the provider does not answer: the loop asks again. */
export async function refresh(
  deps: SettleDeps,
  bridge: Bridge,
  payment: ProviderPayment,
): Promise<ProviderPayment | null> {
  const fetched = await fetchCharge(bridge, payment);
  if (fetched.outcome !== 'done' || fetched.value === null) return null;
  return settleCharge(deps, bridge, payment.id, fetched.value);
}

/** What the provider shows as paid back: of the payment, or of the whole account where it tells no more than that. */
async function refundedSoFar(
  { provider, client }: Bridge,
  payment: Pick<ProviderPayment, 'refunded' | 'currency'>,
): Promise<Result<bigint | null>> {
  const { refundKeptMs, refund } = provider.descriptor.capabilities;
  if (refundKeptMs !== null || refund === 'full' || provider.balance === undefined) {
    return { outcome: 'done', value: payment.refunded };
  }
  const balance = await client.call(provider.balance());
  if (balance.outcome !== 'done') return balance;
  const total = balance.value.amounts.refunded_total;
  return { outcome: 'done', value: total === undefined ? null : majorUnits(total, balance.value.currency) };
}

function refundedOf(payment: ProviderPayment, refunds: readonly StoredRefund[]): bigint {
  const ours = refunds
    .filter(({ status }) => status !== 'failed')
    .reduce((total, { amount }) => total + amount, 0n);
  return ours > payment.refunded ? ours : payment.refunded;
}

function whyNot(
  payment: ProviderPayment,
  { provider }: Bridge,
  { amount, left, others }: { amount: bigint; left: bigint; others: readonly StoredRefund[] },
): string | null {
  if (!isTaken(payment.chargeStatus)) return 'the provider has taken no money for it';
  if (others.some(({ status }) => status === 'sending' || status === 'unknown')) {
    return 'it is not known yet what became of another refund of it';
  }
  if (left <= 0n) return 'it is refunded in full';
  if (amount <= 0n) return 'nothing is asked for';
  if (amount > left) return 'it is more than what is left of it';
  if (provider.descriptor.capabilities.refund === 'full' && amount !== payment.expectedAmount) {
    return `${provider.descriptor.displayName} refunds the whole alone`;
  }
  return null;
}

function intentOf(refund: StoredRefund, payment: ProviderPayment): RefundIntent {
  if (payment.chargeId === null) throw new InvariantError(`payment ${payment.id} has no charge to refund`);
  return {
    charge: { id: payment.chargeId, amount: payment.expectedAmount, currency: fiatOf(payment) },
    amount: refund.amount,
    reason: refund.reason,
    idempotencyKey: refund.providerKey,
  };
}

export function fiatOf({ currency }: Pick<ProviderPayment, 'currency'>): FiatCode {
  const code = parseFiatCode(currency);
  if (code === null) throw new InvariantError(`a provider's payment in ${currency}`);
  return code;
}

/** What a caller is told of a call that brought nothing. */
export function unavailable(result: Exclude<Result<unknown>, { outcome: 'done' }>): NoAnswer {
  switch (result.outcome) {
    case 'limited': {
      const retryAfterSeconds = Math.max(1, Math.ceil((result.retryAfterMs ?? 10_000) / 1000));
      return {
        outcome: 'provider_unavailable',
        reason: 'it asks to be left alone for a while',
        retryAfterSeconds,
      };
    }
    case 'not_sent':
    case 'unknown':
      return { outcome: 'provider_unavailable', reason: result.reason, retryAfterSeconds: 30 };
    case 'not_found':
      return { outcome: 'provider_failed', reason: 'the provider does not find the payment' };
    case 'declined':
    case 'rejected':
      return { outcome: 'provider_failed', reason: result.reason };
    default:
      return result satisfies never;
  }
}
