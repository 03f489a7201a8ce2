import { statfs } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { dayMs, dayOf } from '../core/day.ts';
import type { Network } from '../core/networks.ts';
import { describePools } from '../pool/status.ts';
import type { Rates } from '../rates/rates.ts';
import { chainUnavailable, readChains } from '../storage/chains/chains.ts';
import { readClockSkews } from '../storage/chains/clock.ts';
import { listNodes } from '../storage/chains/nodes.ts';
import { listNodeUsage } from '../storage/chains/usage.ts';
import { type DatabaseTime, writeTrouble } from '../storage/database.ts';
import { listDeposits } from '../storage/deposits/deposits.ts';
import { lastAuditAt } from '../storage/operators/audit.ts';
import { readHold } from '../storage/pool/holds.ts';
import { oldestAnswerAt } from '../storage/providers/fetches.ts';
import { countUnmatchedCharges, findProviderState, providerTrouble } from '../storage/providers/providers.ts';
import type { Db } from '../storage/schema.ts';
import { countUndelivered } from '../storage/webhooks/counts.ts';
import { listTroubledEndpoints } from '../storage/webhooks/endpoints.ts';
import { listRevertedSince } from '../storage/webhooks/events.ts';
import { getDeliveryBacklog } from '../storage/webhooks/upkeep.ts';
import type { Facts } from './evaluate.ts';

export type FactsDeps = {
  db: Db;
  config: Pick<Config, 'chains' | 'payments' | 'providers' | 'database' | 'dataFolder'>;
  clock: Clock;
  timeOf: DatabaseTime;
  /** Null where this process asks for none. */
  rates: Rates | null;
};

/** What happened is looked for so far back; far longer than from one look to the next, ms. */
const lookBackMs = 5 * 60_000;

/** Counting the pools reads an index over every address: never for more than a four-hundredth of the time. */
const poolsEveryMs = 60_000;
const poolsShare = 400;

/** As many deposits are looked at; that there are more changes nothing. */
const mostDeposits = 100;

/** Reads what the loops have left in the database, and asks nobody outside. */
export function createFacts({ db, config, clock, timeOf, rates }: FactsDeps): { read(): Promise<Facts> } {
  let pools: Facts['pools'] = [];
  let poolsDueAt = Number.NEGATIVE_INFINITY;

  async function readPools(now: number): Promise<void> {
    if (now < poolsDueAt) return;
    const startedAt = performance.now();
    pools = (await describePools(db, null, config.payments, now)).map((pool) => ({
      merchantId: pool.merchantId,
      network: pool.network,
      currency: pool.currency,
      level: pool.level,
      free: pool.free,
      total: pool.total,
      exhaustedInSeconds: pool.forecast.exhaustedInSeconds,
    }));
    poolsDueAt = now + Math.max(poolsEveryMs, (performance.now() - startedAt) * poolsShare);
  }

  const paceOf = createPaces();

  async function readChainFacts(now: number): Promise<Facts['chains']> {
    const states = await readChains(db);
    const nodes = await listNodes(db);
    const usage = await listNodeUsage(db, dayOf(now));
    const callsOf = (network: Network, host: string) =>
      usage
        .filter((row) => row.network === network && row.host === host)
        .reduce((sum, { calls }) => sum + calls, 0);
    const skews = await readClockSkews(db, clock, timeOf);
    return Object.values(config.chains)
      .filter(({ enabled }) => enabled)
      .map(({ network, rpc }) => {
        const state = states.find((one) => one.network === network) ?? null;
        return {
          network,
          unavailable: chainUnavailable(state, now),
          isStopped: state !== null && state.stoppedReason !== null,
          behindSeconds: state === null ? null : Math.max(0, state.head.time - state.cursor.time),
          skewMs: skews.get(network) ?? null,
          nodes: nodes
            .filter((node) => node.network === network)
            .map(({ host, state, lastError }) => ({
              host,
              state,
              lastError,
              requestsPerDay: paceOf(`${network} ${host}`, callsOf(network, host), now),
              quotaPerDay: rpc.find(({ url }) => new URL(url).host === host)?.requestsPerDay ?? null,
            })),
        };
      });
  }

  async function readEndpoints(): Promise<Facts['endpoints']> {
    const undelivered = await countUndelivered(db);
    const troubled = await listTroubledEndpoints(
      db,
      undelivered.map(({ endpointId }) => endpointId),
    );
    return troubled.map(({ id, url, active, disabledReason, failingSince }) => ({
      id,
      // Paths and queries of webhook URLs may hold secrets.
      host: new URL(url).host,
      active,
      disabledReason,
      failingSince,
      givenUp: undelivered.find(({ endpointId }) => endpointId === id)?.givenUp ?? 0,
    }));
  }

  async function readProviders(now: number): Promise<Facts['providers']> {
    const enabled = Object.values(config.providers).filter((provider) => provider.enabled);
    return Promise.all(
      enabled.map(async ({ name }) => {
        const state = await findProviderState(db, name);
        const oldest = await oldestAnswerAt(db, name);
        return {
          name,
          trouble: state === null ? null : providerTrouble(state, oldest, now),
          unmatched: await countUnmatchedCharges(db, name),
        };
      }),
    );
  }

  async function countDeposits(role: 'unmatched' | 'late', since: number): Promise<number> {
    const { deposits } = await listDeposits(db, { role, limit: mostDeposits });
    return deposits.filter(({ status, seenAt }) => status !== 'orphaned' && seenAt >= since).length;
  }

  return {
    async read() {
      const now = await timeOf(db, clock);
      await readPools(now);
      const coins = new Set(
        Object.values(config.chains)
          .filter(({ enabled }) => enabled)
          .flatMap(({ assets }) => assets.map(({ coin }) => coin)),
      );
      return {
        now,
        databaseTrouble: writeTrouble(db),
        chains: await readChainFacts(now),
        unpriced: [...coins]
          .filter((coin) => rates !== null && rates.quote(coin) === null)
          .map((coin) => ({ coin, reason: 'its sources are silent, too old, or disagree' })),
        pools,
        hold: await readHold(db, now),
        endpoints: await readEndpoints(),
        oldestDueAt: (await getDeliveryBacklog(db, now)).oldestDueAt,
        unmatched: await countDeposits('unmatched', now - dayMs),
        late: await countDeposits('late', now - dayMs),
        reverted: await listRevertedSince(db, now - lookBackMs),
        providers: await readProviders(now),
        backupAt: await lastAuditAt(db, { subject: 'database', action: 'database.backed_up' }),
        diskFree: await freeOf(placeOf(config)),
      };
    },
  };
}

/** A pace that was seen for less says little, ms. */
const leastSeenMs = 3_600_000;

type Pace = { day: number; since: number; total: number; last: number };

/**
 * How many requests a day something is asked at the pace since midnight (UTC), given what it has counted by now; null in
 * the first hour. A count that has fallen began anew with its process.
 */
export function createPaces(): (key: string, count: number, now: number) => number | null {
  const paces = new Map<string, Pace>();
  return (key, count, now) => {
    const day = Math.floor(now / dayMs);
    const known = paces.get(key);
    const pace =
      known?.day === day
        ? { ...known, total: known.total + (count >= known.last ? count - known.last : count), last: count }
        : { day, since: now, total: 0, last: count };
    paces.set(key, pace);
    const seenMs = now - pace.since;
    return seenMs < leastSeenMs ? null : Math.round((pace.total / seenMs) * dayMs);
  };
}

/** What fills a disk: the database itself, which may be a link to another one. */
function placeOf({ database, dataFolder }: Pick<Config, 'database' | 'dataFolder'>): string {
  return database.startsWith('sqlite:') ? database.slice('sqlite:'.length) : dataFolder;
}

async function freeOf(path: string): Promise<number | null> {
  try {
    const { bavail, blocks } = await statfs(path);
    return blocks === 0 ? null : bavail / blocks;
  } catch {
    return null;
  }
}
