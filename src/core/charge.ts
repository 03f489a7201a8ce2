/*
 * A fiat provider's charge, in the words that are the same for all of them.
 */

/** Whether payments are real. A test key or event never confirms a live payment. */
export type Mode = 'live' | 'test';

export const chargeStatuses = [
  'pending',
  'processing',
  'authorized',
  'captured',
  'failed',
  'voided',
  'expired',
  'refunded',
  'partially_refunded',
  'disputed',
  'unknown',
] as const;

/** What the providers' words mean. A word that is not documented is `unknown`, and confirms nothing. */
export type ChargeStatus = (typeof chargeStatuses)[number];

/** `sending`: asked for, no answer yet. `unknown`: it may have happened; nothing is repeated before a fetch tells. */
export const refundStatuses = ['sending', 'unknown', 'pending', 'succeeded', 'failed'] as const;

export type RefundStatus = (typeof refundStatuses)[number];

/** Whether the payer's money was taken, whatever became of it since. */
export function isTaken(status: ChargeStatus): boolean {
  return ['captured', 'refunded', 'partially_refunded', 'disputed'].includes(status);
}
