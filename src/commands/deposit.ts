import type { DepositRole } from '../core/payment.ts';
import { CommandError } from '../errors.ts';
import { attachDeposit } from '../payments/attach.ts';
import { ignoreDeposit } from '../payments/ignore.ts';
import { presentDeposits } from '../present/deposits.ts';
import { listDeposits } from '../storage/deposits/deposits.ts';
import { print, printJson, printTable } from './output.ts';
import { noPayment } from './payment.ts';
import { actor, atWork, type CommandOptions } from './workplace.ts';

/** What reached the addresses of merchants, newest first. */
export async function depositList(
  options: CommandOptions & { status?: DepositRole | 'ignored'; limit: number },
): Promise<void> {
  await atWork(options, async ({ db }) => {
    const { status, limit } = options;
    const { deposits } = await listDeposits(db, { limit, ...(status === undefined ? {} : { role: status }) });
    const shown = await presentDeposits(db, deposits);
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
        one.expected?.payment_number ?? '–',
        one.tx_hash,
        one.seen_at,
      ]),
    );
  });
}

/** Gives an unmatched deposit, or what came late for another payment, to the payment it was meant for. */
export async function depositAttach(
  depositId: number,
  paymentNumber: string,
  options: CommandOptions & { reason: string },
): Promise<void> {
  await atWork(options, async ({ db, clock }) => {
    const outcome = await attachDeposit(
      { db, clock },
      { depositId, paymentNumber, reason: options.reason, actor },
    );
    switch (outcome.outcome) {
      case 'attached': {
        const [shown] = await presentDeposits(db, [outcome.deposit]);
        if (options.json) return printJson(shown);
        return print(`deposit ${depositId} belongs to payment ${paymentNumber}`);
      }
      case 'not_found':
        throw new CommandError(`there is no deposit ${depositId}; "depositd deposit list" shows them`);
      case 'unknown_payment':
        throw noPayment(paymentNumber);
      case 'not_attachable':
        throw new CommandError(`the deposit cannot be attached: ${outcome.why}`);
      default:
        return outcome satisfies never;
    }
  });
}

/** Takes an unmatched deposit out of what waits for operators, or puts it back. */
export async function depositIgnore(
  depositId: number,
  options: CommandOptions & { reason: string; undo?: boolean },
): Promise<void> {
  await atWork(options, async ({ db, clock }) => {
    const { reason, undo = false } = options;
    const outcome = await ignoreDeposit({ db, clock }, { depositId, ignored: !undo, reason, actor });
    switch (outcome.outcome) {
      case 'done': {
        const [shown] = await presentDeposits(db, [outcome.deposit]);
        if (options.json) return printJson(shown);
        return print(`deposit ${depositId} ${undo ? 'waits for you again' : 'is ignored'}`);
      }
      case 'not_found':
        throw new CommandError(`there is no deposit ${depositId}; "depositd deposit list" shows them`);
      case 'not_ignorable':
        throw new CommandError(`the deposit cannot be ignored: ${outcome.why}`);
      default:
        return outcome satisfies never;
    }
  });
}
