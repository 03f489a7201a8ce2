import type { Deposit, DepositRole } from '../core/payment.ts';
import { CommandError } from '../errors.ts';
import { attachDeposit } from '../payments/attach.ts';
import { findExpected } from '../present/expected.ts';
import { isoTime, showAmount } from '../present/values.ts';
import { listDeposits } from '../storage/deposits/deposits.ts';
import { findPaymentNumbers } from '../storage/payments/numbers.ts';
import { findAddressTexts } from '../storage/pool/addresses.ts';
import type { Db } from '../storage/schema.ts';
import { print, printJson, printTable } from './output.ts';
import { actor, atWork, type CommandOptions } from './workplace.ts';

/** What reached the addresses of merchants, newest first. */
export async function depositList(
  options: CommandOptions & { status?: DepositRole; limit: number },
): Promise<void> {
  await atWork(options, async ({ db }) => {
    const { status, limit } = options;
    const { deposits } = await listDeposits(db, { limit, ...(status === undefined ? {} : { role: status }) });
    const shown = await present(db, deposits);
    if (options.json) return printJson({ data: shown });
    printTable(
      ['ID', 'STATUS', 'AMOUNT', '', 'NETWORK', 'PAYMENT', 'PROBABLY FOR', 'TRANSACTION', 'SEEN'],
      shown.map((one) => [
        String(one.id),
        one.reason === null ? one.status : `${one.status} (${one.reason})`,
        one.amount,
        one.currency,
        one.network,
        one.payment_number ?? '–',
        one.expected_payment_number ?? '–',
        one.tx_hash,
        one.seen_at,
      ]),
    );
  });
}

/** Gives an unmatched deposit to the payment it was meant for. */
export async function depositAttach(
  depositId: number,
  paymentNumber: string,
  options: CommandOptions & { reason: string },
): Promise<void> {
  await atWork(options, async ({ db, clock, config }) => {
    const outcome = await attachDeposit(
      { db, clock, publicUrl: config.publicUrl },
      { depositId, paymentNumber, reason: options.reason, actor },
    );
    switch (outcome.outcome) {
      case 'attached': {
        const [shown] = await present(db, [outcome.deposit]);
        if (options.json) return printJson(shown);
        return print(`deposit ${depositId} belongs to payment ${paymentNumber}`);
      }
      case 'not_found':
        throw new CommandError(`there is no deposit ${depositId}; "depositd deposit list" shows them`);
      case 'unknown_payment':
        throw new CommandError(`there is no payment ${JSON.stringify(paymentNumber.slice(0, 60))}`);
      case 'not_attachable':
        throw new CommandError(`the deposit cannot be attached: ${outcome.why}`);
      default:
        return outcome satisfies never;
    }
  });
}

async function present(db: Db, deposits: readonly Deposit[]) {
  const addresses = await findAddressTexts(
    db,
    deposits.map((deposit) => deposit.addressId),
  );
  const numbers = await findPaymentNumbers(
    db,
    deposits.flatMap((deposit) => deposit.paymentId ?? []),
  );
  const shown = [];
  for (const deposit of deposits) {
    const expected = deposit.role === 'unmatched' ? await findExpected(db, deposit) : null;
    shown.push({
      id: deposit.id,
      merchant_id: deposit.merchantId,
      network: deposit.network,
      currency: deposit.currency,
      amount: showAmount(deposit, deposit.amount),
      address: addresses.get(deposit.addressId) ?? '',
      tx_hash: deposit.txHash,
      block_height: deposit.height,
      status: deposit.status === 'orphaned' ? deposit.status : deposit.role,
      reason: deposit.unmatchedReason,
      payment_number: numbers.get(deposit.paymentId ?? 0) ?? null,
      expected_payment_number: expected?.paymentNumber ?? null,
      seen_at: isoTime(deposit.seenAt),
    });
  }
  return shown;
}
