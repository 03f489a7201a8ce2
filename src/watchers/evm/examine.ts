import type { Clock } from '../../clock.ts';
import type { ChainConfig } from '../../config.ts';
import { type AddressKey, writeAddress } from '../../core/address.ts';
import { counted } from '../../core/plural.ts';
import { reasonOf } from '../../errors.ts';
import { contradiction } from '../../nodes/fault.ts';
import { isRecord } from '../../nodes/json-rpc.ts';
import { type Check, check, danger, judgeAge, warning, well } from '../examination.ts';
import { getChainId, getFullBlock, getHeader, getReceipt, getTransfers, type LogFilter } from './calls.ts';
import type { Header } from './decode.ts';
import { readHeader } from './decode.ts';
import type { EvmNode } from './node.ts';
import { findOtherTokens, readChainId, resultOf } from './preflight.ts';
import { getTrace, readTrace, traceWays } from './trace-decode.ts';

/** Blocks whose logs are asked for, and that are looked through for a transaction. */
const someBlocks = 10;

/** Blocks from whose times it is told how many make a day. */
const measuredBlocks = 100;

/** What looking at a chain asks for in one request. */
const callsOfAPoll = 4;

/** An address that nobody pays to: a query for it costs the node the same, and answers next to nothing. */
const nobody = 'f0'.repeat(20) as AddressKey;

type Examined = { chain: ChainConfig; clock: Clock; signal: AbortSignal };

/** Looks one node of an EVM chain over. Stops at the first check without whose answer the others say nothing. */
export async function examineEvmNode(node: EvmNode, examined: Examined): Promise<Check[]> {
  const { chain, clock, signal } = examined;
  const { client } = node;
  const ofChain = await check('chain', async () => {
    const id = await readChainId(client, signal);
    return id === chain.chainId
      ? well(`chain id ${id}`)
      : danger(`it is of the chain with id ${id}, not ${chain.chainId}`);
  });
  if (ofChain.outcome !== 'well') return [ofChain];
  let latest: Header | null = null;
  const head = await check('head', async () => {
    const [answer] = await client.send([getHeader('latest')], signal);
    latest = readHeader(resultOf(answer));
    if (latest === null) throw contradiction('its latest block is malformed');
    return judgeAge(latest.time * 1000, clock());
  });
  if (latest === null) return [ofChain, head];
  const newest: Header = latest;
  const needsFinal = chain.finality === 'finalized';
  const final = await check(
    'final',
    async () => {
      const [answer] = await client.send([getHeader('finalized')], signal);
      const finalized = readHeader(resultOf(answer));
      if (finalized === null) return (needsFinal ? danger : warning)('it does not tell what is finalized');
      const seconds = newest.time - finalized.time;
      const found = `its finalized block is ${counted(seconds, 'second')} older than the newest`;
      return seconds > chain.finalityStallSeconds ? warning(found) : well(found);
    },
    needsFinal ? danger : warning,
  );
  const transfers = await check('transfers', async () => {
    const from = Math.max(0, newest.height - someBlocks + 1);
    const count = await countLogs(node, { from, to: newest.height, recipients: null }, examined);
    return well(`${counted(count, 'transfer')} of the configured tokens in its newest blocks`);
  });
  const receipts = await check('receipts', () => judgeReceipt(node, newest.height, danger, signal));
  const history = await check(
    'history',
    async () => {
      const old = await heightOfADayAgo(node, newest, signal);
      await countLogs(node, { from: old, to: old, recipients: null }, examined);
      return judgeReceipt(node, old, warning, signal);
    },
    warning,
  );
  const tokens = await check('tokens', async () => {
    const faults = await findOtherTokens(client, chain, signal);
    return faults.length === 0 ? well('each is as configured') : danger(faults.join('; '));
  });
  const range = await check(
    'range',
    async () => {
      const blocks = Math.min(node.range.width(), newest.height + 1);
      const from = newest.height - blocks + 1;
      await countLogs(node, { from, to: newest.height, recipients: [nobody] }, examined);
      return well(`the logs of ${counted(blocks, 'block')} at once`);
    },
    warning,
  );
  const batch = await check(
    'batch',
    async () => {
      await client.send(Array(callsOfAPoll).fill(getChainId), signal);
      const taken = client.callsPerRequest();
      const found = `it takes ${counted(Math.min(taken, callsOfAPoll), 'call')} in one request`;
      return taken < callsOfAPoll ? warning(found) : well(found);
    },
    warning,
  );
  const checks = [ofChain, head, final, transfers, receipts, history, tokens, range, batch];
  if (!chain.assets.some(({ token }) => token === 'native')) return checks;
  return [...checks, await check('traces', () => judgeTraces(node, newest.height, signal), warning)];
}

async function countLogs(
  { client }: EvmNode,
  asked: Omit<LogFilter, 'tokens'>,
  { chain, signal }: Examined,
): Promise<number> {
  const tokens = chain.assets.flatMap(({ token }) =>
    token === 'native' ? [] : [writeAddress('evm', token)],
  );
  const [answer] = await client.send([getTransfers({ tokens, ...asked })], signal);
  const logs = resultOf(answer);
  if (!Array.isArray(logs)) throw contradiction('its logs are malformed');
  return logs.length;
}

/** The receipt of a transaction in one of some blocks from this height down. */
async function judgeReceipt(
  node: EvmNode,
  from: number,
  bad: typeof danger,
  signal: AbortSignal,
): Promise<Omit<Check, 'name'>> {
  const found = await findTransaction(node, from, signal);
  if ('reason' in found) return bad(found.reason);
  if (found.txHash === null) return well(noTransaction);
  const [told] = await node.client.send([getReceipt(found.txHash)], signal);
  if (!isRecord(resultOf(told))) return bad(`it has no receipt of a transaction in block ${found.height}`);
  return well(`a receipt in block ${found.height}`);
}

/** How the same ran. */
async function judgeTraces(node: EvmNode, from: number, signal: AbortSignal): Promise<Omit<Check, 'name'>> {
  const found = await findTransaction(node, from, signal);
  if ('reason' in found) return warning(found.reason);
  if (found.txHash === null) return well(noTransaction);
  let reason = 'what it answers is no trace';
  for (const way of traceWays) {
    try {
      const [answer] = await node.client.send([getTrace(way, found.txHash)], signal);
      if (readTrace(way.method, resultOf(answer)) !== null) return well(`by ${way.method}`);
    } catch (error) {
      reason = reasonOf(error);
    }
  }
  return warning(`it traces no transaction: ${reason}`);
}

const noTransaction = `no transaction to ask about in ${counted(someBlocks, 'block')}`;

/** One in some blocks from this height down; null where there is none. Or why that cannot be told. */
async function findTransaction(
  { client }: EvmNode,
  from: number,
  signal: AbortSignal,
): Promise<{ height: number; txHash: string } | { height: null; txHash: null } | { reason: string }> {
  for (let height = from; height >= 0 && height > from - someBlocks; height--) {
    const [answer] = await client.send([getFullBlock(height)], signal);
    const block = resultOf(answer);
    if (block === null) return { reason: `it has no block ${height}` };
    const [first] = isRecord(block) && Array.isArray(block.transactions) ? block.transactions : [];
    if (isRecord(first) && typeof first.hash === 'string') return { height, txHash: first.hash };
  }
  return { height: null, txHash: null };
}

/** By the time that the last blocks took. */
async function heightOfADayAgo({ client }: EvmNode, newest: Header, signal: AbortSignal): Promise<number> {
  const measured = Math.min(measuredBlocks, newest.height);
  if (measured === 0) return 0;
  const [answer] = await client.send([getHeader(newest.height - measured)], signal);
  const before = readHeader(resultOf(answer));
  if (before === null) throw contradiction(`it has no block ${newest.height - measured}`);
  const blockSeconds = Math.max(0.1, (newest.time - before.time) / measured);
  return Math.max(0, newest.height - Math.ceil(86_400 / blockSeconds));
}
