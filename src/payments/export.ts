import { setImmediate } from 'node:timers/promises';
import { byteOrderMark, csvHeader, presentCsvRow } from '../present/payments-csv.ts';
import { listPayments, type PaymentFilter } from '../storage/payments/views.ts';
import type { Db } from '../storage/schema.ts';

/** Payments that are read at once: others have their turn between. */
const atOnce = 200;

/** Payments as a file for a spreadsheet, newest first, however many: it is written while it is read. */
export async function* exportPayments(
  db: Db,
  filter: Omit<PaymentFilter, 'limit' | 'beforeId'>,
  separator: string,
): AsyncGenerator<string> {
  yield byteOrderMark + csvHeader(separator);
  for (let beforeId: number | null | undefined; beforeId !== null; ) {
    const page = await listPayments(db, {
      ...filter,
      limit: atOnce,
      ...(beforeId === undefined ? {} : { beforeId }),
    });
    yield page.views.map((view) => presentCsvRow(view, separator)).join('');
    beforeId = page.nextId;
    // A reader that takes all at once must not take the process from everybody else.
    await setImmediate();
  }
}
