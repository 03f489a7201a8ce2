import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../log.ts';
import { type Loop, runLoop, type Sleep, systemSleep } from '../loop.ts';
import { createOutbound } from '../outbound.ts';
import { countPendingByProvider } from '../storage/providers/payments.ts';
import type { Db } from '../storage/schema.ts';
import { type Bridge, type BridgeDeps, openBridge } from './bridge.ts';
import { createProviderDesk, type ProviderDesk } from './desk.ts';
import type { Adapter } from './provider.ts';
import { createReconciler } from './reconcile.ts';

export type ProvidersDeps = {
  db: Db;
  config: Pick<Config, 'providers' | 'publicUrl' | 'webhooks' | 'sandbox'>;
  secrets: BridgeDeps['secrets'];
  userAgent: string;
  clock: Clock;
  log: Logger;
  onEvents: () => void;
  /** Told of a provider whose payments should be followed now, by whatever process does. */
  woken?: (name: string) => void;
  /** Told of every step of a loop that threw. */
  failed?: (name: string) => void;
  sleep?: Sleep;
  /** For tests: more types of providers. */
  adapters?: readonly Adapter[];
};

export type Providers = {
  desk: ProviderDesk;
  bridges: readonly Bridge[];
  /** Begins to follow payments: one loop for each provider, so that one that is down stops only itself. */
  start(): void;
  /** Another process has something to follow for a provider. */
  wake(name: string): void;
  stop(): Promise<void>;
};

/** Opens every provider of the configuration. */
export async function openProviders(deps: ProvidersDeps): Promise<Providers> {
  const { db, config, secrets, clock, log, onEvents, sleep = systemSleep } = deps;
  const { publicUrl } = config;
  const livemode = !config.sandbox;
  const outbound = createOutbound({ allowHosts: config.webhooks.allowHosts, userAgent: deps.userAgent });
  const bridgeDeps = {
    db,
    outbound,
    secrets,
    publicUrl,
    livemode,
    clock,
    log,
    sleep,
    adapters: deps.adapters ?? [],
  };
  const bridges: Bridge[] = [];
  for (const entry of Object.values(config.providers)) bridges.push(await openBridge(entry, bridgeDeps));
  for (const { provider, open } of await countPendingByProvider(db)) {
    if (bridges.some(({ name }) => name === provider)) continue;
    log.warn({ provider, open }, 'provider with open payments not configured');
  }
  const loops = new Map<Bridge, Loop>();
  const wake = (bridge: Bridge) => {
    loops.get(bridge)?.wake();
    deps.woken?.(bridge.name);
  };
  const settle = { db, clock, log, onEvents };
  return {
    desk: createProviderDesk(bridges, { ...settle, wake }),
    bridges,
    start() {
      for (const bridge of bridges) {
        const step = createReconciler(settle, bridge);
        const failed = deps.failed === undefined ? {} : { failed: deps.failed };
        const loop = runLoop({ name: `provider ${bridge.name}`, step, delay: (ms) => ms, log, ...failed });
        loops.set(bridge, loop);
      }
    },
    wake(name) {
      for (const [bridge, loop] of loops) if (bridge.name === name) loop.wake();
    },
    async stop() {
      await Promise.all([...loops.values()].map((loop) => loop.stop()));
      await outbound.close();
    },
  };
}
