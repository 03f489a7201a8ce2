import type { ChargeStatus, Mode } from '../../core/charge.ts';
import type { ProviderPayment } from '../../core/payment.ts';
import { InvariantError } from '../../errors.ts';
import { isPostgres } from '../database.ts';
import { commonColumns, readCommon, writeCommon } from '../payments/common.ts';
import type { Db, Trx } from '../schema.ts';

/** Payments by a provider as {@link toProviderPayment} reads them. */
function selectProviderPayments(db: Db) {
  return db
    .selectFrom('payments')
    .innerJoin('provider_payments', 'provider_payments.payment_id', 'payments.id')
    .select([
      ...commonColumns,
      'provider_payments.type',
      'provider_payments.mode',
      'provider_payments.reference',
      'provider_payments.charge_id',
      'provider_payments.charge_status',
      'provider_payments.status_text',
      'provider_payments.checkout_url',
      'provider_payments.fee',
      'provider_payments.net',
      'provider_payments.refunded',
      'provider_payments.disputed',
      'provider_payments.capture',
    ]);
}

type Row = Awaited<ReturnType<ReturnType<typeof selectProviderPayments>['executeTakeFirstOrThrow']>>;

export async function insertProviderPayment(
  trx: Trx,
  payment: Omit<ProviderPayment, 'id'>,
  nextFetchAt: number,
): Promise<ProviderPayment> {
  const { id } = await trx
    .insertInto('payments')
    .values(writeCommon(payment))
    .returning('id')
    .executeTakeFirstOrThrow();
  await trx
    .insertInto('provider_payments')
    .values({
      payment_id: id,
      provider: payment.network,
      type: payment.providerType,
      mode: payment.mode,
      reference: payment.reference,
      checkout_url: payment.checkoutUrl,
      fetches: 0,
      next_fetch_at: nextFetchAt,
      fetched_at: null,
      unverified_at: null,
      mismatch: null,
      ...chargeColumns(payment),
    })
    .execute();
  return { ...payment, id };
}

/** How many payments of each provider are pending, also of those that are not configured any more. */
export async function countPendingByProvider(db: Db): Promise<{ provider: string; open: number }[]> {
  const rows = await db
    .selectFrom('payments')
    .select((eb) => ['network', eb.fn.countAll<number>().as('open')])
    .where('kind', '=', 'provider')
    .where('status', '=', 'pending')
    .groupBy('network')
    .execute();
  return rows.map((row) => ({ provider: row.network, open: Number(row.open) }));
}

/** Reads a payment and holds it until the transaction ends. @throws InvariantError when there is none. */
export async function lockProviderPayment(trx: Trx, id: number): Promise<ProviderPayment> {
  let query = selectProviderPayments(trx).where('payments.id', '=', id);
  if (isPostgres(trx)) query = query.forUpdate();
  const row = await query.executeTakeFirst();
  if (row === undefined) throw new InvariantError(`provider payment ${id} does not exist`);
  return toProviderPayment(row);
}

export async function listProviderPaymentsById(db: Db, ids: readonly number[]): Promise<ProviderPayment[]> {
  if (ids.length === 0) return [];
  const rows = await selectProviderPayments(db).where('payments.id', 'in', ids).execute();
  return rows.map(toProviderPayment);
}

/** By the provider's id, or else by our reference, which it shows too. */
export async function findPaymentOfCharge(
  db: Db,
  provider: string,
  { chargeId, reference }: { chargeId: string | null; reference: string | null },
): Promise<ProviderPayment | null> {
  for (const [column, value] of [
    ['provider_payments.charge_id', chargeId],
    ['provider_payments.reference', reference],
  ] as const) {
    if (value === null) continue;
    const row = await selectProviderPayments(db)
      .where('provider_payments.provider', '=', provider)
      .where(column, '=', value)
      .executeTakeFirst();
    if (row !== undefined) return toProviderPayment(row);
  }
  return null;
}

/** Writes what was decided; the row is held by {@link lockProviderPayment}. */
export async function updateProviderPayment(trx: Trx, payment: ProviderPayment): Promise<void> {
  await trx
    .updateTable('payments')
    .set({
      status: payment.status,
      reason: payment.reason,
      confirmed_at: payment.confirmedAt,
      ended_at: payment.endedAt,
      accepted_at: payment.acceptedAt,
    })
    .where('id', '=', payment.id)
    .execute();
  await trx
    .updateTable('provider_payments')
    .set(chargeColumns(payment))
    .where('payment_id', '=', payment.id)
    .execute();
}

function chargeColumns(payment: Omit<ProviderPayment, 'id'>) {
  return {
    charge_id: payment.chargeId,
    charge_status: payment.chargeStatus,
    status_text: payment.statusText,
    fee: payment.fee?.toString() ?? null,
    net: payment.net?.toString() ?? null,
    refunded: payment.refunded.toString(),
    disputed: Number(payment.disputed),
    capture: payment.capture,
  };
}

function toProviderPayment(row: Row): ProviderPayment {
  return {
    ...readCommon(row),
    kind: 'provider',
    providerType: row.type,
    mode: row.mode as Mode,
    reference: row.reference,
    chargeId: row.charge_id,
    chargeStatus: row.charge_status as ChargeStatus,
    statusText: row.status_text,
    checkoutUrl: row.checkout_url,
    fee: row.fee === null ? null : BigInt(row.fee),
    net: row.net === null ? null : BigInt(row.net),
    refunded: BigInt(row.refunded),
    disputed: row.disputed === 1,
    capture: row.capture as ProviderPayment['capture'],
  };
}
