import { once } from 'node:events';
import type { PaymentStatus, PaymentView } from '../core/payment.ts';
import { CommandError } from '../errors.ts';
import { acceptPayment } from '../payments/accept.ts';
import { cancelPayment } from '../payments/cancel.ts';
import { exportPayments } from '../payments/export.ts';
import { type RefundWords, recordRefund } from '../payments/refund-record.ts';
import { presentToOperator } from '../present/payments.ts';
import { presentRefundRecord } from '../present/refund-records.ts';
import { findPaymentId } from '../storage/payments/numbers.ts';
import { listRefundRecords } from '../storage/payments/refund-records.ts';
import { listPayments, viewById } from '../storage/payments/views.ts';
import { print, printJson, printTable } from './output.ts';
import { actor, atWork, type CommandOptions, requireMerchant, type Workplace } from './workplace.ts';

type ListOptions = CommandOptions & {
  merchant?: string;
  status?: PaymentStatus;
  order?: string;
  limit: number;
};

type ReportOptions = CommandOptions & {
  merchant?: string;
  status?: PaymentStatus;
  since?: number;
  until?: number;
  semicolon?: boolean;
};

/** Newest first. */
export async function paymentList(options: ListOptions): Promise<void> {
  await atWork(options, async ({ db }) => {
    const { merchant, status, order, limit } = options;
    const { views } = await listPayments(db, {
      merchantId: merchant === undefined ? null : (await requireMerchant(db, merchant)).id,
      limit,
      ...(status === undefined ? {} : { status }),
      ...(order === undefined ? {} : { externalOrderId: order }),
    });
    const payments = views.map(presentToOperator);
    if (options.json) return printJson({ data: payments });
    printTable(
      ['PAYMENT', 'STATUS', 'EXPECTED', 'RECEIVED', '', 'NETWORK', 'ORDER', 'CREATED'],
      payments.map((payment) => [
        payment.payment_number,
        payment.reason === null ? payment.status : `${payment.status} (${payment.reason})`,
        payment.expected_crypto_amount,
        payment.actual_crypto_amount ?? '–',
        payment.currency,
        payment.network,
        payment.external_order_id,
        payment.created_at,
      ]),
    );
  });
}

/** Payments for a spreadsheet, to stdout. */
export async function report(options: ReportOptions): Promise<void> {
  await atWork(options, async ({ db }) => {
    const { merchant, status, since, until, semicolon } = options;
    const filter = {
      merchantId: merchant === undefined ? null : (await requireMerchant(db, merchant)).id,
      ...(status === undefined ? {} : { status }),
      ...(since === undefined ? {} : { createdAfter: since - 1 }),
      ...(until === undefined ? {} : { createdBefore: until }),
    };
    for await (const rows of exportPayments(db, filter, semicolon ? ';' : ',')) {
      if (!process.stdout.write(rows)) await once(process.stdout, 'drain');
    }
  });
}

export async function paymentShow(number: string, options: CommandOptions): Promise<void> {
  await atWork(options, async (workplace) => show(await findView(workplace, number), options));
}

/** Takes what came for a payment as enough. */
export async function paymentAccept(
  number: string,
  options: CommandOptions & { reason: string },
): Promise<void> {
  await atWork(options, async (workplace) => {
    const { reason } = options;
    const outcome = await acceptPayment(workplace, { paymentNumber: number, reason, actor });
    if (outcome.outcome === 'not_found') throw noPayment(number);
    if (outcome.outcome === 'not_acceptable') {
      throw new CommandError(`the payment cannot be accepted: ${outcome.why}`);
    }
    show(outcome.view, options);
  });
}

export async function paymentCancel(number: string, options: CommandOptions): Promise<void> {
  await atWork(options, async (workplace) => {
    const { merchantId } = (await findView(workplace, number)).payment;
    const outcome = await cancelPayment(workplace, { merchantId, paymentNumber: number, act: { actor } });
    if (outcome.outcome === 'not_found') throw noPayment(number);
    if (outcome.outcome === 'not_cancellable') {
      throw new CommandError(
        'the payment cannot be cancelled: it has ended, or something was received for it',
      );
    }
    show(outcome.view, options);
  });
}

/** Writes down a refund that was sent; the daemon looks for it on the chain. */
export async function paymentRefund(
  number: string,
  options: CommandOptions & { amount: string; to: string; tx: string; reason: string },
): Promise<void> {
  await atWork(options, async (workplace) => {
    const { amount, to, tx, reason } = options;
    const words: RefundWords = { amount, to, tx_hash: tx };
    const outcome = await recordRefund(workplace, { paymentNumber: number, words, reason, actor });
    switch (outcome.outcome) {
      case 'recorded': {
        const { record, payment } = outcome;
        if (options.json) return printJson(presentRefundRecord(record, payment));
        print('recorded; the running daemon looks for it on the chain: "depositd payment refunds" shows it');
        return;
      }
      case 'not_found':
        throw noPayment(number);
      case 'wrong':
        throw new CommandError(`--${outcome.field === 'tx_hash' ? 'tx' : outcome.field}: ${outcome.why}`);
      case 'not_recordable':
        throw new CommandError(`the refund cannot be recorded: ${outcome.why}`);
      default:
        return outcome satisfies never;
    }
  });
}

/** What was sent back for a payment, and whether the chain shows it. */
export async function paymentRefunds(number: string, options: CommandOptions): Promise<void> {
  await atWork(options, async (workplace) => {
    const { payment } = await findView(workplace, number);
    if (payment.kind === 'provider') {
      throw new CommandError(
        'the payment is made by a provider: "depositd payment show" shows what it refunded',
      );
    }
    const records = await listRefundRecords(workplace.db, payment.id, mostRefunds);
    const refunds = records.map((one) => presentRefundRecord(one, payment));
    if (options.json) return printJson({ data: refunds });
    printTable(
      ['ID', 'AMOUNT', '', 'TO', 'TRANSACTION', 'STATUS', 'RECORDED'],
      refunds.map((one) => [
        String(one.id),
        one.amount,
        one.currency,
        one.to,
        one.tx_hash,
        one.detail === '' ? one.status : `${one.status} (${one.detail})`,
        one.created_at,
      ]),
    );
  });
}

const mostRefunds = 200;

async function findView({ db }: Workplace, number: string): Promise<PaymentView> {
  const id = await findPaymentId(db, number);
  if (id === null) throw noPayment(number);
  return viewById(db, id);
}

export function noPayment(number: string): CommandError {
  return new CommandError(`there is no payment ${JSON.stringify(number.slice(0, 60))}`);
}

function printFields(fields: Record<string, string | number | boolean | null>): void {
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null && value !== '') print(`${name.replaceAll('_', ' ').padEnd(24)}${value}`);
  }
}

function show(view: PaymentView, options: CommandOptions): void {
  const payment = presentToOperator(view);
  if (options.json) {
    printJson(payment);
    return;
  }
  const { deposits, metadata, price, provider, ...fields } = payment;
  printFields({ ...fields, price: `${price.amount} ${price.currency}` });
  if (provider !== null) {
    print('');
    printFields(provider);
  }
  if (deposits.length === 0) return;
  print('');
  printTable(
    ['DEPOSIT', 'AMOUNT', 'CONFIRMATIONS', 'STATUS'],
    deposits.map((one) => [one.tx_hash, one.amount, String(one.confirmations), one.status]),
  );
}
