import type { Network } from '../../core/networks.ts';
import type { Deposit } from '../../core/payment.ts';
import type { Db } from '../schema.ts';
import { depositColumns, toDeposit } from './deposits.ts';

/*
 * Deposits by where they lie, for reading blocks again.
 */

/** What is recorded in the blocks above `above`, up to and including `upTo`, and was not taken back. */
export async function listDepositsIn(
  db: Db,
  network: Network,
  { above, upTo }: { above: number; upTo: number },
): Promise<Deposit[]> {
  const rows = await db
    .selectFrom('deposits')
    .select(depositColumns)
    .where('network', '=', network)
    .where('height', '>', above)
    .where('height', '<=', upTo)
    .where('status', '!=', 'orphaned')
    .orderBy('id')
    .execute();
  return rows.map(toDeposit);
}
