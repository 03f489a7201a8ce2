import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import {
  type CheckoutSession,
  type Method,
  openPaymentOf,
  type SessionView,
} from '../core/checkout-session.ts';
import type { FiatAmount } from '../core/payment.ts';
import {
  endSession,
  findSession,
  insertSession,
  lockOverdueSessions,
  lockSession,
  sessionById,
} from '../storage/checkout/sessions.ts';
import { inTransaction, serializeByName } from '../storage/database.ts';
import {
  findIdempotencyKey,
  type RememberedKey,
  rememberIdempotencyKey,
} from '../storage/payments/idempotency.ts';
import { lockPayments } from '../storage/payments/payments.ts';
import type { Db, Trx } from '../storage/schema.ts';
import { cancelIn } from './cancel.ts';
import { newPaymentToken } from './new-payment.ts';
import { announceSession } from './settle.ts';

type SessionDeps = { db: Db; clock: Clock };

/** What an app asks for, already validated; optional texts are empty. */
export type SessionRequest = {
  merchantId: string;
  price: FiatAmount;
  amountUsdCents: number;
  methods: readonly Method[];
  externalOrderId: string;
  customerEmail: string;
  redirectUrl: string;
  cancelUrl: string;
  metadata: Record<string, unknown>;
  locale: string;
  livemode: boolean;
  expiresInSeconds: number;
  /** `fingerprint` tells two validated bodies apart. */
  idempotency: { key: string; fingerprint: string } | null;
};

export type SessionOutcome =
  | { outcome: 'created' | 'replayed'; view: SessionView }
  | { outcome: 'idempotency_key_reused' };

/** Writes a checkout session, in one transaction with its idempotency key. It locks no address. */
export async function createSession(
  { db, clock }: SessionDeps,
  request: SessionRequest,
): Promise<SessionOutcome> {
  const { merchantId, idempotency } = request;
  return inTransaction(db, async (trx): Promise<SessionOutcome> => {
    const now = clock();
    if (idempotency !== null) {
      await serializeByName(trx, `idempotency ${merchantId} ${idempotency.key}`);
      const remembered = await findIdempotencyKey(trx, merchantId, idempotency.key, now);
      if (remembered !== null) return replay(trx, remembered, idempotency.fingerprint);
    }
    const session = await insertSession(trx, newSession(request, now));
    if (idempotency !== null) {
      const made = { checkoutSession: session.id, ...idempotency };
      await rememberIdempotencyKey(trx, { merchantId, ...made, at: now });
    }
    return { outcome: 'created', view: { session, payments: [] } };
  });
}

async function replay(trx: Trx, remembered: RememberedKey, fingerprint: string): Promise<SessionOutcome> {
  if (remembered.fingerprint !== fingerprint || remembered.checkoutSession === undefined) {
    return { outcome: 'idempotency_key_reused' };
  }
  return { outcome: 'replayed', view: await sessionById(trx, remembered.checkoutSession) };
}

function newSession(request: SessionRequest, now: number): Omit<CheckoutSession, 'rowId'> {
  return {
    id: `cs_${randomBytes(16).toString('hex')}`,
    merchantId: request.merchantId,
    status: 'open',
    price: request.price,
    amountUsdCents: request.amountUsdCents,
    methods: request.methods,
    externalOrderId: request.externalOrderId,
    customerEmail: request.customerEmail,
    redirectUrl: request.redirectUrl,
    cancelUrl: request.cancelUrl,
    metadata: request.metadata,
    locale: request.locale,
    token: newPaymentToken(),
    livemode: request.livemode,
    createdAt: now,
    // Whole seconds, as it is shown.
    expiresAt: Math.floor(now / 1000 + request.expiresInSeconds) * 1000,
    endedAt: null,
  };
}

export type CancelSessionOutcome =
  | { outcome: 'cancelled'; view: SessionView }
  | { outcome: 'not_found' }
  | { outcome: 'not_cancellable' };

/** Times that a session is looked at anew because its payer was faster. */
const mostLooks = 5;

/**
 * Cancels an open session, and with it the payment that its payer can pay, in one transaction: only while nothing but dust
 * has been received for that.
 */
export async function cancelSession(
  { db, clock }: SessionDeps,
  { merchantId, id }: { merchantId: string; id: string },
): Promise<CancelSessionOutcome> {
  for (let looks = 0; looks < mostLooks; looks++) {
    const found = await findSession(db, merchantId, id);
    if (found === null) return { outcome: 'not_found' };
    const outcome = await inTransaction(db, (trx) => cancelFound(trx, found, clock()));
    if (outcome !== 'changed') return outcome;
  }
  return { outcome: 'not_cancellable' };
}

async function cancelFound(
  trx: Trx,
  found: SessionView,
  now: number,
): Promise<CancelSessionOutcome | 'changed'> {
  const { id } = found.session;
  const open = openPaymentOf(found);
  // First the payment, then the session: the order in which a confirmation needs them.
  if (open !== null) await lockPayments(trx, [open.id]);
  const held = await lockSession(trx, id);
  const current = openPaymentOf(held);
  if ((current?.id ?? null) !== (open?.id ?? null)) return 'changed';
  if (held.session.status !== 'open') return { outcome: 'not_cancellable' };
  if (held.session.expiresAt <= now && current === null) return { outcome: 'not_cancellable' };
  if (current !== null) {
    const { outcome } = await cancelIn(trx, current, { now });
    if (outcome === 'not_cancellable') return { outcome };
  }
  await endSession(trx, id, { from: ['open'], to: 'cancelled', at: now });
  await announceSession(trx, id, 'checkout_session.cancelled', now);
  return { outcome: 'cancelled', view: await sessionById(trx, id) };
}

/** Sessions ended in one transaction. */
const atOnce = 100;

/**
 * Ends sessions whose time is over and in which nobody is paying.
 *
 * @returns whether there may be more.
 */
export async function expireSessions({
  db,
  clock,
}: SessionDeps): Promise<{ expired: number; more: boolean }> {
  return inTransaction(db, async (trx) => {
    const now = clock();
    const overdue = await lockOverdueSessions(trx, now, atOnce);
    for (const { session } of overdue) {
      await endSession(trx, session.id, { from: ['open'], to: 'expired', at: now });
    }
    for (const { session } of overdue)
      await announceSession(trx, session.id, 'checkout_session.expired', now);
    return { expired: overdue.length, more: overdue.length === atOnce };
  });
}
