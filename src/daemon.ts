import type { AddressInfo } from 'node:net';
import { alertEveryMs } from './alerts/run.ts';
import { createHealthServer } from './api/http/health-server.ts';
import { createRequestMetrics } from './api/http/metrics.ts';
import { type ApiDeps, createApi } from './api/http/server.ts';
import type { Api } from './api/routes.ts';
import { type Clock, within } from './clock.ts';
import { fingerprintOf } from './config/fingerprint.ts';
import type { Config, Listen } from './config.ts';
import { formatRate } from './core/money.ts';
import type { ChainFamily, Network } from './core/networks.ts';
import type { VerifySent } from './core/refund-record.ts';
import { everyRole, hasEveryRole, type Role } from './core/roles.ts';
import { type Closers, openAlerts, openNotifier, openOwnDatabase, openRates } from './daemon-parts.ts';
import { CommandError, reasonOf } from './errors.ts';
import { createHeartbeat } from './heartbeat.ts';
import type { Logger } from './log.ts';
import { type LoopOptions, runLoop } from './loop.ts';
import { createMetrics, type RecheckFinding } from './metrics.ts';
import { createSandboxNodes } from './nodes/sandbox.ts';
import { measureWaiting, measureWaitingEveryMs } from './notify/measure.ts';
import { openSecrets } from './notify/secrets.ts';
import { checkRefunds } from './payments/check-refunds.ts';
import { createPayments } from './payments/create.ts';
import { checkCommitsEveryMs, openLostCommits } from './payments/lost-commits.ts';
import { expireSessions } from './payments/sessions.ts';
import { deriveAhead, deriveAheadEveryMs } from './pool/derive-ahead.ts';
import { createPoolHealth } from './pool/health.ts';
import { createPoolMeasuring, measurePoolsEveryMs } from './pool/measure.ts';
import { openProviders } from './providers/open.ts';
import type { RatesService } from './rates/create.ts';
import { createSignals } from './signals.ts';
import { isClockConfirmed } from './storage/chains/clock.ts';
import { createDatabaseClock } from './storage/database-clock.ts';
import { heartbeatMs, type NotedPrice } from './storage/operators/daemons.ts';
import { forgetOnce } from './storage/retention.ts';
import { findSealedSecret } from './storage/webhooks/endpoints.ts';
import { makeFirstLink } from './users/accounts.ts';
import { firstLinkPath, onThisMachine } from './users/links.ts';
import { programVersion } from './version.ts';
import { type ChainWatch, watchChain } from './watchers/chain.ts';
import { createCodeLook } from './watchers/code-look.ts';
import { observeChain } from './watchers/observe.ts';
import { chainsToWatch } from './watchers/retired-assets.ts';
import { unwatched } from './watchers/sent-transfer.ts';
import { createWatchlist, type TableWatchlist, usedLatelyMs } from './watchers/watchlist.ts';

export type Daemon = {
  address: { host: string; port: number };
  /** Resolves once each chain was read for the first time since the start. */
  chainsRead: Promise<unknown>;
  /** Where the first operator is made, for a quarter of an hour; null where there is one. */
  firstLink: string | null;
  /** Resolves with the reason when a newer version has changed the database so that this one must end. */
  outdated: Promise<string>;
  /** Lets running steps and deliveries end, then closes everything. May be called again. */
  stop(): Promise<void>;
};

/** `clock`: instead of the database's. `roles`: what this process does; by default everything. */
export type DaemonOptions = { log: Logger; clock?: Clock; roles?: ReadonlySet<Role> };

const hourMs = 60 * 60 * 1000;

/** How long the start, and a payment made right after it, wait for the first reading of a chain, ms. */
export const firstReadMs = 5_000;

/** Between two looks for what may be forgotten, and between two batches of it: others have their turn, ms. */
const forgetEveryMs = 10 * 60 * 1000;
const forgetAgainMs = 100;
/** Until a chain has shown what time it is, ms. */
const unconfirmedMs = 60 * 1000;

/** Between two looks for checkout sessions whose time is over, ms. */
const expireEveryMs = 5_000;

/** Between two looks for refunds that operators wrote down, ms. */
const refundsEveryMs = 2_000;

/** How far the time of this process may drift from the database's is what it drifts in this, ms. */
const clockEveryMs = 10_000;

/**
 * Builds every part in order and starts the loops: the only place where parts are wired together.
 *
 * @throws CommandError when the database or the port cannot be had.
 */
export async function startDaemon(config: Config, options: DaemonOptions): Promise<Daemon> {
  const closers: Closers = [];
  async function closeAll(): Promise<void> {
    for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
  }
  try {
    const started = await start(config, options, closers);
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
  { log, clock: ownClock, roles = new Set(everyRole) }: DaemonOptions,
  closers: Closers,
): Promise<Omit<Daemon, 'stop'>> {
  if (config.database.startsWith('sqlite:') && !hasEveryRole(roles))
    throw new CommandError(
      'a SQLite database belongs to one process, which has every role; leave out --roles, or take PostgreSQL ("depositd copy")',
    );
  const db = await openOwnDatabase(config, log, closers);
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

  const needsChains = roles.has('watch') || roles.has('api');
  const chains = needsChains ? await chainsToWatch(db, config, { now: clock(), log }) : [];
  const rates = roles.has('api') ? await openRates(config, { metrics, clock, log }, closers) : null;
  if (rates !== null) keep({ name: 'rates', step: rates.refresh, delay: () => rates.intervalMs });
  const { eventRetentionDays, retentionDays } = config.webhooks;
  const eventRetentionMs = Math.max(eventRetentionDays, retentionDays) * 24 * hourMs;
  const forget = async () => {
    if (!(await isClockConfirmed(db, clock, Object.keys(config.chains)))) return unconfirmedMs;
    const more = await forgetOnce(db, { now: clock(), eventRetentionMs });
    return more ? forgetAgainMs : forgetEveryMs;
  };
  keep({ name: 'upkeep', step: forget, delay: (pauseMs) => pauseMs });
  const expire = () => expireSessions({ db, clock });
  keep({ name: 'checkout sessions', step: expire, delay: ({ more }) => (more ? 0 : expireEveryMs) });
  keep({ name: 'clock', step: time.sync, delay: () => clockEveryMs });

  const configuration = fingerprintOf(config);
  const prices = () => (rates === null ? [] : pricesOf(rates));
  const outdated = Promise.withResolvers<string>();
  const heartbeat = createHeartbeat({
    db,
    roles,
    configuration,
    prices,
    clock,
    log,
    outdated: outdated.resolve,
  });
  await heartbeat.step();
  closers.push(heartbeat.stop);
  keep({ name: 'heartbeat', step: heartbeat.step, delay: () => heartbeatMs });

  const notifier = openNotifier(config, { db, secrets, metrics, clock, log }, closers);
  if (roles.has('notify')) {
    notifier.start();
    const measure = () => measureWaiting({ db, clock });
    keep({ name: 'webhook measurements', step: measure, delay: () => measureWaitingEveryMs });
  }
  const signals = createSignals({
    db,
    url: config.databaseDirect ?? config.database,
    log,
    on: (signal) => {
      // A process of another version may signal what we do not know.
      const [what, name = ''] = signal.split(' ');
      if (what === 'events') notifier.wake();
      else if (what === 'payment') watches.get(name as Network)?.wake();
      else if (what === 'rescan') watches.get(name as Network)?.wakeRescan();
      else if (what === 'provider') providers.wake(name);
    },
  });
  closers.push(signals.stop);
  const onEvents = () => {
    notifier.wake();
    signals.send('events');
  };

  const alerts = openAlerts(config, { db, rates, holder: heartbeat.id, clock, log }, closers);
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
  const wentBack = () => {
    for (const watch of watchlists.values()) watch.startOver();
  };
  const lostCommits = await openLostCommits({ db, config, clock, log, wentBack });
  keep({ name: 'lost commits', step: lostCommits.step, delay: () => checkCommitsEveryMs });
  const ahead = (signal: AbortSignal) => deriveAhead(db, config.chains, clock(), signal);
  keep({ name: 'derive ahead', step: ahead, delay: () => deriveAheadEveryMs, limitMs: null });
  const policy = { latePolicy: config.payments.late };
  for (const chain of chains) {
    const chainWatch = (roles.has('watch') ? watchChain : observeChain)({
      db,
      chain,
      watch: watchlistOf(chain.family),
      ...policy,
      clock,
      log,
      onEvents,
      found,
      holder: heartbeat.id,
      failed: metrics.loopFailed,
    });
    closers.push(() => chainWatch.stop());
    watches.set(chain.network, chainWatch);
  }

  const verify: VerifySent = async (network, transfer, signal) =>
    (await watches.get(network)?.verifySent(transfer, signal)) ?? unwatched(network);
  const refunds = (signal: AbortSignal) => checkRefunds({ db, clock, verify }, signal);
  if (roles.has('watch')) keep({ name: 'refunds', step: refunds, delay: () => refundsEveryMs });

  const wake = (network: Network) => {
    watches.get(network)?.wake();
    signals.send(`payment ${network}`);
  };
  const rescanAsked = (network: Network) => {
    watches.get(network)?.wakeRescan();
    signals.send(`rescan ${network}`);
  };
  const untilRead = async (network: Network) => {
    const watch = watches.get(network);
    if (watch === undefined || (await within(watch.firstRead, 0))) return false;
    return within(watch.firstRead, firstReadMs);
  };
  const providers = await openProviders({
    db,
    config,
    secrets,
    userAgent: `depositd/${programVersion()}`,
    clock,
    log,
    onEvents,
    woken: (name) => signals.send(`provider ${name}`),
    failed: metrics.loopFailed,
  });
  closers.push(() => providers.stop());
  if (roles.has('providers')) providers.start();
  signals.start();

  const sandbox = config.sandbox ? createSandboxNodes(Object.values(config.chains), clock) : null;
  if (sandbox !== null) closers.push(sandbox.close);

  let stopping = false;
  const isStopping = () => stopping;
  const { registry, loopFailed: failed } = metrics;
  const health = { db, config, clock, log, registry, rates, isStopping };
  const createServers = async (): Promise<Server[]> => {
    const everywhere = { at: config.listen, setting: 'listen' };
    if (rates === null) return [{ ...everywhere, api: await createHealthServer(health) }];
    const pools = createPoolHealth({
      db,
      clock,
      log,
      policy: config.payments,
      chains: config.chains,
      onEvents,
    });
    closers.push(() => pools.settled());
    const measurePools = createPoolMeasuring({ db, policy: config.payments, clock });
    keep({ name: 'pool measurements', step: measurePools, delay: () => measurePoolsEveryMs });
    const apiDeps: ApiDeps = {
      ...health,
      rates,
      rateStatus: rates.status,
      payments: createPayments({ db, config, rates, pools, clock, wake, untilRead, lostCommits }),
      providers: providers.desk,
      nodesOf,
      rescanAsked,
      lookUp: (network, request) =>
        watches.get(network)?.lookUp(request) ?? Promise.resolve({ kind: 'unclear' }),
      ...(sandbox === null ? {} : { askNode: sandbox.ask }),
      secrets,
      failed,
      wakeNotifier: onEvents,
      codeLook: createCodeLook({ config, clock, meterOf: (network) => watches.get(network)?.meter }),
    };
    if (typeof config.dashboard !== 'object') return [{ ...everywhere, api: await createApi(apiDeps) }];
    const requests = createRequestMetrics(registry);
    const elsewhere = { at: config.dashboard.listen, setting: 'dashboard.listen' };
    return [
      { ...everywhere, api: await createApi(apiDeps, { audience: 'customers', requests }) },
      { ...elsewhere, api: await createApi(apiDeps, { audience: 'operators', requests }) },
    ];
  };
  const servers = await createServers();
  const addresses: Listen[] = [];
  for (const server of servers) {
    closers.push(() => server.api.close());
    addresses.push(await listen(server));
  }
  closers.push(() => {
    stopping = true;
  });
  const [address, operators = address] = addresses as [Listen, Listen?];
  const chainsRead = Promise.all([...watches.values()].map(({ firstRead }) => firstRead));
  // Without an operator nobody can sign in.
  const first = config.dashboard && roles.has('api') ? await makeFirstLink({ db, clock }) : null;
  const firstLink = first === null ? null : onThisMachine(operators, firstLinkPath(first));
  return { address, chainsRead, firstLink, outdated: outdated.promise };
}

function pricesOf(rates: RatesService): NotedPrice[] {
  return rates.status().coins.map(({ coin, quote, reason }) => ({
    coin,
    usd: quote === null ? null : formatRate(quote.usdPerCoin),
    sources: quote?.sources ?? [],
    reason,
  }));
}

/** What listens, and which setting says where. */
type Server = { api: Api; at: Listen; setting: string };

/** Returns where it does, now that a free port was picked for 0. */
async function listen({ api, at: { host, port }, setting }: Server): Promise<Listen> {
  try {
    await api.listen({ host, port });
  } catch (error) {
    throw new CommandError(
      `cannot listen on ${host}:${port} ("${setting}" in the configuration): ${reasonOf(error)}`,
      { cause: error },
    );
  }
  return { host, port: (api.server.address() as AddressInfo).port };
}
