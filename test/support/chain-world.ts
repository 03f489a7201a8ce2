import type { Clock } from '../../src/clock.ts';
import type { ChainConfig, PaymentPolicy } from '../../src/config.ts';
import type { Currency } from '../../src/core/assets.ts';
import type { Network } from '../../src/core/networks.ts';
import type { Deposit, OnchainPayment, OnchainView } from '../../src/core/payment.ts';
import type { Logger } from '../../src/log.ts';
import type { RecheckFinding } from '../../src/metrics.ts';
import { type CancelOutcome, cancelPayment } from '../../src/payments/cancel.ts';
import { type CreateOutcome, createPayments } from '../../src/payments/create.ts';
import { findPayment } from '../../src/storage/payments/views.ts';
import type { Db } from '../../src/storage/schema.ts';
import { listEvents } from '../../src/storage/webhooks/events.ts';
import { createRecheck, type Recheck, type RecheckOutcome } from '../../src/watchers/recheck/recheck.ts';
import type { ChainSource } from '../../src/watchers/source.ts';
import {
  createWatcher,
  type StepOutcome,
  type Watcher,
  type WatcherDeps,
} from '../../src/watchers/watcher.ts';
import { createWatchlist } from '../../src/watchers/watchlist.ts';
import { evmKey } from './addresses.ts';
import { testChain, testConfig } from './config.ts';
import { listDepositsOfPayment } from './deposits.ts';
import { captureLog } from './log.ts';
import { addTestAddresses, addTestMerchant, createdAt, testRates, testTime, tokenKey } from './payments.ts';
import {
  createScriptedChain,
  type ScriptedChain,
  type ScriptedChainOptions,
  type ScriptedTransfer,
} from './scripted-chain.ts';
import { createSimulatedTronChain } from './tron/simulated-chain.ts';
import { simulatedTron } from './tron/source.ts';

export type WorldOptions = {
  network?: Network;
  chain?: Partial<ChainConfig>;
  /** What the configuration of the process that watches says instead. */
  watched?: Partial<ChainConfig>;
  scripted?: Partial<ScriptedChainOptions>;
  policy?: Partial<PaymentPolicy>;
  /** Addresses of the pool, `evmAddress(1)` and following. Default 3. */
  addresses?: number;
  /** What the watcher works on; by default the same as everybody else. */
  watcherDb?: Db;
  /** Opens the source that the watcher reads, anew after each restart; by default the chain's own. */
  openSource?: (chain: ScriptedChain, deps: SourceDeps) => ChainSource;
  /** Watch a chain in a database where all the rest is there already. */
  beside?: { merchantId: string };
};

export type SourceDeps = { chain: ChainConfig; clock: Clock; log: Logger };

export type World = Awaited<ReturnType<typeof openWorld>>;

/**
 * A merchant with a pool on a scripted chain (one block every 10 seconds, 3 confirmations, payments live a
 * minute) and a real watcher on a real database. Time passes only when the test says so.
 */
export async function openWorld(db: Db, options: WorldOptions = {}) {
  const network = options.network ?? 'bsc';
  let now = createdAt;
  const clock = () => now;
  const chain: ScriptedChain =
    network === 'tron'
      ? createSimulatedTronChain({ clock, ...options.scripted })
      : createScriptedChain({ network, clock, ...options.scripted });
  const merchantId = options.beside?.merchantId ?? (await addTestMerchant(db));
  if (options.beside === undefined)
    await addTestAddresses(db, merchantId, { network, count: options.addresses ?? 3 });
  const chainConfig = testChain(network, {
    requiredConfirmations: 3,
    finality: 'depth',
    ...(network === 'tron' ? simulatedTron(chain) : {}),
    ...options.chain,
  });
  const watchedChain = options.watched === undefined ? chainConfig : { ...chainConfig, ...options.watched };
  const policy: PaymentPolicy = {
    lifetimeSeconds: 60,
    quarantineSeconds: 60,
    quarantine: 'soft',
    toleranceBps: 0,
    dustUsdCents: 5,
    late: 'flag',
    requote: true,
    watchRetiredDays: 30,
    derivedLimit: 1000,
    ...options.policy,
  };
  const config = testConfig({ payments: policy, chains: { [network]: chainConfig } });
  const { log, lines } = captureLog();
  const creator = createPayments({
    db,
    config,
    rates: testRates(),
    pools: { afterLock: () => {}, afterRefusal: () => {}, settled: async () => {} },
    clock,
    timeOf: testTime,
    wake: () => {},
  });
  const { signal } = new AbortController();
  const findings: RecheckFinding[] = [];
  const { openSource = ({ source }) => source } = options;
  let source = openSource(chain, { chain: watchedChain, clock, log });
  const closing: Promise<void>[] = [];
  let watcher = newWatcher();
  let recheck = newRecheck();

  function watcherDeps(): WatcherDeps {
    return {
      db: options.watcherDb ?? db,
      chain: watchedChain,
      source,
      watch: createWatchlist(chainConfig.family),
      latePolicy: policy.late,
      clock,
      timeOf: testTime,
      log,
      onEvents: () => {},
      found: (_, finding) => void findings.push(finding),
    };
  }

  function newWatcher(): Watcher {
    return createWatcher(watcherDeps());
  }

  function newRecheck(): Recheck {
    return createRecheck({ ...watcherDeps(), found: (_, finding) => findings.push(finding) });
  }

  const step = (): Promise<StepOutcome> => watcher.step(signal);

  function pass(seconds: number): void {
    now += seconds * 1000;
  }

  /** Ten seconds for each block. */
  function mine(blocks = 1): void {
    for (let i = 0; i < blocks; i++) {
      pass(10);
      chain.mine();
    }
  }

  /** Steps until two of them found nothing to do. A node that fails, and a chain that is stopped, end it too. */
  async function read(): Promise<void> {
    let quiet = 0;
    for (let steps = 0; quiet < 2; steps++) {
      if (steps > 300) throw new Error('a watcher that never comes to rest');
      const { kind } = await step();
      if (kind === 'stopped') return;
      quiet = kind === 'unmoved' || kind === 'failed' ? quiet + 1 : 0;
    }
  }

  /** One window: reads a second time until there is nothing more to read. */
  async function recheckWindow(): Promise<RecheckOutcome['kind']> {
    for (let steps = 0; ; steps++) {
      if (steps > 300) throw new Error('a recheck that never comes to rest');
      const { kind } = await recheck.step(signal);
      if (kind !== 'rechecked' && kind !== 'stale') return kind;
    }
  }

  async function tryCreate(currency: Currency = 'usdt', amountUsdCents = 5000): Promise<CreateOutcome> {
    return creator.create({
      merchantId,
      network,
      currency,
      amountUsdCents,
      externalOrderId: '',
      customerEmail: '',
      redirectUrl: '',
      metadata: {},
      idempotency: null,
    });
  }

  async function view({ paymentNumber }: Pick<OnchainPayment, 'paymentNumber'>): Promise<OnchainView> {
    const found = await findPayment(db, merchantId, paymentNumber);
    if (found?.kind !== 'onchain') throw new Error('the payment vanished');
    return found;
  }

  /** A transfer to a payment's address in its own asset. `parts` of ten of what it asks for. */
  function transferTo(payment: OnchainPayment, tenths = 10): ScriptedTransfer {
    const { token, currency, expectedAmount } = payment;
    const recipient = evmKey(payment.addressId - firstAddressId + 1);
    return { token, currency, recipient, amount: (expectedAmount * BigInt(tenths)) / 10n };
  }

  const rows = await db
    .selectFrom('addresses')
    .select('id')
    .where('network', '=', network)
    .orderBy('id')
    .execute();
  const firstAddressId = rows[0]?.id ?? 0;

  return {
    db,
    network,
    merchantId,
    chain,
    chainConfig,
    policy,
    lines,
    clock,
    pass,
    mine,
    step,
    read,
    recheck: recheckWindow,
    recheckStep: () => recheck.step(signal),
    /** What second readings found, in order. */
    findings,
    tryCreate,
    view,
    transferTo,
    /** Another process that watches the same chain: its steps. */
    secondWatcher(): () => Promise<StepOutcome> {
      const second = newWatcher();
      return () => second.step(signal);
    },
    /** A new watcher that knows nothing but what is stored, as after a restart. */
    restart() {
      if (options.openSource !== undefined) {
        closing.push(source.close());
        source = openSource(chain, { chain: watchedChain, clock, log });
      }
      watcher = newWatcher();
      recheck = newRecheck();
    },
    endpoints: () => source.endpoints(),
    /** Where {@link WorldOptions.openSource} was given. */
    async close(): Promise<void> {
      await Promise.all([...closing, source.close()]);
    },
    async create(currency?: Currency, amountUsdCents?: number): Promise<OnchainPayment> {
      const outcome = await tryCreate(currency, amountUsdCents);
      if (!('view' in outcome)) throw new Error(`not created: ${outcome.outcome}`);
      return outcome.view.payment;
    },
    /** Sends a customer's transaction; it is in the next block. */
    pay: (payment: OnchainPayment, tenths?: number) => chain.send(transferTo(payment, tenths)),
    wrongToken: (payment: OnchainPayment): ScriptedTransfer => ({
      ...transferTo(payment),
      token: tokenKey(network, payment.currency === 'usdc' ? 'usdt' : 'usdc'),
      currency: payment.currency === 'usdc' ? 'usdt' : 'usdc',
    }),
    cancel: ({ paymentNumber }: OnchainPayment): Promise<CancelOutcome> =>
      cancelPayment({ db, clock }, { merchantId, paymentNumber }),
    async status(payment: OnchainPayment) {
      const found = await view(payment);
      return { status: found.payment.status, reason: found.payment.reason };
    },
    deposits: (payment: OnchainPayment): Promise<Deposit[]> => listDepositsOfPayment(db, payment.id),
    /** Types of a payment's events, in their order. */
    async events(payment: OnchainPayment): Promise<string[]> {
      const all = await listEvents(db, merchantId, 0, 10_000);
      return all
        .filter(
          ({ body }) => (JSON.parse(body) as { payment_id: string }).payment_id === payment.paymentNumber,
        )
        .map(({ type }) => type);
    },
  };
}
