import { formatAmount } from '../core/money.ts';
import type { ReportRow } from '../core/report.ts';
import { byteOrderMark, csvRow } from './payments-csv.ts';
import { showAmount } from './values.ts';

/** The JSON of one row of a report. */
export function presentReportRow(row: ReportRow) {
  const { decimals } = row;
  // A provider's currency has the decimals that people write it with.
  const show = (amount: bigint) =>
    row.isFiat ? formatAmount(amount, decimals, decimals) : showAmount(row, amount);
  return {
    from: new Date(row.from).toISOString().slice(0, 10),
    merchant_id: row.merchantId,
    network: row.network,
    currency: row.currency,
    count: row.count,
    usd_cents: row.usdCents,
    average_usd_cents: row.count === 0 ? 0 : Math.round(row.usdCents / row.count),
    fees: show(row.fees),
    refunds: row.refunds,
    refunded: show(row.refunded),
    late: show(row.late),
    over: show(row.over),
    under: show(row.under),
    unmatched: show(row.unmatched),
  };
}

type Presented = ReturnType<typeof presentReportRow>;

const columns: readonly (readonly [title: string, cell: (row: Presented) => string])[] = [
  ['from', (row) => row.from],
  ['merchant_id', (row) => row.merchant_id ?? ''],
  ['network', (row) => row.network],
  ['currency', (row) => row.currency],
  ['payments', (row) => String(row.count)],
  ['received_usd', (row) => (row.usd_cents / 100).toFixed(2)],
  ['average_usd', (row) => (row.average_usd_cents / 100).toFixed(2)],
  ['provider_fees', (row) => row.fees],
  ['refunds', (row) => String(row.refunds)],
  ['refunded_amount', (row) => row.refunded],
  ['late_amount', (row) => row.late],
  ['over_amount', (row) => row.over],
  ['under_amount', (row) => row.under],
  ['unmatched_amount', (row) => row.unmatched],
];

/** The same for a spreadsheet. */
export function presentReportCsv(rows: readonly Presented[], separator: string): string {
  const lines = [columns.map(([title]) => title), ...rows.map((row) => columns.map(([, cell]) => cell(row)))];
  return byteOrderMark + lines.map((cells) => csvRow(cells, separator)).join('');
}
