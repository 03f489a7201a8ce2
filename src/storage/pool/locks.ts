import { type Expression, type QueryCreator, sql } from 'kysely';
import type { Address } from '../../core/address.ts';
import type { Currency } from '../../core/assets.ts';
import type { Network } from '../../core/networks.ts';
import { InvariantError } from '../../errors.ts';
import { isPostgres } from '../database.ts';
import type { Db, Schema, Trx } from '../schema.ts';
import { heldBackUpTo, readHold } from './holds.ts';

/** The addresses of one merchant that can be given to payments in one currency of one chain. */
export type Pool = { merchantId: string; network: Network; currency: Currency };

type FreeAddress = { id: number; address: Address };

/** What a free address is looked for by, Unix ms. */
type Search = {
  /** Only those let go no later; null: no matter when. */
  releasedBefore: number | null;
  /** None that a hold which lasts longer keeps back. */
  heldAt: number;
};

/**
 * The free address of a pool that was let go longest ago, and is not held back. On PostgreSQL the row is held until the
 * transaction ends and rows that others hold are passed over, so that parallel creations never wait for, or get, the same
 * address.
 */
export async function findFreeAddress(trx: Trx, pool: Pool, search: Search): Promise<FreeAddress | null> {
  const first = isPostgres(trx)
    ? await holdFreeAddressOf(trx, pool, search)
    : await findFirstFree(trx, pool, search);
  if (first === undefined || first.id > (first.held_back_up_to ?? 0)) return toFreeAddress(first);
  return findFreshAddress(trx, pool, search);
}

async function findFirstFree(trx: Trx, pool: Pool, search: Search) {
  // Two small index reads: one that asks for either currency would sort the whole pool.
  const first = (currency: string) =>
    freeAddresses(trx, pool, currency, search.releasedBefore)
      .select(heldBackUpTo(search.heldAt).as('held_back_up_to'))
      .executeTakeFirst();
  const own = await first(pool.currency);
  const shared = await first('');
  const sharedFirst = shared !== undefined && (own === undefined || shared.released_at < own.released_at);
  return sharedFirst ? shared : own;
}

/**
 * While addresses are held back: one that was added since. Never used ones are asked for apart from those that were let go
 * since: neither read goes through all that are held back.
 */
async function findFreshAddress(trx: Trx, pool: Pool, search: Search): Promise<FreeAddress | null> {
  const hold = await readHold(trx, search.heldAt);
  if (hold === null) return null;
  for (const used of [false, true]) {
    for (const currency of [pool.currency, '']) {
      let query = freeAddresses(trx, pool, currency, search.releasedBefore).where(
        'id',
        '>',
        hold.lastAddressId,
      );
      query = used ? query.where('released_at', '>=', hold.at) : query.where('released_at', '=', 0);
      if (isPostgres(trx)) query = query.forUpdate().skipLocked();
      const row = await query.executeTakeFirst();
      if (row !== undefined) return toFreeAddress(row);
    }
  }
  return null;
}

/**
 * After a hold, of the addresses that were let go before `before` (Unix ms) the one let go last, which no lost payment was given so
 * soon; held as by {@link findFreeAddress}. Null where all were let go since.
 */
export async function findLastReleasedBefore(
  trx: Trx,
  pool: Pool,
  before: number,
): Promise<FreeAddress | null> {
  for (const currency of [pool.currency, '']) {
    let query = freeAddresses(trx, pool, currency, null)
      .clearOrderBy()
      .where('released_at', '<', before)
      .orderBy('released_at', 'desc')
      .orderBy('id', 'desc');
    if (isPostgres(trx)) query = query.forUpdate().skipLocked();
    const row = await query.executeTakeFirst();
    if (row !== undefined) return toFreeAddress(row);
  }
  return null;
}

/** The same in one statement, in which only the row that will be used is held: one held besides would look taken to everybody else. */
async function holdFreeAddressOf(trx: Trx, pool: Pool, { releasedBefore, heldAt }: Search) {
  const firstCurrency = sql<string>`case when coalesce(
    (select released_at from shared) < (select released_at from own), not exists (select from own)
  ) then '' else ${pool.currency} end`;
  const first = await freeAddresses(
    trx
      .with('own', (db) => freeAddresses(db, pool, pool.currency, releasedBefore))
      .with('shared', (db) => freeAddresses(db, pool, '', releasedBefore)),
    pool,
    firstCurrency,
    releasedBefore,
  )
    .select(heldBackUpTo(heldAt).as('held_back_up_to'))
    .forUpdate()
    .skipLocked()
    .executeTakeFirst();
  if (first !== undefined) return first;
  // Others hold all of that currency.
  for (const currency of [pool.currency, '']) {
    const row = await freeAddresses(trx, pool, currency, releasedBefore)
      .select(heldBackUpTo(heldAt).as('held_back_up_to'))
      .forUpdate()
      .skipLocked()
      .executeTakeFirst();
    if (row !== undefined) return row;
  }
  return undefined;
}

/** The first of one currency's free addresses (empty: those for every currency). */
export function freeAddresses(
  db: Pick<QueryCreator<Schema>, 'selectFrom'>,
  pool: Pool,
  currency: string | Expression<string>,
  releasedBefore: number | null,
) {
  const query = db
    .selectFrom('addresses')
    .select(['id', 'address', 'released_at'])
    .where('merchant_id', '=', pool.merchantId)
    .where('network', '=', pool.network)
    .where('currency', '=', currency)
    .where('active', '=', sql.lit(1))
    .where('locked_by', 'is', null)
    .orderBy('released_at')
    .orderBy('id')
    .limit(1);
  return releasedBefore === null ? query : query.where('released_at', '<=', releasedBefore);
}

function toFreeAddress(row: { id: number; address: string } | undefined): FreeAddress | null {
  return row === undefined ? null : { id: row.id, address: row.address as Address };
}

/** One address where it is active, nobody holds it, and it is not held back; held as by {@link findFreeAddress}. */
export async function holdFreeAddress(trx: Trx, addressId: number, now: number): Promise<FreeAddress | null> {
  let query = trx
    .selectFrom('addresses')
    .select(['id', 'address', heldBackUpTo(now).as('held_back_up_to')])
    .where('id', '=', addressId)
    .where('active', '=', sql.lit(1))
    .where('locked_by', 'is', null);
  if (isPostgres(trx)) query = query.forUpdate();
  const row = await query.executeTakeFirst();
  return row !== undefined && row.id <= (row.held_back_up_to ?? 0) ? null : toFreeAddress(row);
}

/** Whether a payment after this one was given the address. */
export async function wasGivenSince(db: Db, addressId: number, paymentId: number): Promise<boolean> {
  const row = await db
    .selectFrom('onchain_payments')
    .select('payment_id')
    .where('address_id', '=', addressId)
    .where('payment_id', '>', paymentId)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** @throws InvariantError when it was not free: it must have been found and held in this transaction. */
export async function lockAddress(trx: Trx, addressId: number, paymentId: number): Promise<void> {
  const result = await trx
    .updateTable('addresses')
    .set({ locked_by: paymentId })
    .where('id', '=', addressId)
    .where('locked_by', 'is', null)
    .executeTakeFirst();
  if (result.numUpdatedRows !== 1n) throw new InvariantError(`address ${addressId} was locked twice`);
}

/** Lets go of an address, if this payment still holds it. */
export async function releaseAddress(
  trx: Trx,
  addressId: number,
  paymentId: number,
  at: number,
): Promise<void> {
  await trx
    .updateTable('addresses')
    .set({ locked_by: null, released_at: at })
    .where('id', '=', addressId)
    .where('locked_by', '=', paymentId)
    .execute();
  await trx
    .updateTable('onchain_payments')
    .set({ released_at: at, reopened: 0 })
    .where('payment_id', '=', paymentId)
    .where('released_at', 'is', null)
    .execute();
}

/**
 * Gives an address back to the payment that had it last, which can be paid anew in blocks up to the time
 * `blockTimeLimit` (Unix seconds).
 *
 * @returns false when another payment has been given it since: then nothing was changed.
 */
export async function lockAddressAgain(
  trx: Trx,
  addressId: number,
  paymentId: number,
  blockTimeLimit: number,
): Promise<boolean> {
  const result = await trx
    .updateTable('addresses')
    .set({ locked_by: paymentId })
    .where('id', '=', addressId)
    .where('locked_by', 'is', null)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('onchain_payments')
            .select('payment_id')
            .where('onchain_payments.address_id', '=', addressId)
            .where('onchain_payments.payment_id', '>', paymentId),
        ),
      ),
    )
    .executeTakeFirst();
  if (result.numUpdatedRows !== 1n) return false;
  await trx
    .updateTable('onchain_payments')
    .set({ released_at: null, reopened: 1, block_time_limit: blockTimeLimit })
    .where('payment_id', '=', paymentId)
    .execute();
  return true;
}

/**
 * When the first of a merchant's pending payments on the pool's chain runs out of time, Unix ms; null when
 * there is none. A hint for whoever waits for an address, in whatever currency: it must cost nothing.
 */
export async function earliestExpiry(db: Db, pool: Pool): Promise<number | null> {
  const row = await db
    .selectFrom('payments')
    .select('expires_at')
    .where('network', '=', pool.network)
    .where('status', '=', sql.lit('pending'))
    .where('merchant_id', '=', pool.merchantId)
    .orderBy('expires_at')
    .limit(1)
    .executeTakeFirst();
  return row?.expires_at ?? null;
}
