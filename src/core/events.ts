/** Everything a webhook endpoint can subscribe to. */
export const eventTypes = [
  'payment.confirmed',
  'payment.expired',
  'payment.cancelled',
  'payment.failed',
  'payment.reverted',
  'payment.detected',
  'payment.partially_paid',
  'payment.late',
  'deposit.unmatched',
  'checkout_session.completed',
  'checkout_session.expired',
  'checkout_session.cancelled',
  'provider.authorized',
  'provider.refunded',
  'provider.disputed',
  'provider.event',
  'pool.low',
  'pool.exhausted',
  'webhook.disabled',
  'webhook.test',
] as const;

export type EventType = (typeof eventTypes)[number];

/** What an endpoint receives when it names nothing. */
export const defaultEventTypes: readonly EventType[] = [
  'payment.confirmed',
  'payment.expired',
  'payment.cancelled',
  'payment.failed',
  'payment.reverted',
];
