import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { ChainConfig, Config } from '../../config.ts';
import type { Network } from '../../core/networks.ts';
import { paymentStatuses } from '../../core/payment.ts';
import { counted } from '../../core/plural.ts';
import { type Rescan, rescanStatuses, rescanWaits } from '../../core/rescan.ts';
import { presentRescan } from '../../present/rescans.ts';
import { readChain } from '../../storage/chains/chains.ts';
import { cancelRescan, findRescan, insertRescan, listRescans } from '../../storage/chains/rescans.ts';
import { inTransaction } from '../../storage/database.ts';
import { recordAudit } from '../../storage/operators/audit.ts';
import type { Db } from '../../storage/schema.ts';
import { fieldError, notFound, serviceError } from '../http/errors.ts';
import {
  bodyErrors,
  commonErrors,
  countSchema,
  listOf,
  networkSchema,
  serviceErrorSchema,
  timeSchema,
} from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { rowId } from './paths.ts';

/** Blocks of one: more are several, or the command's. Whole ones cost a call each. */
const mostBlocks = { usual: 200_000, whole: 20_000 } as const;

/** Shown of a chain, the latest. */
const mostShown = 20;

const tags = ['Chains'];
const chainPath = z.object({ network: z.string() });
const rescanPath = chainPath.extend({ rescan_id: z.string() });
const height = z.int().min(1).max(Number.MAX_SAFE_INTEGER);

const rescanSchema = z.object({
  id: countSchema,
  network: networkSchema,
  from: countSchema,
  to: countSchema,
  native: z.boolean().describe('Whether whole blocks are read even where that was not done before.'),
  status: z
    .enum(rescanStatuses)
    .describe('`waiting`: nothing of it is read yet. `running` goes on after a restart.'),
  waits_for: z
    .enum(rescanWaits)
    .nullable()
    .describe(
      'While it has not ended, `process`: the one that reads the chain, which begins it within seconds; `plan`: a node’s plan has nothing to spare until midnight (UTC), see `slowed` of the chain; `chain`: to be read up to there again, after a fork. Null: for nothing.',
    ),
  reached: countSchema.nullable().describe('The last block that was read.'),
  blocks_read: countSchema,
  blocks: countSchema,
  actor: z.string(),
  cancelled_by: z.string().nullable().describe('Who wants it to end; it ends with the blocks being read.'),
  error: z.string().nullable().describe('Why it failed; what was found until then is recorded.'),
  transfers: z.object({
    found: countSchema,
    known: countSchema.describe('That were recorded just so.'),
    new: countSchema,
    taken_back: countSchema.describe('That are no longer on the chain.'),
    disputed: countSchema.describe('That were not shown, though nobody says that they are gone.'),
  }),
  payments: z
    .array(
      z.object({
        payment_number: z.string(),
        was: z.enum(paymentStatuses),
        status: z.enum(paymentStatuses),
        reason: z.string().nullable(),
      }),
    )
    .describe('Those of the first 500 it touched that are in another state now.'),
  created_at: timeSchema,
  started_at: timeSchema.nullable(),
  ended_at: timeSchema.nullable(),
});

export type RescanRouteDeps = {
  db: Db;
  config: Pick<Config, 'chains'>;
  clock: Clock;
  /** Wakes the process that reads the chain. */
  rescanAsked?: ((network: Network) => void) | undefined;
};

/** Blocks that are read again, by the process that reads their chain. */
export function registerRescanRoutes(api: Api, deps: RescanRouteDeps): void {
  const { db, config, clock, rescanAsked = () => {} } = deps;

  api.route({
    method: 'GET',
    url: '/chains/:network/rescans/',
    schema: {
      tags,
      operationId: 'listRescans',
      summary: 'The latest rescans of a chain, newest first',
      params: chainPath,
      response: { ...commonErrors, 200: listOf(rescanSchema) },
    },
    handler: async (request) => {
      const { network } = requireChain(request.params.network);
      const data = [];
      for (const rescan of await listRescans(db, network, mostShown))
        data.push(await presentRescan(db, rescan, clock()));
      return { data, next_cursor: null };
    },
  });

  api.route({
    method: 'POST',
    url: '/chains/:network/rescans/',
    schema: {
      tags,
      operationId: 'startRescan',
      summary: 'Have a range of blocks read again',
      description:
        'As `depositd rescan` does, by the process that reads the chain: what was missed is recorded, what is gone is taken back, and payments follow. One at a time for each chain, of at most 200,000 blocks, or 20,000 whole ones.',
      params: chainPath,
      body: z
        .strictObject({
          from: height,
          to: height,
          native: z
            .boolean()
            .default(false)
            .describe('Read whole blocks for the chain’s own coin, also where that was not done before.'),
        })
        .refine(({ from, to }) => from <= to, { path: ['to'], error: 'is below `from`' }),
      response: { ...bodyErrors, 201: rescanSchema, 409: serviceErrorSchema },
    },
    handler: async (request, reply) => {
      const { network } = requireChain(request.params.network);
      const { from, to, native } = request.body;
      const most = native ? mostBlocks.whole : mostBlocks.usual;
      if (to - from >= most)
        throw fieldError('to', `is more than ${counted(most, 'block')}; start several, one after another`);
      const state = await readChain(db, network);
      if (state === null) throw refused('It has not been read yet.');
      if (state.stoppedReason !== null) throw refused(`It is stopped: ${state.stoppedReason}.`);
      if (to > state.cursor.height)
        throw fieldError('to', `is not read yet: ${network} is read to block ${state.cursor.height}`);
      const { actor } = request;
      const at = clock();
      const made = await inTransaction(db, async (trx) => {
        const rescan = await insertRescan(trx, { network, from, to, native, actor, createdAt: at });
        if (rescan === null) return null;
        const detail = { rescan: rescan.id, from, to, native };
        await recordAudit(trx, { at, actor, action: 'chain.rescan_started', subject: network, detail });
        return rescan;
      });
      if (made === null) throw refused('Another rescan of it has not ended.');
      rescanAsked(network);
      return reply.code(201).send(await presentRescan(db, made, clock()));
    },
  });

  api.route({
    method: 'GET',
    url: '/chains/:network/rescans/:rescan_id/',
    schema: {
      tags,
      operationId: 'readRescan',
      summary: 'How far a rescan has got, and what it found',
      params: rescanPath,
      response: { ...commonErrors, 200: rescanSchema },
    },
    handler: async (request) => presentRescan(db, await requireRescan(request.params), clock()),
  });

  api.route({
    method: 'POST',
    url: '/chains/:network/rescans/:rescan_id/cancel/',
    schema: {
      tags,
      operationId: 'cancelRescan',
      summary: 'End a rescan early',
      description: 'What it found until then stays. Repeating changes nothing.',
      params: rescanPath,
      body: z.strictObject({}).optional(),
      response: { ...bodyErrors, 200: rescanSchema, 409: serviceErrorSchema },
    },
    handler: async (request) => {
      const { network, id } = await requireRescan(request.params);
      const act = { actor: request.actor, at: clock() };
      const cancelled = await inTransaction(db, async (trx) => {
        const rescan = await cancelRescan(trx, { network, id }, act);
        if (rescan === null) return null;
        const detail = { rescan: id, reached: rescan.reached };
        await recordAudit(trx, { ...act, action: 'chain.rescan_cancelled', subject: network, detail });
        return rescan;
      });
      const rescan = cancelled ?? (await requireRescan(request.params));
      if (cancelled === null && rescan.status !== 'cancelled')
        throw refused(`This rescan is ${rescan.status}.`);
      rescanAsked(network);
      return presentRescan(db, rescan, clock());
    },
  });

  function requireChain(network: string): ChainConfig {
    const chain = Object.hasOwn(config.chains, network) ? config.chains[network] : undefined;
    if (chain === undefined) throw notFound();
    return chain;
  }

  async function requireRescan({ network, rescan_id }: z.output<typeof rescanPath>): Promise<Rescan> {
    const rescan = await findRescan(db, requireChain(network).network, rowId(rescan_id));
    if (rescan === null) throw notFound();
    return rescan;
  }
}

function refused(text: string) {
  return serviceError(409, 'not_rescannable', text);
}
