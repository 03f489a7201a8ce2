import { sql } from 'kysely';
import type { Payment } from '../../core/payment.ts';
import { isPostgres } from '../database.ts';
import type { Db } from '../schema.ts';

/** What the chain shows of a payment's own asset, in its base units. */
export type ReceivedSums = {
  /** Everything, whatever it counts as. */
  received: bigint;
  /** What adds to what the payment needs. */
  counted: bigint;
};

/** Added up in the database: somebody may have sent a payment any number of transfers. */
export async function sumsOfPayment(
  db: Db,
  { id, network, token }: Pick<Payment, 'id' | 'network' | 'token'>,
): Promise<ReceivedSums> {
  const total = (amount: string) => sumAmounts(db, sql.raw(amount));
  const counted = `case when role in ('counted', 'accepted') then amount else '0' end`;
  const row = await db
    .selectFrom('deposits')
    .select([total('amount').as('received'), total(counted).as('counted')])
    .where('payment_id', '=', id)
    .where('network', '=', network)
    .where('token', '=', token)
    .where('status', '!=', 'orphaned')
    .executeTakeFirstOrThrow();
  return { received: BigInt(row.received), counted: BigInt(row.counted) };
}

/** The exact sum of amounts, as digits: SQLite by itself adds up 64 bits, or what a float holds. */
function sumAmounts(db: Db, amount: ReturnType<typeof sql.raw>) {
  return isPostgres(db)
    ? sql<string>`coalesce(sum((${amount})::numeric), 0)::text`
    : sql<string>`sum_amounts(${amount})`;
}
