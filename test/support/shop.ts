import type { ConfirmationTier, PaymentPolicy } from '../../src/config.ts';
import { keyOfHex } from '../../src/core/address.ts';
import type { Currency } from '../../src/core/assets.ts';
import type { TxHash } from '../../src/core/chain.ts';
import { parityRate } from '../../src/core/money.ts';
import type { Deposit, OnchainPayment, OnchainView } from '../../src/core/payment.ts';
import { acceptPayment } from '../../src/payments/accept.ts';
import { attachDeposit } from '../../src/payments/attach.ts';
import { cancelPayment } from '../../src/payments/cancel.ts';
import { type CreateDeps, type CreateOutcome, createPayments } from '../../src/payments/create.ts';
import { checkAndAddAddresses } from '../../src/pool/import.ts';
import { setRetired } from '../../src/pool/retire.ts';
import { type PresentedPayment, presentPayment } from '../../src/present/payments.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { listDeposits } from '../../src/storage/deposits/deposits.ts';
import { addMerchant } from '../../src/storage/operators/merchants.ts';
import { findPayment } from '../../src/storage/payments/views.ts';
import { listAddresses } from '../../src/storage/pool/addresses.ts';
import type { Db } from '../../src/storage/schema.ts';
import { listEvents } from '../../src/storage/webhooks/events.ts';
import { createWatcher } from '../../src/watchers/watcher.ts';
import { createWatchlist } from '../../src/watchers/watchlist.ts';
import { evmAddress } from './addresses.ts';
import { testChain, testConfig } from './config.ts';
import { listDepositsOfPayment } from './deposits.ts';
import { silentLog } from './log.ts';
import { createPaperChain, type PaperChain, paperHash } from './paper-chain.ts';
import { testTime, testUsdPer } from './payments.ts';

type ShopNetwork = 'bsc' | 'ethereum';

export type ShopOptions = {
  payments?: Partial<PaymentPolicy>;
  /** How many addresses each network's pool has. The same on both with `shared`. Default 3. */
  addresses?: number;
  shared?: boolean;
  confirmations?: number;
  /** Of both networks. Default none. */
  tiers?: readonly ConfirmationTier[];
  lostCommits?: CreateDeps['lostCommits'];
};

/** A merchant on a real database, whose customers pay on chains in memory that real watchers read. */
export async function openShop(db: Db, options: ShopOptions = {}) {
  let now = 1_800_000_000_000;
  let sent = 0;
  const clock = () => now;
  const confirmations = options.confirmations ?? 3;
  const defaults = testConfig();
  const depth = {
    requiredConfirmations: confirmations,
    finality: 'depth',
    confirmationTiers: options.tiers ?? [],
  } as const;
  const config = testConfig({
    payments: { ...defaults.payments, ...options.payments },
    chains: {
      bsc: testChain('bsc', depth),
      ethereum: testChain('ethereum', depth),
    },
  });
  const merchantId = await addShop('Shop', options.addresses ?? 3, 0);

  async function addShop(name: string, addresses: number, first: number): Promise<string> {
    const { id } = await inTransaction(db, (trx) => addMerchant(trx, { name, at: now }));
    const rows = (['bsc', 'ethereum'] as const).flatMap((network, n) =>
      Array.from({ length: addresses }, (_, i) => ({
        network,
        address: evmAddress(first + i + (options.shared ? 0 : n * 1_000)),
        currency: '',
        label: '',
      })),
    );
    const { refused } = await checkAndAddAddresses(
      { db, config, clock },
      { merchantId: id, rows, actor: 'cli' },
    );
    if (refused > 0) throw new Error('a shop without its addresses');
    return id;
  }

  const creator = createPayments({
    db,
    config,
    clock,
    timeOf: testTime,
    rates: {
      usdPer: testUsdPer,
      quote: () => ({ usdPerCoin: parityRate, sources: ['fixed'], fetchedAt: now }),
    },
    pools: { afterLock: () => {}, afterRefusal: () => {}, settled: async () => {} },
    wake: () => {},
    ...(options.lostCommits === undefined ? {} : { lostCommits: options.lostCommits }),
  });
  const chains = { bsc: createPaperChain('bsc', clock), ethereum: createPaperChain('ethereum', clock) };
  const watch = createWatchlist('evm', {
    afterMs: config.payments.watchRetiredDays * 24 * 60 * 60 * 1000,
    clock,
  });
  const watchers = (['bsc', 'ethereum'] as const).map((network) =>
    createWatcher({
      db,
      chain: config.chains[network] ?? testChain(network),
      source: chains[network].source,
      watch,
      latePolicy: config.payments.late,
      clock,
      timeOf: testTime,
      log: silentLog,
      onEvents: () => {},
    }),
  );
  const operator = { db, clock };
  const signal = new AbortController().signal;

  /** Lets the watchers read on until nothing is left to do. */
  async function read(): Promise<void> {
    for (const watcher of watchers) {
      let quiet = 0;
      for (let steps = 0; quiet < 2; steps++) {
        if (steps > 500) throw new Error('a watcher that never comes to rest');
        quiet = (await watcher.step(signal)).kind === 'unmoved' ? quiet + 1 : 0;
      }
    }
  }

  /** One look of each watcher: it learns of a head whose blocks it has not read. */
  async function look(): Promise<void> {
    for (const watcher of watchers) await watcher.step(signal);
  }

  async function tryCreate(request: {
    network?: ShopNetwork;
    currency?: Currency;
    cents?: number;
    merchant?: string;
  }): Promise<CreateOutcome> {
    return creator.create({
      merchantId: request.merchant ?? merchantId,
      network: request.network ?? 'bsc',
      currency: request.currency ?? 'usdt',
      amountUsdCents: request.cents ?? 5_000,
      externalOrderId: '',
      customerEmail: '',
      redirectUrl: '',
      metadata: {},
      idempotency: null,
    });
  }

  async function find(payment: OnchainPayment): Promise<OnchainView> {
    const view = await findPayment(db, payment.merchantId, payment.paymentNumber);
    if (view?.kind !== 'onchain') throw new Error('the payment vanished');
    return view;
  }

  /** A payment with all its deposits, those that the chain took back too. */
  async function viewOf(of: OnchainPayment): Promise<{ payment: OnchainPayment; deposits: Deposit[] }> {
    const { payment } = await find(of);
    return { payment, deposits: await listDepositsOfPayment(db, payment.id) };
  }

  function assetOf(network: ShopNetwork, currency: Currency) {
    const asset = config.chains[network]?.assets.find((candidate) => candidate.currency === currency);
    if (asset === undefined) throw new Error(`no ${currency} on ${network}`);
    return asset;
  }

  await read();

  return {
    db,
    config,
    /** What makes payments. */
    creator,
    merchantId,
    chains,
    clock,
    read,
    look,
    tryCreate,
    viewOf,
    addShop,
    assetOf,
    /** The last address of the BSC pool: the last to be given to a payment. */
    unusedAddress: () => evmAddress((options.addresses ?? 3) - 1),
    heightOf(txHash: string): number {
      const transfers = Object.values(chains).flatMap((chain) => chain.transfers());
      return transfers.find((transfer) => transfer.txHash === txHash)?.block.height ?? Number.NaN;
    },
    /** Creates a payment of 50 US dollars. */
    async create(request: Parameters<typeof tryCreate>[0] = {}): Promise<OnchainPayment> {
      const outcome = await tryCreate(request);
      if (outcome.outcome !== 'created') throw new Error(`not created: ${outcome.outcome}`);
      return outcome.view.payment;
    },
    /** Lets time pass for everybody, and each chain make a block at the end of it. */
    passTime(seconds: number): void {
      now += seconds * 1000;
      for (const chain of Object.values(chains)) chain.mine();
    },
    /** Mines a transfer of `amount` (in whole coins) to a payment's address, a second after the last one. */
    pay(
      payment: Pick<OnchainPayment, 'network' | 'currency' | 'address'>,
      amount: number,
      other: { network?: ShopNetwork; currency?: Currency } = {},
    ): TxHash {
      sent += 1;
      now += 1_000;
      const network = other.network ?? (payment.network as ShopNetwork);
      const asset = assetOf(network, other.currency ?? payment.currency);
      const txHash = paperHash(`transaction ${sent}`);
      chains[network].mine([
        {
          txHash,
          token: asset.token,
          currency: asset.currency,
          recipient: keyOfHex(payment.address),
          ordinal: 0,
          amount: BigInt(Math.round(amount * 1e6)) * 10n ** BigInt(asset.decimals - 6),
        },
      ]);
      return txHash;
    },
    /** Makes what was mined so far deep enough to be confirmed, and reads it. */
    async confirmAll(): Promise<void> {
      for (const chain of Object.values(chains)) for (let n = 0; n < confirmations; n++) chain.mine();
      await read();
    },
    mine(network: ShopNetwork, blocks = 1): void {
      for (let n = 0; n < blocks; n++) chains[network].mine();
    },
    async show(payment: OnchainPayment): Promise<PresentedPayment> {
      return presentPayment(await find(payment), config.publicUrl);
    },
    /** `status reason`, such as `failed underpaid`. */
    async state(payment: OnchainPayment): Promise<string> {
      const { payment: now } = await viewOf(payment);
      return [now.status, now.reason].filter((word) => word !== null).join(' ');
    },
    /** The types of a payment's events, in order. */
    async events(payment: OnchainPayment): Promise<string[]> {
      const all = await listEvents(db, payment.merchantId, 0, 1_000);
      return all.filter((event) => event.body.includes(payment.paymentNumber)).map((event) => event.type);
    },
    async eventsWithBodies(payment: OnchainPayment) {
      const all = await listEvents(db, payment.merchantId, 0, 1_000);
      return all
        .filter((event) => event.body.includes(payment.paymentNumber))
        .map(({ type, body }) => ({ type, body: JSON.parse(body) as Record<string, unknown> }));
    },
    async eventBodies(type: string, merchant = merchantId): Promise<Record<string, unknown>[]> {
      const all = await listEvents(db, merchant, 0, 1_000);
      return all
        .filter((event) => event.type === type)
        .map((event) => JSON.parse(event.body) as Record<string, unknown>);
    },
    async unmatched() {
      return (await listDeposits(db, { role: 'unmatched', limit: 100 })).deposits;
    },
    /** Retires an address, on one network or all, or makes it active again. */
    async setRetired(address: string, retired: boolean, network: ShopNetwork | null = null): Promise<void> {
      const listed = await listAddresses(db, { merchantId, network, afterId: 0, limit: 1_000 });
      for (const { id } of listed.filter((one) => one.address === address)) {
        await setRetired({ db, clock }, { merchantId, addressId: id, retired, actor: 'admin' });
      }
    },
    watches: (address: string) => watch.has(keyOfHex(address)),
    cancel: (payment: OnchainPayment) =>
      cancelPayment(operator, { merchantId: payment.merchantId, paymentNumber: payment.paymentNumber }),
    accept: (payment: Pick<OnchainPayment, 'paymentNumber'>, reason = 'good customer') =>
      acceptPayment(operator, { paymentNumber: payment.paymentNumber, reason, actor: 'admin' }),
    attach: (
      depositId: number,
      payment: Pick<OnchainPayment, 'paymentNumber'>,
      reason = 'it was meant for this',
    ) =>
      attachDeposit(operator, {
        depositId,
        paymentNumber: payment.paymentNumber,
        reason,
        actor: 'admin',
      }),
  };
}

export type Shop = Awaited<ReturnType<typeof openShop>>;
export type { PaperChain };
