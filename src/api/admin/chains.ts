import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config.ts';
import { dayOf } from '../../core/day.ts';
import type { Network } from '../../core/networks.ts';
import type { NodeStatus } from '../../core/node.ts';
import { presentChain } from '../../present/chains.ts';
import { chainUnavailable, readChains } from '../../storage/chains/chains.ts';
import { readLastHour } from '../../storage/chains/node-measurements.ts';
import { listNodes } from '../../storage/chains/nodes.ts';
import { readCoverages } from '../../storage/chains/recheck-marks.ts';
import { listNodeUsage, listSlowedChains } from '../../storage/chains/usage.ts';
import { type DatabaseTime, databaseTime } from '../../storage/database.ts';
import type { Db } from '../../storage/schema.ts';
import {
  commonErrors,
  countSchema,
  listOf,
  networkSchema,
  tiersSchema,
  timeSchema,
} from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';

/** How a node answered in some time. */
export const nodeMeasurementSchema = z.object({
  answers: countSchema,
  p50_ms: countSchema
    .nullable()
    .describe('Half of the answers took no longer, to some 20 %; null: there was none.'),
  p95_ms: countSchema.nullable().describe('19 of 20 answers took no longer.'),
  failures: z
    .object({
      timeout: countSchema.describe('No answer in time.'),
      rate_limited: countSchema.describe('It wanted fewer requests.'),
      unavailable: countSchema.describe('It was down, overloaded, or not reached.'),
      refused: countSchema.describe('It does not serve what was asked, or not so much at once.'),
      behind: countSchema.describe('It had not got there yet.'),
      wrong: countSchema.describe('What it said cannot be true, or belongs to another chain.'),
    })
    .describe('Units of work that failed, mostly one request each, by reason.'),
});

const nodeSchema = z.object({
  host: z.string(),
  preferred: z.boolean(),
  state: z
    .enum(['ready', 'limited', 'distrusted', 'backoff', 'wrong chain'])
    .describe('`limited`: asked only for what it serves; `distrusted`: only if nobody else can be asked.'),
  head: countSchema.nullable(),
  finalized: countSchema.nullable(),
  lag: countSchema
    .nullable()
    .describe('Blocks below the highest head that any node had shown, when this one was last asked.'),
  answered_at: timeSchema.nullable(),
  lacks: z.array(z.enum(['logs', 'finalized', 'receipts', 'traces'])).describe('What it refused to serve.'),
  limits: z
    .object({
      blocks_per_query: countSchema,
      calls_per_request: countSchema,
      recipient_filter: z.boolean(),
    })
    .nullable()
    .describe('What it was found to take at once.'),
  latency_ms: countSchema.nullable(),
  backoff_until: timeSchema.nullable(),
  last_error: z.string().nullable(),
  last_hour: nodeMeasurementSchema.describe('How it answered in the last hour.'),
  today: z
    .object({
      calls: countSchema.describe('Each call of a batch counts.'),
      bytes: countSchema.describe('Both ways, as they were sent.'),
      calls_allowed: countSchema.nullable().describe('By `requestsPerDay`; null: nobody said.'),
      methods: z.array(z.object({ method: z.string(), calls: countSchema, bytes: countSchema })),
    })
    .describe('What it was asked since midnight (UTC), by all processes.'),
});

const rangeSchema = z.object({ from: countSchema, to: countSchema }).describe('Both ends included.');

const coverageSchema = z.object({
  from: countSchema.describe('The block from which everything is read.'),
  complete_to: countSchema.describe(
    'Every block from there up to this one was read from a node that proved to have it.',
  ),
  rechecked_to: countSchema
    .nullable()
    .describe('Every block from there up to this one was read a second time; null while none was.'),
  gaps: z.array(rangeSchema).describe('Blocks from there on that were passed over.'),
  ranges: z
    .array(rangeSchema)
    .describe(
      'All blocks that were read, lowest first; below `from` only what an operator had read by `rescan`.',
    ),
});

const chainSchema = z.object({
  network: networkSchema,
  chain: z.string(),
  available: z.boolean().describe('Whether payments can be created on it.'),
  reason: z.string().nullable().describe('Why not.'),
  confirmations: countSchema,
  confirmation_tiers: tiersSchema,
  cursor: z
    .object({ height: countSchema, hash: z.string(), time: timeSchema })
    .nullable()
    .describe('Everything up to this block has been read; null before the first read.'),
  coverage: coverageSchema
    .nullable()
    .describe('What is proven of the deposits up to here; null before the first block was read.'),
  head: countSchema.nullable(),
  finalized: countSchema.nullable(),
  read_at: timeSchema.nullable(),
  nodes: z.array(nodeSchema),
  slowed: z
    .object({ host: z.string(), every_seconds: countSchema })
    .nullable()
    .describe(
      'How seldom it is read, so that the quota of this node lasts until midnight; null: at full pace.',
    ),
});

export type ChainRouteDeps = {
  db: Db;
  config: Pick<Config, 'chains'>;
  clock: Clock;
  /** For tests, whose time is their own. */
  timeOf?: DatabaseTime;
  /** The nodes of a chain that this process reads; none where another process does. */
  nodesOf: (network: Network) => readonly NodeStatus[];
};

/** How far each configured chain has been read. */
export function registerChainRoutes(api: Api, deps: ChainRouteDeps): void {
  const { db, config, clock, timeOf = databaseTime, nodesOf } = deps;
  api.route({
    method: 'GET',
    url: '/chains/',
    schema: {
      tags: ['Chains'],
      operationId: 'readChains',
      summary: 'How far each chain has been read, and by which nodes',
      response: { ...commonErrors, 200: listOf(chainSchema) },
    },
    handler: async () => {
      const states = await readChains(db);
      const now = await timeOf(db, clock);
      const noted = await listNodes(db);
      const usage = await listNodeUsage(db, dayOf(clock()));
      const slowed = await listSlowedChains(db, clock());
      const configured = Object.values(config.chains);
      const coverages = await readCoverages(
        db,
        configured.map(({ network }) => network),
      );
      const measured = await readLastHour(db, configured, clock());
      const data = configured.map((chain) => {
        const { network } = chain;
        const state = states.find((candidate) => candidate.network === network) ?? null;
        const nodesHere = nodesOf(network);
        return presentChain(chain, {
          state,
          coverage: coverages.get(network) ?? null,
          reason: chainUnavailable(state, now),
          usage,
          measured: measured.get(network) ?? [],
          slowed: slowed.find((one) => one.network === network) ?? null,
          nodes: nodesHere.length > 0 ? nodesHere : noted.filter((node) => node.network === network),
        });
      });
      return { data, next_cursor: null };
    },
  });
}
