import { type AddressKey, parseAddress, writeAddress } from '../../src/core/address.ts';
import type { Coin, Currency, KnownToken } from '../../src/core/assets.ts';
import type { BlockHash, BlockRef, Transfer, TxHash } from '../../src/core/chain.ts';
import { knownChains } from '../../src/core/chains/known.ts';
import type { FiatCode } from '../../src/core/fiat.ts';
import { parityRate } from '../../src/core/money.ts';
import type { KnownNetwork, Network } from '../../src/core/networks.ts';
import type { Deposit, OnchainPayment, OnchainView } from '../../src/core/payment.ts';
import type { Rates } from '../../src/rates/rates.ts';
import { type ChainState, insertChain, updateChain } from '../../src/storage/chains/chains.ts';
import { type DatabaseTime, inTransaction } from '../../src/storage/database.ts';
import { addMerchant } from '../../src/storage/operators/merchants.ts';
import { addAddresses } from '../../src/storage/pool/addresses.ts';
import type { Db } from '../../src/storage/schema.ts';
import { evmAddress, evmKey } from './addresses.ts';

/** When payments of {@link testPayment} are made, Unix ms; a whole second. */
export const createdAt = Date.UTC(2026, 4, 24, 11, 35, 0);

/** On a database whose time is the test's. */
export const testTime: DatabaseTime = async (_, clock) => clock();

/** 30 minutes later. */
export const expiresAt = createdAt + 30 * 60_000;

export const usdtOnBsc = tokenKey('bsc', 'usdt');

export function tokenKey(network: Network, currency: Currency): AddressKey | 'native' {
  if (currency === 'native') return 'native';
  const token = knownChains[network as KnownNetwork].tokens[currency as KnownToken];
  if (token === undefined) throw new Error(`${network} has no ${currency}`);
  const parsed = parseAddress(knownChains[network as KnownNetwork].family, token.address);
  if ('error' in parsed) throw new Error(parsed.error);
  return parsed.key;
}

/** 32 bytes of hex that are told apart by `n`. */
export function txHash(n: number): TxHash {
  return `0x${n.toString(16).padStart(64, '0')}` as TxHash;
}

export function blockHash(n: number | string): BlockHash {
  return `0xb${String(n).padStart(63, '0')}` as BlockHash;
}

/** 50 USDT on BSC (18 decimals), pending, at `evmAddress(1)`, locked at height 100. */
export function testPayment(changes: Partial<OnchainPayment> = {}): OnchainPayment {
  return {
    id: 1,
    paymentNumber: 'PAY-2026-ABCDEF1234',
    merchantId: 'mer_1',
    kind: 'onchain',
    status: 'pending',
    reason: null,
    network: 'bsc',
    chain: 'BNB Smart Chain',
    currency: 'usdt',
    coin: 'usdt',
    token: usdtOnBsc,
    decimals: 18,
    price: { minorUnits: 5000, currency: 'USD' },
    amountUsdCents: 5000,
    expectedAmount: usdt(50),
    requiredAmount: usdt(50),
    dustAmount: usdt(5) / 100n,
    requiredConfirmations: 15,
    tier: null,
    exceedsTier: false,
    countedAmount: 0n,
    toldAmount: 0n,
    reopened: false,
    addressId: 1,
    address: evmAddress(1),
    lockHead: testBlock(100),
    lockChainTime: createdAt,
    blockTimeLimit: expiresAt / 1000,
    usdPerCoin: '1',
    completedBy: null,
    externalOrderId: 'order-9837',
    customerEmail: 'jo@example.com',
    redirectUrl: 'https://shop.example/thanks',
    metadata: { sku: 'GOLD-PLAN' },
    locale: '',
    checkoutSession: null,
    replaces: null,
    replacedBy: null,
    requotes: 0,
    livemode: true,
    paymentToken: 'token-of-the-checkout',
    createdAt,
    expiresAt,
    confirmedAt: null,
    endedAt: null,
    acceptedAt: null,
    ...changes,
  };
}

/** A lock under the head of this height, just before the next block: what is mined up to there does not count. */
export function lockedAt(height: number): Pick<OnchainPayment, 'lockHead' | 'lockChainTime'> {
  return { lockHead: testBlock(height), lockChainTime: testBlock(height + 1).time * 1000 };
}

/** The view of a payment that has just these deposits, put together without a database. */
export function testView(
  payment: OnchainPayment,
  deposits: readonly Deposit[] = [],
  heads: OnchainView['heads'] = {},
): OnchainView {
  const live = deposits.filter(({ status }) => status !== 'orphaned');
  const isOwn = (one: Deposit) => one.network === payment.network && one.token === payment.token;
  const bySize = live.toSorted((a, b) => Number(b.amount - a.amount) || a.id - b.id);
  const inOrder = live.toSorted(
    (a, b) => a.height - b.height || (a.logIndex ?? -1) - (b.logIndex ?? -1) || a.id - b.id,
  );
  const sum = (some: readonly Deposit[]) => some.reduce((total, { amount }) => total + amount, 0n);
  const own = live.filter(isOwn);
  return {
    kind: 'onchain',
    payment,
    heads,
    deposits: {
      largest: bySize.slice(0, 50),
      total: live.length,
      received: sum(own),
      counted: sum(own.filter(({ role }) => role === 'counted' || role === 'accepted')),
      knownBy: inOrder.find(({ txHash }) => txHash === payment.completedBy) ?? inOrder[0] ?? null,
    },
  };
}

/** A seen transfer of 50 USDT to {@link testPayment}, in time, at height 110. */
export function testDeposit(changes: Partial<Deposit> = {}): Deposit {
  return {
    id: 1,
    network: 'bsc',
    txHash: txHash(1),
    token: usdtOnBsc,
    currency: 'usdt',
    decimals: 18,
    recipient: evmKey(1),
    ordinal: 0,
    amount: usdt(50),
    height: 110,
    blockHash: blockHash(110),
    blockTime: createdAt / 1000 + 60,
    logIndex: 0,
    status: 'seen',
    role: 'counted',
    unmatchedReason: null,
    merchantId: 'mer_1',
    addressId: 1,
    paymentId: 1,
    seenAt: createdAt + 61_000,
    reportedBy: 'node.example',
    ...changes,
  };
}

/** A transfer of 50 USDT on BSC to `evmAddress(1)`, a minute after {@link createdAt}, at height 110. */
export function testTransfer(changes: Partial<Transfer> = {}): Transfer {
  return {
    network: 'bsc',
    txHash: txHash(1),
    token: usdtOnBsc,
    currency: 'usdt',
    recipient: evmKey(1),
    ordinal: 0,
    amount: usdt(50),
    block: testBlock(110),
    logIndex: 0,
    ...changes,
  };
}

/** A block of a chain that makes one every six seconds, 100 of them at {@link createdAt}. */
export function testBlock(height: number, changes: Partial<BlockRef> = {}): BlockRef {
  return { height, hash: blockHash(height), time: createdAt / 1000 + (height - 100) * 6, ...changes };
}

/** Whole coins of 18 decimals. */
export function usdt(coins: number): bigint {
  return BigInt(coins) * 10n ** 18n;
}

/** Some currencies, a euro at 1.08 dollars. */
export function testUsdPer(currency: FiatCode): bigint | null {
  const rates: Record<string, bigint> = {
    USD: parityRate,
    EUR: (parityRate * 108n) / 100n,
    HTG: (parityRate * 76n) / 10_000n,
    JPY: (parityRate * 64n) / 10_000n,
  };
  return rates[currency] ?? null;
}

/** Stablecoins at one dollar, native coins at whole prices; `null` has none. */
export function testRates(changes: Partial<Record<Coin, bigint | null>> = {}): Rates {
  const prices: Partial<Record<Coin, bigint | null>> = {
    usdt: parityRate,
    usdc: parityRate,
    busd: parityRate,
    bnb: 600n * parityRate,
    eth: 3000n * parityRate,
    trx: parityRate / 4n,
    ...changes,
  };
  return {
    usdPer: testUsdPer,
    quote(coin) {
      const usdPerCoin = prices[coin] ?? null;
      return usdPerCoin === null ? null : { usdPerCoin, sources: ['test'], fetchedAt: createdAt };
    },
  };
}

export async function addTestMerchant(db: Db, name = 'Shop'): Promise<string> {
  const merchant = await inTransaction(db, (trx) => addMerchant(trx, { name, at: createdAt }));
  return merchant.id;
}

/** Gives a merchant the addresses `evmAddress(first)` and following, as their chain writes them; answers their ids. */
export async function addTestAddresses(
  db: Db,
  merchantId: string,
  { network = 'bsc', first = 1, count, currency = null }: TestPool,
): Promise<number[]> {
  const { family } = knownChains[network as KnownNetwork];
  const addresses = Array.from({ length: count }, (_, i) => ({
    network,
    address: writeAddress(family, evmKey(first + i)),
    key: evmKey(first + i),
    currency,
    label: '',
    source: 'static' as const,
  }));
  return inTransaction(db, (trx) => addAddresses(trx, merchantId, addresses, createdAt));
}

export type TestPool = { network?: Network; first?: number; count: number; currency?: Currency | null };

/** Writes how a chain stands: by default read at {@link createdAt} to its head, height 100. */
export async function setTestChain(
  db: Db,
  network: Network,
  changes: Partial<ChainState> = {},
): Promise<ChainState> {
  const block = testBlock(100);
  const state: ChainState = {
    network,
    cursor: block,
    head: block,
    time: { head: block, shownAt: createdAt, watchedSince: null },
    finalizedHeight: null,
    readAt: createdAt,
    stoppedReason: null,
    ...changes,
  };
  await inTransaction(db, async (trx) => {
    if (!(await insertChain(trx, state))) await updateChain(trx, state);
  });
  return state;
}
