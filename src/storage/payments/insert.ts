import type { OnchainPayment } from '../../core/payment.ts';
import { InvariantError } from '../../errors.ts';
import { isPostgres } from '../database.ts';
import { lockAddress } from '../pool/locks.ts';
import type { Trx } from '../schema.ts';
import { writeCommon } from './common.ts';
import { keyColumns, rememberIdempotencyKey } from './idempotency.ts';
import { onchainColumns } from './onchain.ts';

type NewPayment = Omit<OnchainPayment, 'id'>;

export async function insertPayment(trx: Trx, payment: NewPayment): Promise<OnchainPayment> {
  const { id } = await trx
    .insertInto('payments')
    .values(writeCommon(payment))
    .returning('id')
    .executeTakeFirstOrThrow();
  await trx
    .insertInto('onchain_payments')
    .values({ payment_id: id, ...onchainColumns(payment) })
    .execute();
  return { ...payment, id };
}

/**
 * Writes a payment, locks its address, and remembers the key it was asked for with. On PostgreSQL in one statement: each is a
 * way to the server and back, and those take most of the time.
 *
 * @throws InvariantError when the address was not free: it must have been found and held in this transaction.
 */
export async function insertLockedPayment(
  trx: Trx,
  payment: NewPayment,
  idempotency: { key: string; fingerprint: string } | null,
): Promise<OnchainPayment> {
  const { merchantId, addressId, createdAt: at } = payment;
  if (isPostgres(trx)) return insertInOneStatement(trx, payment, idempotency);
  const inserted = await insertPayment(trx, payment);
  await lockAddress(trx, addressId, inserted.id);
  if (idempotency !== null)
    await rememberIdempotencyKey(trx, { merchantId, ...idempotency, paymentId: inserted.id, at });
  return inserted;
}

async function insertInOneStatement(
  trx: Trx,
  payment: NewPayment,
  idempotency: { key: string; fingerprint: string } | null,
): Promise<OnchainPayment> {
  const made = trx
    .with('made', (db) => db.insertInto('payments').values(writeCommon(payment)).returning('id'))
    .with('locked', (db) =>
      db
        .updateTable('addresses')
        .set((eb) => ({ locked_by: eb.selectFrom('made').select('id') }))
        .where('id', '=', payment.addressId)
        .where('locked_by', 'is', null)
        .returning('id'),
    );
  const { merchantId, createdAt: at } = payment;
  const remembered =
    idempotency === null
      ? made
      : made.with('remembered', (db) =>
          db
            .insertInto('idempotency_keys')
            .values((eb) => ({
              merchant_id: merchantId,
              key: idempotency.key,
              ...keyColumns({ ...idempotency, at }),
              payment_id: eb.selectFrom('made').select('id'),
            }))
            .onConflict((conflict) =>
              conflict.columns(['merchant_id', 'key']).doUpdateSet((eb) => ({
                ...keyColumns({ ...idempotency, at }),
                payment_id: eb.ref('excluded.payment_id'),
              })),
            )
            .returning('key'),
        );
  const { id, locked } = await remembered
    .insertInto('onchain_payments')
    .values((eb) => ({ payment_id: eb.selectFrom('made').select('id'), ...onchainColumns(payment) }))
    .returning((eb) => ['payment_id as id', eb.selectFrom('locked').select('locked.id').as('locked')])
    .executeTakeFirstOrThrow();
  if (locked === null) throw new InvariantError(`address ${payment.addressId} was locked twice`);
  return { ...payment, id };
}
