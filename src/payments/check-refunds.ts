import type { Clock } from '../clock.ts';
import { doubled } from '../core/backoff.ts';
import type { RefundRecord, SentFinding, VerifySent } from '../core/refund-record.ts';
import { inTransaction } from '../storage/database.ts';
import { findPaymentById } from '../storage/payments/payments.ts';
import { listDueRefundRecords, noteRefundCheck } from '../storage/payments/refund-records.ts';
import type { Db } from '../storage/schema.ts';

/** Refunds that are looked for in one step. */
const atOnce = 10;

/** How long one look may take, ms. */
const longestLookMs = 15_000;

/** Between two looks for one refund, at first and at most, ms. */
const firstPauseMs = 2_000;
const longestPauseMs = 10 * 60_000;

/** A transaction that is in no block for so long is in none any more, ms. */
const givenUpMs = 14 * 24 * 60 * 60 * 1000;

/** A clock of ours may be so far ahead of a chain's, ms. */
const clockSlackMs = 10 * 60_000;

/** Looks for the refunds that are due. What is final is not looked for again. Answers how many were looked for. */
export async function checkRefunds(
  { db, clock, verify }: { db: Db; clock: Clock; verify: VerifySent },
  signal: AbortSignal,
): Promise<number> {
  const due = await listDueRefundRecords(db, clock(), atOnce);
  for (const record of due) {
    if (signal.aborted) break;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(longestLookMs)]);
    const finding = await verify(record.network, record, limit);
    const { createdAt } = await findPaymentById(db, record.paymentId);
    const found = foundBy(record, refuseOlder(finding, createdAt - clockSlackMs), clock());
    await inTransaction(db, (trx) => noteRefundCheck(trx, record, found));
  }
  return due.length;
}

/** What was sent before there was a payment is not its refund, whatever else it was. */
function refuseOlder(finding: SentFinding, sinceMs: number): SentFinding {
  if (finding.kind !== 'verified' || finding.block.time * 1000 >= sinceMs) return finding;
  return { kind: 'mismatch', why: 'the transaction is older than the payment' };
}

function foundBy(record: RefundRecord, finding: SentFinding, now: number) {
  switch (finding.kind) {
    case 'verified': {
      const { height, time } = finding.block;
      const block = { height, time: time * 1000 };
      return { status: 'verified', detail: '', checkedAt: now, nextCheckAt: null, block } as const;
    }
    case 'mismatch':
      return {
        status: 'mismatch',
        detail: finding.why,
        checkedAt: now,
        nextCheckAt: null,
        block: null,
      } as const;
    case 'not_found': {
      const over = now - record.createdAt >= givenUpMs;
      const nextCheckAt = over ? null : now + doubled(firstPauseMs, record.checks, longestPauseMs);
      const detail = over ? `${finding.why}; it is not looked for any more` : finding.why;
      return { status: 'not_found', detail, checkedAt: now, nextCheckAt, block: null } as const;
    }
    default:
      return finding satisfies never;
  }
}
