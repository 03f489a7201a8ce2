import {
  type Method,
  type SessionStatus,
  type SessionView,
  sessionStatusAt,
} from '../core/checkout-session.ts';
import { presentPrice } from './payments.ts';
import { isoTime } from './values.ts';

/** The JSON of a checkout session. */
export type PresentedSession = {
  id: string;
  status: SessionStatus;
  amount_usd_cents: number;
  price: { amount: string; currency: string };
  methods: Method[];
  external_order_id: string;
  customer_email: string;
  redirect_url: string;
  cancel_url: string;
  metadata: Record<string, unknown>;
  locale: string;
  checkout_url: string;
  payments: string[];
  expires_at: string;
  created_at: string;
  livemode: boolean;
};

/** Shows a checkout session to its merchant, as it is at `now`. */
export function presentSession(view: SessionView, publicUrl: string, now: number): PresentedSession {
  const { session, payments } = view;
  return {
    id: session.id,
    status: sessionStatusAt(view, now),
    amount_usd_cents: session.amountUsdCents,
    price: presentPrice(session.price),
    methods: session.methods.map(({ network, currency }) => ({ network, currency })),
    external_order_id: session.externalOrderId,
    customer_email: session.customerEmail,
    redirect_url: session.redirectUrl,
    cancel_url: session.cancelUrl,
    metadata: session.metadata,
    locale: session.locale,
    checkout_url: `${publicUrl}/checkout/${session.token}`,
    payments: payments.map(({ paymentNumber }) => paymentNumber),
    expires_at: isoTime(session.expiresAt),
    created_at: isoTime(session.createdAt),
    livemode: session.livemode,
  };
}
