import type { ChainConfig } from '../config.ts';
import { type Address, parseAddress } from '../core/address.ts';
import { type AmountText, parseAmountText } from '../core/amount-text.ts';
import { parseAmount } from '../core/money.ts';
import { chainFamilies, type Network } from '../core/networks.ts';
import type { PaymentView } from '../core/payment.ts';
import { findPaymentId } from '../storage/payments/numbers.ts';
import {
  type CoinAmount,
  findByAddress,
  findByCoinAmount,
  findByOrder,
  findByTransaction,
  findByUsd,
} from '../storage/payments/search.ts';
import { viewsById } from '../storage/payments/views.ts';
import type { Db } from '../storage/schema.ts';

type Chains = Readonly<Record<string, Pick<ChainConfig, 'assets'>>>;

export type Found =
  | { kind: 'found'; views: PaymentView[] }
  /** An amount that can be read in two ways, and nothing else that is known. */
  | { kind: 'ambiguous'; either: string; or: string };

/**
 * The latest payments that a text names, newest first: by their number, an address, a transaction, an order id or an amount.
 * Whatever it looks like, it may also be an order id: those are the shop's own. `merchantId`: of this one alone.
 */
export async function searchPayments(
  db: Db,
  chains: Chains,
  text: string,
  merchantId: string | null,
): Promise<Found> {
  const wanted = text.trim();
  const ids = new Set<number>();
  const number = await findPaymentId(db, wanted.toUpperCase());
  if (number !== null) ids.add(number);
  const keys = chainFamilies.flatMap((family) => {
    const parsed = parseAddress(family, wanted as Address);
    return 'key' in parsed ? [parsed.key] : [];
  });
  for (const id of await findByAddress(db, keys)) ids.add(id);
  const hex = /^(?:0x)?([0-9a-f]{64})$/i.exec(wanted)?.[1]?.toLowerCase();
  if (hex !== undefined) {
    const hashes = [hex, `0x${hex}`];
    for (const id of await findByTransaction(db, Object.keys(chains) as Network[], hashes)) ids.add(id);
  }
  for (const id of await findByOrder(db, merchantId, wanted)) ids.add(id);
  const amount = parseAmountText(wanted);
  if (amount !== null && 'amount' in amount)
    for (const id of await findByAmount(db, chains, merchantId, amount)) ids.add(id);
  const views = [...(await viewsById(db, [...ids])).values()]
    .filter(({ payment }) => merchantId === null || payment.merchantId === merchantId)
    .toSorted((a, b) => b.payment.createdAt - a.payment.createdAt || b.payment.id - a.payment.id)
    .slice(0, 50);
  return views.length === 0 && amount !== null && 'either' in amount
    ? { kind: 'ambiguous', ...amount }
    : { kind: 'found', views };
}

/** Of a price in dollars, and of what was asked for or sent in a coin, exactly. */
async function findByAmount(
  db: Db,
  chains: Chains,
  merchantId: string | null,
  { amount, unit }: AmountText,
): Promise<number[]> {
  const ids: number[] = [];
  const cents = unit === null || unit === 'usd' ? parseAmount(amount, 2) : null;
  if (cents !== null && cents <= BigInt(Number.MAX_SAFE_INTEGER))
    ids.push(...(await findByUsd(db, merchantId, Number(cents))));
  for (const inCoin of inCoins(chains, { amount, unit }))
    ids.push(...(await findByCoinAmount(db, merchantId, inCoin)));
  return ids;
}

/** The same amount in every coin that is called so, or in all; tokens have other decimals on other chains. */
function inCoins(chains: Chains, { amount, unit }: AmountText): CoinAmount[] {
  const coins = new Map<string, CoinAmount>();
  for (const { currency, coin, decimals } of Object.values(chains).flatMap(({ assets }) => assets)) {
    const units = parseAmount(amount, decimals);
    if (units === null || (unit !== null && unit !== currency && unit !== coin)) continue;
    coins.set(`${currency} ${decimals}`, { currency, decimals, amount: units });
  }
  return [...coins.values()];
}
