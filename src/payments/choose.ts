import type { Clock } from '../clock.ts';
import {
  allowsMethod,
  type Method,
  openPaymentOf,
  type SessionView,
  sessionStatusAt,
} from '../core/checkout-session.ts';
import { findSessionByToken, lockSession } from '../storage/checkout/sessions.ts';
import { lockPayments } from '../storage/payments/payments.ts';
import type { Db, Trx } from '../storage/schema.ts';
import { cancelIn } from './cancel.ts';

/** Payments in one session: a payer who goes back and forth must not fill the books. */
export const mostChoices = 20;

/** Why a choice is refused; `changed`: look again. */
export type ChoiceRefusal = 'changed' | 'ended' | 'paid' | 'too_many';

/** Comes in the transaction that makes the payment, before that: lets it be made in its session, or says why not. */
export type Admission = (trx: Trx, now: number) => Promise<ChoiceRefusal | null>;

export type ChooseOutcome<Refused> =
  /** The payer pays this one: it was made, or was there already. */
  | { outcome: 'chosen'; paymentToken: string }
  | { outcome: 'not_found' }
  | { outcome: 'not_offered' }
  /** The session is over, or is being paid. */
  | { outcome: Exclude<ChoiceRefusal, 'changed'>; view: SessionView }
  | { outcome: 'busy' }
  | { outcome: 'refused'; refused: Refused };

type Made<Refused> =
  | { outcome: 'made'; paymentToken: string }
  | { outcome: 'not_admitted'; why: string }
  | { outcome: 'refused'; refused: Refused };

/** Times that a session is looked at anew because another tab was faster. */
const mostLooks = 5;

/**
 * Makes the payment that a payer has chosen. Who chooses again before anything has come cancels the payment chosen before,
 * in the transaction that makes the new one; who chooses the same again gets the same. However many tabs choose at once,
 * a session has one payment that can be paid.
 */
export async function chooseMethod<Refused>(
  { db, clock }: { db: Db; clock: Clock },
  { token, method }: { token: string; method: Method },
  make: (view: SessionView, admit: Admission) => Promise<Made<Refused>>,
): Promise<ChooseOutcome<Refused>> {
  for (let looks = 0; looks < mostLooks; looks++) {
    const view = await findSessionByToken(db, token);
    if (view === null) return { outcome: 'not_found' };
    const refusal = refusalOf(view, clock());
    if (refusal !== null) return { outcome: refusal, view };
    if (!allowsMethod(view.session, method)) return { outcome: 'not_offered' };
    const open = openPaymentOf(view);
    if (open !== null && open.network === method.network && open.currency === method.currency) {
      return { outcome: 'chosen', paymentToken: open.paymentToken };
    }
    const made = await make(view, (trx, now) => admit(trx, view, now));
    if (made.outcome === 'made') return { outcome: 'chosen', paymentToken: made.paymentToken };
    if (made.outcome === 'refused') return made;
    const why = made.why as ChoiceRefusal;
    if (why !== 'changed') return { outcome: why, view: (await findSessionByToken(db, token)) ?? view };
  }
  return { outcome: 'busy' };
}

/** Why nothing can be chosen in a session now, as far as that is known without holding it. */
export function refusalOf(view: SessionView, now: number): Exclude<ChoiceRefusal, 'changed'> | null {
  if (sessionStatusAt(view, now) !== 'open' || view.session.expiresAt <= now) return 'ended';
  return view.payments.length >= mostChoices ? 'too_many' : null;
}

/** Holds the session, finds it as `seen` and takes back the payment that can be paid in it. */
async function admit(trx: Trx, seen: SessionView, now: number): Promise<ChoiceRefusal | null> {
  const open = openPaymentOf(seen);
  // First the payment, then the session: the order in which a confirmation needs them.
  if (open !== null) await lockPayments(trx, [open.id]);
  const held = await lockSession(trx, seen.session.id);
  if (held.payments.length !== seen.payments.length || openPaymentOf(held)?.id !== open?.id) return 'changed';
  const refusal = refusalOf(held, now);
  if (refusal !== null || open === null) return refusal;
  const cancelled = await cancelIn(trx, open, { now });
  return cancelled.outcome === 'cancelled' ? null : 'paid';
}
