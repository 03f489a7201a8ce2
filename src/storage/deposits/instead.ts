import { sql } from 'kysely';
import { type AddressKey, familyOf, keyOfHex, parseAddress } from '../../core/address.ts';
import { lockSlackMs } from '../../core/chain-time.ts';
import type { Deposit, OnchainPayment } from '../../core/payment.ts';
import type { Db } from '../schema.ts';
import { depositColumns, toDeposit } from './deposits.ts';

/** Transfers that are looked at, the newest first: anybody can send any number of them. */
const mostLookedAt = 20;

/**
 * What reached a payment's address, in another token or on another chain of the family, while it was meant for this
 * payment: nobody else held the address on that chain, and no later payment anywhere had been given it. Newest first.
 */
export async function listInstead(db: Db, payment: OnchainPayment): Promise<Deposit[]> {
  const key = keyOf(payment);
  const rows = await db
    .selectFrom('deposits')
    .select(depositColumns)
    .where('role', '=', sql.lit('unmatched'))
    .where('recipient', '=', key)
    .where('status', '<>', 'orphaned')
    .where('unmatched_reason', 'in', ['wrong_token', 'wrong_network'])
    .orderBy('id', 'desc')
    .limit(mostLookedAt)
    .execute();
  if (rows.length === 0) return [];
  const deposits = rows.map(toDeposit);
  const own: Deposit[] = [];
  for (const deposit of deposits) {
    if ((await findOwner(db, key, deposit)) === payment.id) own.push(deposit);
  }
  return own;
}

/**
 * The same for many payments; those that nothing reached are not in it, which is nearly all of them: one read tells which
 * addresses were sent something that is nobody's.
 */
export async function listInsteadOf(
  db: Db,
  payments: readonly OnchainPayment[],
): Promise<ReadonlyMap<number, Deposit[]>> {
  const all = new Map<number, Deposit[]>();
  if (payments.length === 0) return all;
  const reached = await db
    .selectFrom('addresses')
    .select('id')
    .where(
      'id',
      'in',
      payments.map(({ addressId }) => addressId),
    )
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('deposits')
          .select('deposits.id')
          .whereRef('deposits.recipient', '=', 'addresses.address_key')
          .where('deposits.role', '=', sql.lit('unmatched')),
      ),
    )
    .execute();
  const ids = new Set(reached.map(({ id }) => id));
  for (const payment of payments) {
    if (ids.has(payment.addressId)) all.set(payment.id, await listInstead(db, payment));
  }
  return all;
}

/** The payment that held an address when a transfer came, on its own chain if there was one, else the last that got it. */
async function findOwner(db: Db, key: AddressKey, deposit: Deposit): Promise<number | null> {
  const holders = await db
    .selectFrom('addresses')
    .innerJoin('onchain_payments', 'onchain_payments.address_id', 'addresses.id')
    .select(['onchain_payments.payment_id', 'onchain_payments.released_at', 'addresses.network'])
    .where('addresses.address_key', '=', key)
    .where('onchain_payments.lock_chain_time', '<=', deposit.blockTime * 1000 + lockSlackMs)
    .orderBy('onchain_payments.payment_id', 'desc')
    .limit(mostLookedAt)
    .execute();
  const here = holders.find(
    ({ network, released_at }) =>
      network === deposit.network && (released_at === null || released_at >= deposit.seenAt),
  );
  return (here ?? holders[0])?.payment_id ?? null;
}

function keyOf({ address }: OnchainPayment): AddressKey {
  const family = familyOf(address);
  if (family === 'evm') return keyOfHex(address);
  const parsed = parseAddress(family, address);
  return 'error' in parsed ? ('' as AddressKey) : parsed.key;
}
