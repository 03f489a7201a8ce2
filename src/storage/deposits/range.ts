import { setImmediate } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Network } from '../../core/networks.ts';
import type { Deposit } from '../../core/payment.ts';
import type { Db } from '../schema.ts';
import { depositColumns, toDeposit } from './deposits.ts';

/*
 * Deposits by where they lie, for reading blocks again.
 */

/** Read in one go: in between the program does what else there is to do. */
const pageSize = 1_000;

/** What is recorded in the blocks above `above`, up to and including `upTo`, and was not taken back. By height. */
export async function listDepositsIn(
  db: Db,
  network: Network,
  { above, upTo }: { above: number; upTo: number },
): Promise<Deposit[]> {
  const deposits: Deposit[] = [];
  for (;;) {
    const last = deposits.at(-1);
    const rows = await db
      .selectFrom('deposits')
      .select(depositColumns)
      .where('network', '=', network)
      .where('height', '>', above)
      .where('height', '<=', upTo)
      .where('status', '!=', 'orphaned')
      .$if(last !== undefined, (query) =>
        query.where(sql<boolean>`(height, id) > (${last?.height}, ${last?.id})`),
      )
      .orderBy('height')
      .orderBy('id')
      .limit(pageSize)
      .execute();
    for (const row of rows) deposits.push(toDeposit(row));
    if (rows.length < pageSize) return deposits;
    await setImmediate();
  }
}
