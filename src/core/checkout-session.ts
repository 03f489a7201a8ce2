import type { Currency } from './assets.ts';
import type { Network } from './networks.ts';
import type { FiatAmount, Payment } from './payment.ts';

/**
 * `open` leads to one of the other three. Whatever has become of it, a payment of it that is confirmed completes it: the
 * money is there.
 */
export const sessionStatuses = ['open', 'completed', 'expired', 'cancelled'] as const;

export type SessionStatus = (typeof sessionStatuses)[number];

/** A way to pay: a coin on a chain, or a currency at a fiat provider. */
export type Method = { network: Network; currency: Currency };

/** A checkout in which the payer chooses how to pay. It locks nothing; only a payment that is chosen in it does. */
export type CheckoutSession = {
  /** Its place in lists. */
  rowId: number;
  /** `cs_…` */
  id: string;
  merchantId: string;
  status: SessionStatus;
  price: FiatAmount;
  amountUsdCents: number;
  /** What may be chosen; empty for everything there is. */
  methods: readonly Method[];
  externalOrderId: string;
  customerEmail: string;
  redirectUrl: string;
  /** Where the payer goes who gives up; empty for nowhere. */
  cancelUrl: string;
  metadata: Record<string, unknown>;
  locale: string;
  /** Opens the page on which the payer chooses. */
  token: string;
  livemode: boolean;
  createdAt: number;
  expiresAt: number;
  /** When it left `open`, Unix ms. */
  endedAt: number | null;
};

/** One of its payments, the least that its session must know. */
export type SessionPayment = Pick<Payment, 'id' | 'kind' | 'paymentNumber' | 'status' | 'paymentToken'> &
  Method;

/** A session with its payments, oldest first. */
export type SessionView = { session: CheckoutSession; payments: readonly SessionPayment[] };

/** The payment that the payer can pay now; null where there is none. */
export function openPaymentOf({ payments }: Pick<SessionView, 'payments'>): SessionPayment | null {
  return payments.find(({ status }) => status === 'pending') ?? null;
}

/** What it is at `now`, also before somebody has written down that its time is over. Who is paying it has the time to. */
export function sessionStatusAt(view: SessionView, now: number): SessionStatus {
  const { status, expiresAt } = view.session;
  return status === 'open' && expiresAt <= now && openPaymentOf(view) === null ? 'expired' : status;
}

/** Whether a payment in this way may be made in it. */
export function allowsMethod({ methods }: Pick<CheckoutSession, 'methods'>, method: Method): boolean {
  return (
    methods.length === 0 ||
    methods.some((one) => one.network === method.network && one.currency === method.currency)
  );
}
