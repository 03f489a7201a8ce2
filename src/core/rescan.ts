import type { HeightRange } from './coverage.ts';
import type { Network } from './networks.ts';
import type { PaymentStatus } from './payment.ts';

export const rescanStatuses = ['waiting', 'running', 'done', 'failed', 'cancelled'] as const;

export type RescanStatus = (typeof rescanStatuses)[number];

/**
 * What one that has not ended waits for: `process`, which reads the chain, has not begun it; `plan`: a node's has nothing to spare
 * until midnight (UTC); `chain`: to be read up to there again, after a fork. Null: for nothing.
 */
export const rescanWaits = ['process', 'plan', 'chain'] as const;

export type RescanWait = (typeof rescanWaits)[number];

/** Blocks read in one step: between two of them the loop may stop, the lease go, and the nodes' plans be looked at. */
const portion = 500;

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

/** The last block of its next step. */
export function nextPortion({ reached, to }: Pick<Rescan, 'reached' | 'to'>): number {
  return Math.min(to, reached + portion);
}

export function waitOf(
  rescan: Pick<Rescan, 'status' | 'reached' | 'to' | 'cancelledBy'>,
  { isSlowed, cursorHeight }: { isSlowed: boolean; cursorHeight: number },
): RescanWait | null {
  const { status, cancelledBy } = rescan;
  if ((status !== 'waiting' && status !== 'running') || cancelledBy !== null) return null;
  if (isSlowed) return 'plan';
  if (cursorHeight < nextPortion(rescan)) return 'chain';
  return status === 'waiting' ? 'process' : null;
}

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
