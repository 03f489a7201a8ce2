import type { PaymentView } from '../core/payment.ts';
import { expectedShown, knownTx, presentPrice, remainingAmount } from './payments.ts';
import { isoTime, showAmount } from './values.ts';

/*
 * Payments for a spreadsheet: times in ISO 8601, amounts as exact decimals, what is late, too much and too little in columns of its own.
 */

/** By it spreadsheets know that a file is UTF-8. */
export const byteOrderMark = '\ufeff';

type Column = [title: string, cell: (view: PaymentView) => string];

const columns: readonly Column[] = [
  ['payment_number', ({ payment }) => payment.paymentNumber],
  ['merchant_id', ({ payment }) => payment.merchantId],
  ['order_id', ({ payment }) => payment.externalOrderId],
  ['status', ({ payment }) => payment.status],
  ['reason', ({ payment }) => payment.reason ?? ''],
  ['created_at', ({ payment }) => isoTime(payment.createdAt)],
  ['confirmed_at', ({ payment }) => (payment.confirmedAt === null ? '' : isoTime(payment.confirmedAt))],
  ['price', ({ payment }) => presentPrice(payment.price).amount],
  ['price_currency', ({ payment }) => payment.price.currency],
  ['amount_usd', ({ payment }) => (payment.amountUsdCents / 100).toFixed(2)],
  ['network', ({ payment }) => payment.network],
  ['currency', ({ payment }) => payment.currency],
  ['usd_per_coin', (view) => (view.kind === 'onchain' ? view.payment.usdPerCoin : '')],
  ['expected_amount', expectedShown],
  ['received_amount', (view) => amount(view, ({ deposits }) => deposits.received)],
  ['counted_amount', (view) => amount(view, ({ deposits }) => deposits.counted)],
  ['late_amount', (view) => amount(view, ({ deposits }) => positive(deposits.received - deposits.counted))],
  [
    'over_amount',
    (view) => amount(view, ({ payment, deposits }) => positive(deposits.counted - payment.expectedAmount)),
  ],
  ['under_amount', (view) => amount(view, remainingAmount)],
  ['transaction', knownTx],
  ['address', (view) => (view.kind === 'onchain' ? view.payment.address : '')],
  ['customer_email', ({ payment }) => payment.customerEmail],
];

export function csvHeader(separator: string): string {
  return csvRow(
    columns.map(([title]) => title),
    separator,
  );
}

export function presentCsvRow(view: PaymentView, separator: string): string {
  return csvRow(
    columns.map(([, cell]) => cell(view)),
    separator,
  );
}

export function csvRow(cells: readonly string[], separator: string): string {
  return `${cells.map(csvCell).join(separator)}\r\n`;
}

/** What makes a formula of a cell that begins with it, in East Asian widths too. */
const formulaStart = /^[=+\-@\t\r＝＋－＠]/;

/** The same behind what parts cells for a spreadsheet that was set to the other separator: to it quotes end nothing. */
const hiddenStart = /([,;]["\s]*)(?=[=+\-@＝＋－＠])/g;

/**
 * Always quoted (RFC 4180). What a spreadsheet would take for a formula, or for a number that is the id of something
 * (`00123`, digits too many to be kept), is a text behind an apostrophe, and so is what would be a cell of its own to one that
 * parts cells otherwise: a merchant who names an order `1;=…` must reach nobody's machine.
 */
export function csvCell(text: string): string {
  const decimal = /^-?\d+\.\d+$/.test(text);
  const guarded = formulaStart.test(text) || /^(0\d+|\d{16,})$/.test(text) || /^\d+e\d+$/i.test(text);
  const inner = text.replaceAll(hiddenStart, "$1'").replaceAll('"', '""');
  return `"${guarded && !decimal ? "'" : ''}${inner}"`;
}

function amount(
  view: PaymentView,
  read: (view: Extract<PaymentView, { kind: 'onchain' }>) => bigint,
): string {
  return view.kind === 'onchain' ? showAmount(view.payment, read(view)) : '';
}

function positive(value: bigint): bigint {
  return value > 0n ? value : 0n;
}
