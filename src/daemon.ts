import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createFacts } from './alerts/facts.ts';
import { type Alerts, alertEveryMs, createAlerts } from './alerts/run.ts';
import { createAlertsOutbound, createWay } from './alerts/ways.ts';
import { createApi } from './api/http/server.ts';
import { type Clock, within } from './clock.ts';
import type { Config } from './config.ts';
import { formatRate } from './core/money.ts';
import type { ChainFamily, Network } from './core/networks.ts';
import type { VerifySent } from './core/refund-record.ts';
import { CommandError, reasonOf } from './errors.ts';
import type { Logger } from './log.ts';
import { type LoopOptions, runLoop } from './loop.ts';
import { createMetrics, type Metrics, type RecheckFinding } from './metrics.ts';
import { createSandboxNodes } from './nodes/sandbox.ts';
import { createNotifier, type Notifier } from './notify/deliver.ts';
import { openSecrets, type Secrets } from './notify/secrets.ts';
import { createOutbound } from './outbound.ts';
import { checkRefunds } from './payments/check-refunds.ts';
import { createPayments } from './payments/create.ts';
import { expireSessions } from './payments/sessions.ts';
import { createPoolHealth } from './pool/health.ts';
import { openProviders } from './providers/open.ts';
import { coinsOf, createRates, type RatesService } from './rates/create.ts';
import { createRateMetrics } from './rates/metrics.ts';
import { isClockWrong } from './storage/chains/clock.ts';
import { databaseTime, inTransaction, isPostgres, openDatabase } from './storage/database.ts';
import { createDatabaseClock } from './storage/database-clock.ts';
import { heartbeatMs, type NotedPrice, noteDaemon, noteDaemonStopped } from './storage/operators/daemons.ts';
import { hasPaymentOf } from './storage/payments/payments.ts';
import { forgetOnce, refreshStatistics } from './storage/retention.ts';
import type { Db } from './storage/schema.ts';
import { claimDaemon } from './storage/webhooks/claim.ts';
import { findSealedSecret } from './storage/webhooks/endpoints.ts';
import { makeFirstLink } from './users/accounts.ts';
import { firstLinkPath, onThisMachine } from './users/links.ts';
import { programVersion } from './version.ts';
import { type ChainWatch, watchChain } from './watchers/chain.ts';
import { createCodeLook } from './watchers/code-look.ts';
import { chainsToWatch } from './watchers/retired-assets.ts';
import { unwatched } from './watchers/sent-transfer.ts';
import { createWatchlist, type TableWatchlist, usedLatelyMs } from './watchers/watchlist.ts';

export type Daemon = {
  address: { host: string; port: number };
  /** Resolves once each chain was read for the first time since the start. */
  chainsRead: Promise<unknown>;
  /** Where the first operator is made, for a quarter of an hour; null where there is one. */
  firstLink: string | null;
  /** Lets running steps and deliveries end, then closes everything. May be called again. */
  stop(): Promise<void>;
};

/** `clock`: instead of the database's. */
export type DaemonOptions = { log: Logger; clock?: Clock };

/** What was opened is closed in reverse, also when the start fails halfway. */
type Closers = (() => Promise<void> | void)[];

const hourMs = 60 * 60 * 1000;

/** How long the start, and a payment made right after it, wait for the first reading of a chain, ms. */
export const firstReadMs = 5_000;

/** Between two looks for what may be forgotten, and between two batches of it: others have their turn, ms. */
const forgetEveryMs = 10 * 60 * 1000;
const forgetAgainMs = 100;

/** Between two looks for checkout sessions whose time is over, ms. */
const expireEveryMs = 5_000;

/** Between two looks for refunds that operators wrote down, ms. */
const refundsEveryMs = 2_000;

/** How far the time of this process may drift from the database's is what it drifts in this, ms. */
const clockEveryMs = 10_000;

/** How long the start waits for the first prices, ms. */
const firstRatesMs = 1_000;

/**
 * Builds every part in order and starts the loops: the only place where parts are wired together.
 *
 * @throws CommandError when the database or the port cannot be had.
 */
export async function startDaemon(config: Config, { log, clock }: DaemonOptions): Promise<Daemon> {
  const closers: Closers = [];
  async function closeAll(): Promise<void> {
    for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
  }
  try {
    const started = await start(config, log, clock, closers);
    let stopped: Promise<void> | null = null;
    return {
      ...started,
      stop: () => {
        stopped ??= closeAll();
        return stopped;
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function start(
  config: Config,
  log: Logger,
  ownClock: Clock | undefined,
  closers: Closers,
): Promise<Omit<Daemon, 'stop'>> {
  const claim = await claimDaemon(config.database);
  closers.push(() => claim.release());
  const db = await openDatabase(config.database);
  closers.push(() => db.destroy());
  await refuseOtherMoney(db, config);
  const time = await createDatabaseClock(db);
  const clock = ownClock ?? time.clock;
  const { dataFolder } = config;
  const { secretKey } = config.webhooks;
  const secrets = openSecrets({ dataFolder, secretKey }, await findSealedSecret(db));
  const watches = new Map<Network, ChainWatch>();
  const nodesOf = (network: Network) => watches.get(network)?.endpoints() ?? [];
  const metrics = createMetrics({ db, config, clock, nodesOf });
  const keep = <T>(options: Omit<LoopOptions<T>, 'log' | 'failed'>) => {
    const loop = runLoop({ ...options, log, failed: metrics.loopFailed });
    closers.push(() => loop.stop());
  };

  const chains = await chainsToWatch(db, config, { now: clock(), log });
  const rates = createRates({ config: config.rates, coins: coinsOf(config.chains), clock, log });
  closers.push(() => rates.close());
  createRateMetrics(metrics.registry, rates);
  // Whoever asks right after "ready" should get a price; sources that are slow are asked again by the loop.
  await rates.refresh(AbortSignal.timeout(firstRatesMs));
  keep({ name: 'rates', step: rates.refresh, delay: () => rates.intervalMs });
  const { eventRetentionDays, retentionDays } = config.webhooks;
  const eventRetentionMs = Math.max(eventRetentionDays, retentionDays) * 24 * hourMs;
  const forget = () => forgetOnce(db, { now: clock(), eventRetentionMs });
  keep({ name: 'upkeep', step: forget, delay: (more) => (more ? forgetAgainMs : forgetEveryMs) });
  const expire = () => expireSessions({ db, clock });
  keep({ name: 'checkout sessions', step: expire, delay: ({ more }) => (more ? 0 : expireEveryMs) });
  keep({ name: 'clock', step: time.sync, delay: () => clockEveryMs });
  keep({ name: 'statistics', step: () => refreshStatistics(db), delay: () => 24 * hourMs });

  const id = randomUUID();
  const live = () => {
    const beat = { id, version: programVersion(), prices: pricesOf(rates) };
    return inTransaction(db, (trx) => noteDaemon(trx, beat, { clock }));
  };
  await live();
  closers.push(() => inTransaction(db, (trx) => noteDaemonStopped(trx, id, { clock })).catch(() => {}));
  keep({ name: 'heartbeat', step: live, delay: () => heartbeatMs });

  const notifier = startNotifier(config, { db, secrets, metrics, clock, log }, closers);
  const onEvents = () => notifier.wake();

  const alerts = startAlerts(config, { db, rates, holder: id, clock, log }, closers);
  closers.push(() => alerts.stop());
  keep({ name: 'alerts', step: alerts.step, delay: () => alertEveryMs });
  const found = (network: Network, finding: RecheckFinding) => {
    metrics.recheckFound(network, finding);
    const text = `${network}: reading again showed a transfer that was ${finding}`;
    alerts.note({ name: 'recheck_finding', subject: `${network} ${finding}`, text });
  };

  // One list for all chains of a family: the same key holds an address on each of them.
  const afterMs = config.payments.watchRetiredDays * 24 * hourMs;
  const latelyMs = Math.max(usedLatelyMs, config.payments.quarantineSeconds * 1000);
  const watchlists = new Map<ChainFamily, TableWatchlist>();
  const watchlistOf = (family: ChainFamily) => {
    const watch = watchlists.get(family) ?? createWatchlist(family, { afterMs, clock }, latelyMs);
    watchlists.set(family, watch);
    return watch;
  };
  const policy = { latePolicy: config.payments.late };
  for (const chain of chains) {
    const chainWatch = watchChain({
      db,
      chain,
      watch: watchlistOf(chain.family),
      ...policy,
      clock,
      log,
      onEvents,
      found,
      failed: metrics.loopFailed,
    });
    closers.push(() => chainWatch.stop());
    watches.set(chain.network, chainWatch);
  }

  const verify: VerifySent = async (network, transfer, signal) =>
    (await watches.get(network)?.verifySent(transfer, signal)) ?? unwatched(network);
  const refunds = (signal: AbortSignal) => checkRefunds({ db, clock, verify }, signal);
  keep({ name: 'refunds', step: refunds, delay: () => refundsEveryMs });

  const pools = createPoolHealth({
    db,
    clock,
    log,
    policy: config.payments,
    chains: config.chains,
    onEvents,
  });
  closers.push(() => pools.settled());
  const wake = (network: Network) => watches.get(network)?.wake();
  const untilRead = async (network: Network) => {
    const watch = watches.get(network);
    if (watch === undefined || (await within(watch.firstRead, 0))) return false;
    return within(watch.firstRead, firstReadMs);
  };
  const payments = createPayments({ db, config, rates, pools, clock, wake, untilRead });

  const providers = await openProviders({
    db,
    config,
    secrets,
    userAgent: `depositd/${programVersion()}`,
    clock,
    log,
    onEvents,
    failed: metrics.loopFailed,
  });
  closers.push(() => providers.stop());
  providers.start();

  const sandbox = config.sandbox ? createSandboxNodes(Object.values(config.chains), clock) : null;
  if (sandbox !== null) closers.push(sandbox.close);

  let stopping = false;
  const api = await createApi({
    db,
    config,
    clock,
    log,
    rates,
    rateStatus: rates.status,
    payments,
    providers: providers.desk,
    registry: metrics.registry,
    nodesOf,
    lookUp: (network, request) =>
      watches.get(network)?.lookUp(request) ?? Promise.resolve({ kind: 'unclear' }),
    ...(sandbox === null ? {} : { askNode: sandbox.ask }),
    secrets,
    failed: metrics.loopFailed,
    wakeNotifier: onEvents,
    codeLook: createCodeLook({ config, clock }),
    isStopping: () => stopping,
  });
  closers.push(() => api.close());
  await listen(api, config.listen);
  closers.push(() => {
    stopping = true;
  });
  const { port } = api.server.address() as AddressInfo;
  const chainsRead = Promise.all([...watches.values()].map(({ firstRead }) => firstRead));
  const address = { host: config.listen.host, port };
  // Without an operator nobody can sign in.
  const first = config.dashboard ? await makeFirstLink({ db, clock }) : null;
  const firstLink = first === null ? null : onThisMachine(address, firstLinkPath(first));
  return { address, chainsRead, firstLink };
}

/** What is worth something and what is not never stand in one database. */
async function refuseOtherMoney(db: Db, { sandbox }: Pick<Config, 'sandbox'>): Promise<void> {
  if (!(await hasPaymentOf(db, { livemode: sandbox }))) return;
  throw new CommandError(
    sandbox
      ? 'the database holds live payments, and "sandbox" is true in the configuration; give the sandbox a database of its own'
      : 'the database holds payments of a sandbox; give the live service a database of its own, or set "sandbox": true',
  );
}

function pricesOf(rates: RatesService): NotedPrice[] {
  return rates.status().coins.map(({ coin, quote, reason }) => ({
    coin,
    usd: quote === null ? null : formatRate(quote.usdPerCoin),
    sources: quote?.sources ?? [],
    reason,
  }));
}

function startAlerts(
  config: Config,
  parts: { db: Db; rates: RatesService; holder: string; clock: Clock; log: Logger },
  closers: Closers,
): Alerts {
  const { db, clock, rates } = parts;
  const outbound = createAlertsOutbound(config.alerts, `depositd/${programVersion()}`);
  closers.push(() => outbound.close());
  const ways = config.alerts.to.map((way) => createWay(way, outbound));
  const facts = createFacts({ db, config, clock, timeOf: databaseTime, rates });
  return createAlerts({ ...parts, config, ways, facts });
}

function startNotifier(
  config: Config,
  parts: { db: Db; secrets: Secrets; metrics: Metrics; clock: Clock; log: Logger },
  closers: Closers,
): Notifier {
  const outbound = createOutbound({
    allowHosts: config.webhooks.allowHosts,
    userAgent: `depositd/${programVersion()}`,
  });
  closers.push(() => outbound.close());
  const { db, secrets, metrics, clock, log } = parts;
  const notifier = createNotifier({
    db,
    outbound,
    secrets,
    livemode: !config.sandbox,
    headerPrefix: config.webhooks.headerPrefix,
    clock,
    log,
    exclusive: !isPostgres(db),
    retentionMs: config.webhooks.retentionDays * 24 * hourMs,
    replayOnRecovery: config.webhooks.replayOnRecovery,
    isClockKnownWrong: () => isClockWrong(db, clock),
    observe: ({ verdict, record, eventAt }) => {
      metrics.attemptEnded(verdict.kind, record.durationMs);
      if (verdict.kind === 'delivered' && eventAt !== null)
        metrics.eventDelivered(record.startedAt + record.durationMs - eventAt);
    },
    gaveUp: metrics.deliveryGivenUp,
  });
  notifier.start();
  closers.push(() => notifier.stop());
  return notifier;
}

async function listen(
  api: { listen(options: { host: string; port: number }): Promise<string> },
  { host, port }: Config['listen'],
): Promise<void> {
  try {
    await api.listen({ host, port });
  } catch (error) {
    throw new CommandError(
      `cannot listen on ${host}:${port} ("listen" in the configuration): ${reasonOf(error)}`,
      { cause: error },
    );
  }
}
