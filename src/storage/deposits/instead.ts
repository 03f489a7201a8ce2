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
    .where('role', '=', 'unmatched')
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
