import { sql } from 'kysely';
import type { AddressKey } from '../../core/address.ts';
import type { Coin, Currency } from '../../core/assets.ts';
import type { Network } from '../../core/networks.ts';
import type { Db } from '../schema.ts';

/** What payments were made in that are open, or ended a short while ago. */
export type AssetInUse = {
  network: Network;
  currency: Currency;
  coin: Coin;
  token: AddressKey | 'native';
  decimals: number;
  /** How many of them are open. */
  open: number;
};

/** Payments live for this long at most (`payments.lifetimeSeconds`), ms. */
const longestLifeMs = 30 * 24 * 60 * 60 * 1000;

/** Of all networks, also those that are not configured. Reads as many payments as were made since: for the start. */
export async function listAssetsInUse(db: Db, endedAfter: number): Promise<AssetInUse[]> {
  const pending = await inUse(db).where('payments.status', '=', sql.lit('pending')).execute();
  const ended = await inUse(db)
    .where('payments.created_at', '>', endedAfter - longestLifeMs)
    .where('payments.ended_at', '>', endedAfter)
    .execute();
  const assets = new Map<string, AssetInUse>();
  for (const row of [...pending, ...ended]) {
    const key = `${row.network} ${row.currency} ${row.token} ${row.decimals}`;
    const asset = assets.get(key) ?? {
      network: row.network as Network,
      currency: row.currency as Currency,
      coin: row.coin as Coin,
      token: row.token as AddressKey | 'native',
      decimals: row.decimals,
      open: 0,
    };
    assets.set(key, asset);
    if (pending.includes(row)) asset.open += Number(row.payments);
  }
  return [...assets.values()];
}

function inUse(db: Db) {
  return db
    .selectFrom('payments')
    .innerJoin('onchain_payments', 'onchain_payments.payment_id', 'payments.id')
    .select((eb) => [
      'payments.network',
      'payments.currency',
      'payments.decimals',
      'onchain_payments.coin',
      'onchain_payments.token',
      eb.fn.countAll<number>().as('payments'),
    ])
    .groupBy([
      'payments.network',
      'payments.currency',
      'payments.decimals',
      'onchain_payments.coin',
      'onchain_payments.token',
    ]);
}
