import { sql } from 'kysely';
import type { Currency } from '../core/assets.ts';
import type { EventType } from '../core/events.ts';
import type { Network } from '../core/networks.ts';
import type { DepositRole } from '../core/payment.ts';
import type { Db } from './schema.ts';

/*
 * What is counted for operators. The lists go on from where the last one ended, so that counting costs as
 * much as has happened since.
 */

export async function countPendingPayments(db: Db): Promise<{ network: Network; pending: number }[]> {
  const rows = await db
    .selectFrom('payments')
    .select((eb) => ['network', eb.fn.countAll<number>().as('n')])
    .where('status', '=', sql.lit('pending'))
    .groupBy('network')
    .orderBy('network')
    .execute();
  return rows.map((row) => ({ network: row.network as Network, pending: Number(row.n) }));
}

/** The last of everything, to list from. */
export type Marks = { paymentId: number; depositId: number; eventSequence: number };

export async function readMarks(db: Db): Promise<Marks> {
  const [payment, deposit, event] = await Promise.all([
    db
      .selectFrom('payments')
      .select((eb) => eb.fn.max('id').as('last'))
      .executeTakeFirstOrThrow(),
    db
      .selectFrom('deposits')
      .select((eb) => eb.fn.max('id').as('last'))
      .executeTakeFirstOrThrow(),
    db
      .selectFrom('events')
      .select((eb) => eb.fn.max('sequence').as('last'))
      .executeTakeFirstOrThrow(),
  ]);
  return {
    paymentId: Number(payment.last ?? 0),
    depositId: Number(deposit.last ?? 0),
    eventSequence: Number(event.last ?? 0),
  };
}

export type CountedPayment = { id: number; network: Network; currency: Currency };

export async function listPaymentsAfter(db: Db, id: number, limit: number): Promise<CountedPayment[]> {
  const rows = await db
    .selectFrom('payments')
    .select(['id', 'network', 'currency'])
    .where('id', '>', id)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    network: row.network as Network,
    currency: row.currency as Currency,
  }));
}

export type CountedDeposit = {
  id: number;
  network: Network;
  currency: Currency;
  role: DepositRole;
  /** Unix seconds. */
  blockTime: number;
  /** Unix ms. */
  seenAt: number;
};

export async function listDepositsAfter(db: Db, id: number, limit: number): Promise<CountedDeposit[]> {
  const rows = await db
    .selectFrom('deposits')
    .select(['id', 'network', 'currency', 'role', 'block_time', 'seen_at'])
    .where('id', '>', id)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    network: row.network as Network,
    currency: row.currency as Currency,
    role: row.role as DepositRole,
    blockTime: row.block_time,
    seenAt: row.seen_at,
  }));
}

export type CountedEvent = {
  sequence: number;
  type: EventType;
  /** Unix ms. */
  createdAt: number;
  /** What it is about; null when that is no payment. */
  payment: { network: Network; currency: Currency; createdAt: number } | null;
  /** Block time (Unix seconds) of the transfer that completed the payment; null while there is none. */
  completedAt: number | null;
};

export async function listEventsAfter(db: Db, sequence: number, limit: number): Promise<CountedEvent[]> {
  const rows = await db
    .selectFrom('events')
    .leftJoin('payments', 'payments.id', 'events.payment_id')
    .leftJoin('onchain_payments', 'onchain_payments.payment_id', 'events.payment_id')
    .select((eb) => [
      'events.sequence',
      'events.type',
      'events.created_at',
      'payments.network',
      'payments.currency',
      'payments.created_at as payment_created_at',
      eb
        .selectFrom('deposits')
        .select((inner) => inner.fn.max('block_time').as('time'))
        .whereRef('deposits.payment_id', '=', 'payments.id')
        .whereRef('deposits.tx_hash', '=', 'onchain_payments.completed_by')
        .as('completed_at'),
    ])
    .where('events.sequence', '>', sequence)
    .orderBy('events.sequence')
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    sequence: row.sequence,
    type: row.type as EventType,
    createdAt: row.created_at,
    payment:
      row.network === null
        ? null
        : {
            network: row.network as Network,
            currency: row.currency as Currency,
            createdAt: Number(row.payment_created_at),
          },
    completedAt: row.completed_at === null ? null : Number(row.completed_at),
  }));
}
