import type { Deposit } from '../core/payment.ts';
import { InvariantError } from '../errors.ts';
import { inTransaction } from '../storage/database.ts';
import { findIgnored, lockDeposit, setIgnored } from '../storage/deposits/attachments.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { findPaymentNumbers } from '../storage/payments/numbers.ts';
import type { OperatorAct, OperatorDeps } from './accept.ts';

export type IgnoreOutcome =
  | { outcome: 'done'; deposit: Deposit }
  | { outcome: 'not_found' }
  | { outcome: 'not_ignorable'; why: string };

/**
 * Takes an unmatched deposit out of what waits for operators, or puts it back there. The money stays where it is and the
 * deposit in the books: it can be attached as before. Repeating it changes nothing.
 */
export async function ignoreDeposit(
  { db, clock }: OperatorDeps,
  { depositId, ignored, reason, actor }: OperatorAct & { depositId: number; ignored: boolean },
): Promise<IgnoreOutcome> {
  return inTransaction(db, async (trx): Promise<IgnoreOutcome> => {
    const deposit = await lockDeposit(trx, depositId);
    if (deposit === null) return { outcome: 'not_found' };
    const { role, paymentId, network, txHash } = deposit;
    if (role !== 'unmatched') {
      const number = (await findPaymentNumbers(trx, paymentId === null ? [] : [paymentId])).get(
        paymentId ?? 0,
      );
      if (number === undefined) throw new InvariantError(`deposit ${depositId} is ${role} without a payment`);
      return { outcome: 'not_ignorable', why: `the deposit belongs to payment ${number}` };
    }
    const already = (await findIgnored(trx, [depositId])).has(depositId);
    if (already === ignored) return { outcome: 'done', deposit };
    const now = clock();
    await setIgnored(trx, depositId, ignored ? now : null);
    await recordAudit(trx, {
      at: now,
      actor,
      action: ignored ? 'deposit.ignored' : 'deposit.unignored',
      subject: String(depositId),
      detail: { reason, network, tx_hash: txHash },
    });
    return { outcome: 'done', deposit };
  });
}
