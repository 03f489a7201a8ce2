import type { Registry } from '@prometheus-io/client';
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { slowestPollSeconds } from '../../config/chain.ts';
import type { Config } from '../../config.ts';
import { describeSkew, skewLimits } from '../../core/chain-time.ts';
import type { Network } from '../../core/networks.ts';
import { counted } from '../../core/plural.ts';
import type { Rates } from '../../rates/rates.ts';
import { chainDegraded, chainUnavailable, readChains } from '../../storage/chains/chains.ts';
import { readClockSkews } from '../../storage/chains/clock.ts';
import { listSlowedChains, type SlowedChain } from '../../storage/chains/usage.ts';
import { type DatabaseTime, databaseTime, writeTrouble } from '../../storage/database.ts';
import { hasOpenPayment } from '../../storage/payments/payments.ts';
import { oldestAnswerAt } from '../../storage/providers/fetches.ts';
import { findProviderState, providerTrouble } from '../../storage/providers/providers.ts';
import type { Db } from '../../storage/schema.ts';
import type { Api } from '../routes.ts';

/** A database that answers no sooner than this counts as failed, ms. */
const patienceMs = 2_000;

const faultSchema = z.object({
  part: z
    .string()
    .meta({ example: 'chain:bsc' })
    .describe(
      '`chain:` one chain, `rate:` the price of one coin, `provider:` one provider, `database`, `daemon`.',
    ),
  reason: z.string(),
});
type Fault = z.output<typeof faultSchema>;

const tags = ['Health'];

export type HealthRouteDeps = {
  db: Db;
  config: Pick<Config, 'chains' | 'providers'>;
  clock: Clock;
  /** For tests, whose time is their own. */
  timeOf?: DatabaseTime;
  registry: Registry;
  /** Null where this process quotes no prices. */
  rates: Rates | null;
  /** Whether the daemon is on its way down. */
  isStopping: () => boolean;
};

/** For whoever keeps the daemon running; without a key. */
export function registerHealthRoutes(api: Api, deps: HealthRouteDeps): void {
  api.route({
    method: 'GET',
    url: '/healthz',
    schema: {
      tags,
      operationId: 'isAlive',
      summary: 'The process answers',
      security: [],
      response: { 200: z.object({ status: z.literal('ok') }) },
    },
    handler: async () => ({ status: 'ok' as const }),
  });

  api.route({
    method: 'GET',
    url: '/readyz',
    schema: {
      tags,
      operationId: 'isReady',
      summary: 'The daemon can do its work',
      description:
        'Ready while a payment can be created on one chain; what does not work meanwhile is listed as degraded.',
      security: [],
      response: {
        200: z.object({ ready: z.literal(true), degraded: z.array(faultSchema) }),
        503: z.object({ ready: z.literal(false), reasons: z.array(faultSchema) }),
      },
    },
    handler: async (_request, reply) => {
      const { reasons, degraded } = await findFaults(deps);
      if (reasons.length > 0) return reply.code(503).send({ ready: false, reasons });
      return { ready: true as const, degraded };
    },
  });

  api.route({
    method: 'GET',
    url: '/metrics',
    schema: {
      tags,
      operationId: 'readMetrics',
      summary: 'Prometheus metrics',
      security: [],
      response: { 200: { content: { 'text/plain': { schema: z.string() } } } },
    },
    handler: async (_request, reply) =>
      reply.type(deps.registry.contentType).send(await deps.registry.metrics()),
  });
}

/** From what the loops and the requests have seen: asking costs one read. */
async function findFaults({
  db,
  config,
  clock,
  timeOf = databaseTime,
  rates,
  isStopping,
}: HealthRouteDeps): Promise<{ reasons: Fault[]; degraded: Fault[] }> {
  if (isStopping()) return { reasons: [{ part: 'daemon', reason: 'stopping' }], degraded: [] };
  const read = await withinPatience(
    Promise.all([
      readChains(db),
      timeOf(db, clock),
      readClockSkews(db, clock, timeOf),
      listSlowedChains(db, clock()),
    ]),
  );
  const trouble = writeTrouble(db);
  if (read === null)
    return { reasons: [{ part: 'database', reason: trouble ?? 'does not answer' }], degraded: [] };
  const [states, now, skews, slowed] = read;
  const database = trouble === null ? [] : [{ part: 'database', reason: trouble }];

  const configured = Object.values(config.chains);
  const unavailable = new Map<Network, string>();
  const late: Fault[] = [];
  for (const chain of configured) {
    const state = states.find(({ network }) => network === chain.network) ?? null;
    const reason = chainUnavailable(state, now);
    const open = (await withinPatience(hasOpenPayment(db, chain.network))) === true;
    const ownPaceMs = (open ? chain.pollSeconds : slowestPollSeconds(chain)) * 1000;
    const slow = slowed.find(({ network }) => network === chain.network);
    const paceMs = Math.max(ownPaceMs, slow?.everyMs ?? 0);
    const lateness = state === null ? null : chainDegraded(state, paceMs, now);
    if (reason !== null) unavailable.set(chain.network, reason);
    else if (lateness !== null) late.push({ part: `chain:${chain.network}`, reason: lateness });
    if (slow !== undefined) late.push({ part: `chain:${chain.network}`, reason: slowedReason(slow) });
    const wrong = describeSkew(skews.get(chain.network) ?? null, skewLimits.warnMs);
    if (wrong !== null) late.push({ part: 'clock', reason: `${wrong} on ${chain.network}` });
  }
  const coins = new Set(configured.flatMap(({ assets }) => assets.map(({ coin }) => coin)));
  const unpriced = new Set([...coins].filter((coin) => rates !== null && rates.quote(coin) === null));
  const reasons = [
    ...database,
    ...[...unavailable].map(([network, reason]) => ({ part: `chain:${network}`, reason })),
    ...[...unpriced].map((coin) => ({ part: `rate:${coin}`, reason: 'no trustworthy rate' })),
  ];
  const payable = configured.some(
    ({ enabled, network, assets }) =>
      enabled && !unavailable.has(network) && assets.some(({ coin }) => !unpriced.has(coin)),
  );
  late.push(...(await findProviderFaults(db, Object.keys(config.providers), clock())));
  return payable && trouble === null
    ? { reasons: [], degraded: [...reasons, ...late] }
    : { reasons, degraded: [] };
}

function slowedReason({ host, everyMs }: SlowedChain): string {
  const pace = counted(Math.round(everyMs / 1000), 'second');
  return `it is read every ${pace}, so that the quota of ${host} lasts until midnight (UTC)`;
}

async function findProviderFaults(db: Db, names: readonly string[], now: number): Promise<Fault[]> {
  const found: Fault[] = [];
  for (const name of names) {
    const read = await withinPatience(Promise.all([findProviderState(db, name), oldestAnswerAt(db, name)]));
    const [state = null, oldest = null] = read ?? [];
    const reason = state === null ? null : providerTrouble(state, oldest, now);
    if (reason !== null) found.push({ part: `provider:${name}`, reason });
  }
  return found;
}

/** Null when the answer fails or takes too long. */
async function withinPatience<T>(answer: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, patienceMs, null);
  });
  try {
    return await Promise.race([answer, patience]);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}
