import { writeAddress } from '../../core/address.ts';
import type { BlockRef, TxHash } from '../../core/chain.ts';
import type { Enough, NodeAnswer } from '../../core/node.ts';
import type { Seen } from '../../nodes/failover.ts';
import { behind, contradiction } from '../../nodes/fault.ts';
import type { RpcCall } from '../../nodes/json-rpc.ts';
import { tokensOf } from '../assets-in-use.ts';
import { openNodes, type SourceOptions } from '../open-nodes.ts';
import { createPoll, failedBy } from '../poll-nodes.ts';
import type { ChainSource, NodeHead, PollOutcome, PollRequest, RereadRequest, Tokens } from '../source.ts';
import { createVerification } from '../verification.ts';
import { balancesAt } from './balances.ts';
import { getHeader, getReceipt, getTransaction } from './calls.ts';
import { type Header, readHeader, refOf } from './decode.ts';
import { type Fresh, lookAtEach } from './inclusion.ts';
import { createContractPayments } from './internal-transfers.ts';
import { locationOf } from './location.ts';
import { createRateAlarm } from './log-gaps.ts';
import { createEvmNode, type EvmNode } from './node.ts';
import type { ReadContext } from './plan.ts';
import { needsOf, type ReadOutcome, readSpan } from './poll.ts';
import { findOtherTokens, readChainId, resultOf } from './preflight.ts';
import { createTempo } from './tempo.ts';
import { createTracer } from './tracer.ts';

/** Reads a chain that speaks Ethereum's JSON-RPC. Every answer proves itself before it is believed. */
export function createEvmSource(options: SourceOptions): ChainSource {
  const { chain, clock } = options;
  const log = options.log.child({ network: chain.network });
  const configured = tokensOf(chain);
  const rates = createRateAlarm(configured.keys());
  let context = contextOf(configured);
  const verification = createVerification<EvmNode>({
    chain,
    readChainId: ({ client }, signal) => readChainId(client, signal),
    findOtherTokens: ({ client }, signal) => findOtherTokens(client, chain, signal),
  });
  /** No node below this is believed. */
  let finalizedHeight = 0;

  function contextOf(tokens: Tokens): ReadContext {
    const contracts = [...tokens.keys()].map((token) => writeAddress('evm', token));
    return { chain, tokens: contracts, currencies: tokens, rates };
  }

  /** What is asked for changes seldom. */
  function contextFor({ tokens = configured }: Pick<PollRequest, 'tokens'>): ReadContext {
    if (tokens !== context.currencies) context = contextOf(tokens);
    return context;
  }

  const endpoints = openNodes({ ...options, log }, createEvmNode, verification.identify);
  const tracer = createTracer({ endpoints, network: chain.network });
  const offered = () => endpoints.status().some((node) => !node.lacks.includes('traces'));
  const contractPayments = createContractPayments({ tracer, offered, clock, log });
  const looking = { endpoints, tracer, askFresh };

  const tempo = createTempo();
  const readOn = createPoll<EvmNode, ReadOutcome>({
    endpoints,
    chain,
    needs: (request) => needsOf(request, contextFor(request)),
    read: readAtTempo,
    look: (node, seen, signal) => askFresh(node, [], seen, signal),
    clock,
    log,
  });

  async function poll(request: PollRequest): Promise<PollOutcome> {
    // What is stored counts: an operator may have overruled what was final before.
    finalizedHeight = request.finalizedHeight ?? 0;
    const outcome = await readOn(request, finalizedHeight);
    if (outcome.kind === 'failed') return outcome;
    try {
      return await contractPayments.addTo(outcome, request);
    } catch (error) {
      return failedBy(error, request.signal, clock);
    }
  }

  async function readAtTempo(node: EvmNode, request: PollRequest, seen: Seen): Promise<ReadOutcome> {
    const expected = tempo.expected(request.head, clock());
    const outcome = await readSpan(node, { ...request, expected }, contextFor(request), seen);
    // In a catch-up the head is not asked for.
    if (outcome.kind !== 'span' || outcome.span.to.height < request.head.height) return outcome;
    const { head } = outcome.span;
    if (head.height < expected) tempo.missed();
    else if (head.height > expected) tempo.exceeded();
    tempo.note(head, clock());
    return outcome;
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
      const read = (node: EvmNode, seen: Seen) => readSpan(node, whole, contextFor(whole), seen);
      const outcome = await endpoints.ask(read, request.signal, {
        needs: needsOf(whole, contextFor(whole)),
        except: (node) => except.has(node.host),
      });
      return await contractPayments.addTo(outcome, request, except);
    } catch (error) {
      return failedBy(error, request.signal, clock);
    }
  }

  /**
   * A node's finalized and latest blocks, and its answers to `calls`, all from one that is not behind. Where only blocks
   * up to `upTo` matter, what it calls final need not reach further.
   */
  async function askFresh(
    node: EvmNode,
    calls: readonly RpcCall[],
    seen: Seen,
    signal: AbortSignal,
    upTo = Number.POSITIVE_INFINITY,
  ): Promise<Fresh> {
    const all = [getHeader('finalized'), getHeader('latest'), ...calls];
    const [first, second, ...answers] = await node.client.send(all, signal);
    const finalized = first !== undefined && 'result' in first ? readHeader(first.result) : null;
    const latest = readHeader(resultOf(second));
    if (latest === null) throw contradiction('the latest block is malformed or missing');
    seen({ head: latest.height, finalized: finalized?.height ?? null });
    const height = finalized?.height ?? latest.height;
    const needed = Math.min(finalizedHeight, upTo);
    if (height < needed) throw behind(`its finalized block ${height} is below ${needed}, seen before`);
    return { latest, finalized, answers };
  }

  async function start(startBlock: number | 'latest', signal: AbortSignal) {
    return await endpoints.ask(async (node, seen) => {
      if (startBlock === 'latest') {
        const { latest } = await askFresh(node, [], seen, signal);
        return { cursor: refOf(latest), head: refOf(latest) };
      }
      const height = Math.max(0, startBlock - 1);
      const { latest, answers } = await askFresh(node, [getHeader(height)], seen, signal);
      const cursor = readHeader(resultOf(answers[0]));
      if (cursor?.height !== height) throw behind(`it has no block ${height}, where reading should start`);
      return { cursor: refOf(cursor), head: refOf(latest) };
    }, signal);
  }

  async function blocksAt(
    heights: readonly number[],
    signal: AbortSignal,
  ): Promise<Map<number, BlockRef | null>> {
    if (heights.length === 0) return new Map();
    const read = (node: EvmNode, seen: Seen) => readBlocks(node, heights, seen, signal);
    return await endpoints.ask(read, signal, { aside: true });
  }

  async function readBlocks(node: EvmNode, heights: readonly number[], seen: Seen, signal: AbortSignal) {
    const { latest, answers } = await askFresh(node, heights.map(getHeader), seen, signal);
    return new Map(heights.map((height, i) => [height, blockAt(height, resultOf(answers[i]), latest)]));
  }

  async function locate(node: EvmNode, txHash: TxHash, seen: Seen, signal: AbortSignal) {
    const calls = [getReceipt(txHash), getTransaction(txHash)];
    const { answers } = await askFresh(node, calls, seen, signal, Number.NEGATIVE_INFINITY);
    return locationOf(txHash, answers);
  }

  function headsOfEach(signal: AbortSignal, enough?: Enough<NodeHead>): Promise<NodeAnswer<NodeHead>[]> {
    const look = async (node: EvmNode, seen: Seen) => {
      const { latest, finalized } = await askFresh(node, [], seen, signal, Number.NEGATIVE_INFINITY);
      return { latest: refOf(latest), finalized: finalized === null ? null : refOf(finalized) };
    };
    return endpoints.askEach(look, signal, { enough });
  }

  return {
    verify: (signal) => verification.verify(endpoints, signal),
    start,
    poll,
    reread,
    blocksAt,
    headsOfEach,
    blocksOfEach: (heights, signal, enough) =>
      endpoints.askEach((node, seen) => readBlocks(node, heights, seen, signal), signal, { enough }),
    locationsOfEach: (txHash, signal) =>
      endpoints.askEach((node, seen) => locate(node, txHash, seen, signal), signal),
    inclusionsOfEach: (queries, signal, enough) => lookAtEach(looking, queries, signal, enough),
    balances: (keys, at, signal) => balancesAt(endpoints, keys, at, signal),
    distrust: (host, reason) => {
      endpoints.distrust(host, reason);
    },
    endpoints: endpoints.status,
    close: endpoints.close,
  };
}

function blockAt(height: number, answer: unknown, latest: Header): BlockRef | null {
  if (answer === null && height > latest.height) return null;
  if (answer === null) throw behind(`it lacks block ${height}, which is below its latest`);
  const header = readHeader(answer);
  if (header?.height !== height) throw contradiction('it answered with another block than was asked for');
  return refOf(header);
}
