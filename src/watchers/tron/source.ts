import type { BlockRef } from '../../core/chain.ts';
import type { Seen } from '../../nodes/failover.ts';
import { behind, NodeError } from '../../nodes/fault.ts';
import { tokensOf } from '../assets-in-use.ts';
import { openNodes, type SourceOptions } from '../open-nodes.ts';
import { createPoll, failedBy } from '../poll-nodes.ts';
import type { ChainSource, NodeHead, PollOutcome, PollRequest, RereadRequest } from '../source.ts';
import { createVerification } from '../verification.ts';
import { balancesAt } from './balances.ts';
import { locate, lookAt } from './inclusion.ts';
import { createTronNode, type TronNode } from './node.ts';
import { needsOf, readSpan } from './poll.ts';
import { findOtherTokens, readChainId } from './preflight.ts';
import { readHeaderAt, readHeads, readLatest, refOf } from './read.ts';

/** Reads TRON through the wallet API of java-tron. Every answer proves itself before it is believed. */
export function createTronSource(options: SourceOptions): ChainSource {
  const { chain, clock } = options;
  const log = options.log.child({ network: chain.network });
  const context = { chain, currencies: tokensOf(chain), clock };
  const verification = createVerification<TronNode>({
    chain,
    readChainId,
    findOtherTokens: (node, signal) => findOtherTokens(node, chain, signal),
  });
  /** No node below this is believed. */
  let finalizedHeight = 0;
  let warned = false;

  const endpoints = openNodes({ ...options, log }, createTronNode, verification.identify);
  const readOn = createPoll<TronNode, PollOutcome>({
    endpoints,
    chain,
    needs: (request) => needsOf(request, context),
    read: (node, request, seen) => readSpan(node, request, context, seen),
    look: lookFresh,
    clock,
    log,
  });

  async function verify(signal: AbortSignal): Promise<void> {
    // Nobody can tell from outside whether a node stores what contracts paid.
    if (chain.internalTransfers && !warned) log.warn({}, 'internal transfers depend on nodes');
    warned = true;
    await verification.verify(endpoints, signal);
  }

  function poll(request: PollRequest): Promise<PollOutcome> {
    // What is stored counts: an operator may have overruled what was final before.
    finalizedHeight = request.finalizedHeight ?? 0;
    return readOn(request, finalizedHeight);
  }

  async function reread({ upTo, anchor, except, ...request }: RereadRequest): Promise<PollOutcome> {
    // A node that is a little behind, but has that anchor, may answer.
    const whole = {
      ...request,
      finality: false,
      finalizedHeight: null,
      head: anchor,
      below: { upTo, anchor },
    };
    try {
      const read = (node: TronNode, seen: Seen) => readSpan(node, whole, context, seen);
      return await endpoints.ask(read, request.signal, {
        needs: needsOf(whole, context),
        except: (node) => except.has(node.host),
      });
    } catch (error) {
      return failedBy(error, request.signal, clock);
    }
  }

  /** What a node has that is not behind; where only blocks up to `upTo` matter, what it calls solid need not reach further. */
  async function lookFresh(
    node: TronNode,
    seen: Seen,
    signal: AbortSignal,
    upTo = Number.POSITIVE_INFINITY,
  ): Promise<NodeHead> {
    const heads = await headsOf(node, signal);
    const { latest, finalized } = heads;
    seen({ head: latest.height, finalized: finalized?.height ?? null });
    const height = finalized?.height ?? latest.height;
    const needed = Math.min(finalizedHeight, upTo);
    if (height < needed) throw behind(`its solid block ${height} is below ${needed}, seen before`);
    return heads;
  }

  /** Where depth decides alone, a node need not tell what is solid. */
  async function headsOf(node: TronNode, signal: AbortSignal): Promise<NodeHead> {
    try {
      return await readHeads(node, signal);
    } catch (error) {
      if (chain.finality !== 'depth' || !(error instanceof NodeError) || error.fault.kind !== 'lacks')
        throw error;
      return { latest: refOf(await readLatest(node, 'wallet', signal)), finalized: null };
    }
  }

  async function start(startBlock: number | 'latest', signal: AbortSignal) {
    return await endpoints.ask(async (node, seen) => {
      const { latest } = await lookFresh(node, seen, signal);
      if (startBlock === 'latest') return { cursor: latest, head: latest };
      const height = Math.max(0, startBlock - 1);
      const cursor = height > latest.height ? null : await readHeaderAt(node, 'wallet', height, signal);
      if (cursor === null) throw behind(`it has no block ${height}, where reading should start`);
      return { cursor: refOf(cursor), head: latest };
    }, signal);
  }

  async function readBlocks(node: TronNode, heights: readonly number[], seen: Seen, signal: AbortSignal) {
    const { latest } = await lookFresh(node, seen, signal);
    const blocks = new Map<number, BlockRef | null>();
    for (const height of heights) blocks.set(height, await blockAt(node, height, latest, signal));
    return blocks;
  }

  async function blocksAt(
    heights: readonly number[],
    signal: AbortSignal,
  ): Promise<Map<number, BlockRef | null>> {
    if (heights.length === 0) return new Map();
    return await endpoints.ask((node, seen) => readBlocks(node, heights, seen, signal), signal, {
      aside: true,
    });
  }

  return {
    verify,
    start,
    poll,
    reread,
    blocksAt,
    headsOfEach: (signal, enough) => {
      const look = async (node: TronNode, seen: Seen) => {
        const heads = await headsOf(node, signal);
        seen({ head: heads.latest.height, finalized: heads.finalized?.height ?? null });
        return heads;
      };
      return endpoints.askEach(look, signal, { enough });
    },
    blocksOfEach: (heights, signal, enough) =>
      endpoints.askEach((node, seen) => readBlocks(node, heights, seen, signal), signal, { enough }),
    inclusionsOfEach: (queries, signal, enough) => {
      const highest = Math.max(...queries.map(({ block }) => block.height));
      const look = async (node: TronNode, seen: Seen) => {
        const heads = await lookFresh(node, seen, signal, highest);
        const looks = await lookAt(node, heads, queries, chain, signal);
        seen({ serves: 'receipts' });
        return looks;
      };
      return endpoints.askEach(look, signal, { needs: ['receipts'], enough });
    },
    locationsOfEach: (txHash, signal) => endpoints.askEach((node) => locate(node, txHash, signal), signal),
    balances: (keys, at, signal) => balancesAt(endpoints, keys, at, signal),
    distrust: (host, reason) => {
      endpoints.distrust(host, reason);
    },
    endpoints: endpoints.status,
    close: endpoints.close,
  };
}

async function blockAt(
  node: TronNode,
  height: number,
  latest: BlockRef,
  signal: AbortSignal,
): Promise<BlockRef | null> {
  if (height > latest.height) return null;
  if (height === latest.height) return latest;
  const header = await readHeaderAt(node, 'wallet', height, signal);
  if (header === null) throw behind(`it lacks block ${height}, which is below its latest`);
  return refOf(header);
}
