import type { AddressInfo } from 'node:net';
import { Registry } from '@prometheus-io/client';
import { createApi } from './api/server.ts';
import { type Clock, systemClock } from './clock.ts';
import type { ChainConfig, Config } from './config.ts';
import type { Network } from './core/networks.ts';
import { CommandError } from './errors.ts';
import type { Logger } from './log.ts';
import { type Loop, runLoop } from './loop.ts';
import { createPayments } from './payments/create.ts';
import { createPoolHealth } from './pool/health.ts';
import { createRates } from './rates/create.ts';
import { claimDaemon } from './storage/claim.ts';
import { inTransaction, openDatabase } from './storage/database.ts';
import { deleteOldIdempotencyKeys } from './storage/idempotency.ts';
import type { Db } from './storage/schema.ts';
import { type ChainWatch, watchChain } from './watchers/chain.ts';
import { createWatchlist } from './watchers/watchlist.ts';

export type Daemon = {
  address: { host: string; port: number };
  /** Lets running steps and deliveries end, then closes everything. May be called again. */
  stop(): Promise<void>;
};

export type DaemonOptions = { log: Logger; clock?: Clock };

/** What was opened is closed in reverse, also when the start fails halfway. */
type Closers = (() => Promise<void> | void)[];

const hourMs = 60 * 60 * 1000;

/**
 * Builds every part in order and starts the loops: the only place where parts are wired together.
 *
 * @throws CommandError when the database or the port cannot be had.
 */
export async function startDaemon(
  config: Config,
  { log, clock = systemClock }: DaemonOptions,
): Promise<Daemon> {
  const closers: Closers = [];
  async function closeAll(): Promise<void> {
    for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
  }
  try {
    const address = await start(config, log, clock, closers);
    let stopped: Promise<void> | null = null;
    return {
      address,
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
  clock: Clock,
  closers: Closers,
): Promise<Daemon['address']> {
  const claim = await claimDaemon(config.database);
  closers.push(() => claim.release());
  const db = await openDatabase(config.database);
  closers.push(() => db.destroy());
  const registry = new Registry();

  const chains = Object.values(config.chains);
  const coins = [...new Set(chains.flatMap((chain) => chain.assets.map((asset) => asset.coin)))];
  const rates = createRates({ config: config.rates, coins, clock, log });
  closers.push(() => rates.close());
  // The first prices are here before the first request, unless every source is slow to fail.
  await rates.refresh(AbortSignal.timeout(hourMs));
  keep(closers, runLoop({ name: 'rates', step: rates.refresh, delay: () => rates.intervalMs, log }));

  const onEvents = () => {};
  keep(closers, startUpkeep(db, clock, log));

  const watches = startWatches(config, { db, clock, log, onEvents }, closers);

  const pools = createPoolHealth({ db, clock, log, onEvents });
  closers.push(() => pools.settled());
  const wake = (network: Network) => watches.get(network)?.wake();
  const payments = createPayments({ db, config, rates, pools, clock, wake });

  let stopping = false;
  const nodesOf = (network: Network) => watches.get(network)?.endpoints() ?? [];
  const api = await createApi({
    db,
    config,
    clock,
    log,
    rates,
    payments,
    registry,
    nodesOf,
    isStopping: () => stopping,
  });
  closers.push(() => api.close());
  await listen(api, config.listen);
  closers.push(() => {
    stopping = true;
  });
  const { port } = api.server.address() as AddressInfo;
  return { host: config.listen.host, port };
}

function keep(closers: Closers, loop: Loop): void {
  closers.push(() => loop.stop());
}

function startWatches(
  config: Config,
  parts: { db: Db; clock: Clock; log: Logger; onEvents: () => void },
  closers: Closers,
): Map<Network, ChainWatch> {
  // One list for all chains of a family: the same key holds an address on each of them.
  const watch = createWatchlist('evm');
  const policy = { latePolicy: config.payments.late, publicUrl: config.publicUrl };
  return new Map(
    Object.values(config.chains).map((chain: ChainConfig) => {
      const chainWatch = watchChain({ ...parts, ...policy, chain, watch });
      closers.push(() => chainWatch.stop());
      return [chain.network, chainWatch] as const;
    }),
  );
}

/** Forgets what nobody asks for any more. */
function startUpkeep(db: Db, clock: Clock, log: Logger): Loop {
  const step = () => inTransaction(db, (trx) => deleteOldIdempotencyKeys(trx, clock()));
  return runLoop({ name: 'upkeep', step, delay: () => hourMs, log });
}

async function listen(
  api: { listen(options: { host: string; port: number }): Promise<string> },
  { host, port }: Config['listen'],
): Promise<void> {
  try {
    await api.listen({ host, port });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`cannot listen on ${host}:${port}: ${reason}`, { cause: error });
  }
}
