import type { HeightRange } from './coverage.ts';
import type { Network } from './networks.ts';
import type { PaymentStatus } from './payment.ts';

export const rescanStatuses = ['waiting', 'running', 'done', 'failed', 'cancelled'] as const;

export type RescanStatus = (typeof rescanStatuses)[number];

/** A range of blocks that an operator has read again by the process that reads the chain. */
export type Rescan = HeightRange & {
  id: number;
  network: Network;
  /** Whether whole blocks are read even where that was not done before. */
  native: boolean;
  status: RescanStatus;
  /** The last block that was read; before the first one, the block below the range. */
  reached: number;
  actor: string;
  /** Who wants it to end; null: nobody. */
  cancelledBy: string | null;
  /** Why it failed. */
  error: string | null;
  findings: RescanFindings;
  createdAt: number;
  startedAt: number | null;
  endedAt: number | null;
};

/** What reading has shown up to the last block that was read. */
export type RescanFindings = {
  /** Transfers that were recorded just so. */
  known: number;
  new: number;
  takenBack: number;
  disputed: number;
  /** Payments that it touched, and what they were before; at most {@link mostPayments}. */
  payments: { id: number; was: PaymentStatus }[];
};

/** Payments whose change is shown; all are changed. */
const mostPayments = 500;

export const noFindings: RescanFindings = { known: 0, new: 0, takenBack: 0, disputed: 0, payments: [] };

/** Of a payment that was touched twice, what it was at first. */
export function addFindings(before: RescanFindings, more: RescanFindings): RescanFindings {
  const seen = new Set(before.payments.map(({ id }) => id));
  const payments = [...before.payments, ...more.payments.filter(({ id }) => !seen.has(id))];
  return {
    known: before.known + more.known,
    new: before.new + more.new,
    takenBack: before.takenBack + more.takenBack,
    disputed: before.disputed + more.disputed,
    payments: payments.slice(0, mostPayments),
  };
}
