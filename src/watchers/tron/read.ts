import type { BlockRef } from '../../core/chain.ts';
import { behind, contradiction, lacks, NodeError } from '../../nodes/fault.ts';
import { isRecord } from '../../nodes/json-rpc.ts';
import type { View } from '../../nodes/wallet-api.ts';
import type { NodeHead } from '../source.ts';
import { type Block, type Header, readHeader } from './decode.ts';
import type { TronNode } from './node.ts';
import { isNothing, judgeBlock, judgeHeader, judgeInfos, type ProvenBlock, proveBlock } from './validate.ts';

/*
 * Questions to one node, and answers that prove themselves. No heights are left out of a request: java-tron takes a missing
 * number for 0 and shows the first block of all.
 */

/** Infos asked for at the same time. */
export const infosAtOnce = 4;

/** A node's last block. */
export async function readLatest(node: TronNode, view: View, signal: AbortSignal): Promise<Header> {
  const answer = await node.api.call(view, 'getblock', { detail: false }, signal);
  if (isNothing(answer)) throw behind('it has no latest block');
  const header = readHeader(answer);
  if (header === null) throw contradiction('its latest block is malformed, or not of its own hash');
  return header;
}

/** Null where the node has no such block. */
export async function readHeaderAt(
  node: TronNode,
  view: View,
  height: number,
  signal: AbortSignal,
): Promise<Header | null> {
  const answer = await node.api.call(view, 'getblock', { id_or_num: String(height), detail: false }, signal);
  return judgeHeader(answer, height);
}

/** One block with what its transactions did; null where the node has none. */
export async function readProven(
  node: TronNode,
  view: View,
  height: number,
  signal: AbortSignal,
): Promise<ProvenBlock | null> {
  const block = judgeBlock(await node.api.call(view, 'getblockbynum', { num: height }, signal), height);
  return block === null ? null : proveBlock(block, await readInfos(node, view, block, signal));
}

/**
 * Blocks from a height on, as many of `count` as the node has and gives, each the child of the one before: all of them are asked
 * for at once, in ranges that the node serves, and their infos as they come, but not before it is their turn.
 */
export async function readProvenFrom(
  node: TronNode,
  from: number,
  count: number,
  signal: AbortSignal,
  turn?: Promise<void>,
): Promise<ProvenBlock[]> {
  const stop = new AbortController();
  const whileWanted = AbortSignal.any([signal, stop.signal]);
  const readInfosOf = fewAtOnce(infosAtOnce, (block: Block) => readInfos(node, 'wallet', block, whileWanted));
  const prove = async (block: Block) => proveBlock(block, await readInfosOf(block));
  const width = node.range.width();
  const starts = Array.from({ length: Math.ceil(count / width) }, (_, i) => from + i * width);
  const parts = starts.map(async (start) => {
    const wanted = Math.min(width, from + count - start);
    const blocks = await readBlocks(node, start, wanted, whileWanted);
    await turn;
    return { isShort: blocks.length < wanted, proven: await Promise.all(blocks.map(prove)) };
  });
  try {
    const proven: ProvenBlock[] = [];
    for (const part of await Promise.all(parts)) {
      proven.push(...part.proven);
      if (part.isShort) break;
    }
    return proven;
  } catch (error) {
    stop.abort(error);
    throw error;
  }
}

/** Work of which only so much goes on at the same time, in the order in which it comes; none is begun once some has failed. */
export function fewAtOnce<A, T>(most: number, work: (of: A) => Promise<T>): (of: A) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  let failure: { error: unknown } | null = null;
  return async (of) => {
    if (running >= most) await new Promise<void>((go) => waiting.push(go));
    else running += 1;
    try {
      if (failure !== null) throw failure.error;
      return await work(of);
    } catch (error) {
      failure ??= { error };
      throw error;
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

async function readBlocks(
  node: TronNode,
  from: number,
  count: number,
  signal: AbortSignal,
): Promise<Block[]> {
  return count === 1 ? readBlock(node, from, signal) : readRange(node, from, count, signal);
}

async function readBlock(node: TronNode, height: number, signal: AbortSignal): Promise<Block[]> {
  const block = judgeBlock(await node.api.call('wallet', 'getblockbynum', { num: height }, signal), height);
  if (block === null) return [];
  node.range.served(1, 0);
  return [block];
}

async function readRange(node: TronNode, from: number, count: number, signal: AbortSignal): Promise<Block[]> {
  let answer: unknown;
  try {
    const range = { startNum: from, endNum: from + count };
    answer = await node.api.call('wallet', 'getblockbylimitnext', range, signal);
  } catch (error) {
    if (!(error instanceof NodeError) || !isOfRange(error) || !node.range.refused(count, error.fault))
      throw error;
    // Who took too long gets a shorter question the next time: whether that helps nobody knows.
    if (error.fault.kind === 'unavailable') throw error;
    return readBlocks(node, from, Math.min(node.range.width(), count), signal);
  }
  if (isNothing(answer)) return [];
  if (!isRecord(answer) || !Array.isArray(answer.block) || answer.block.length > count)
    throw contradiction(`its blocks from ${from} on are malformed`);
  const blocks = (answer.block as unknown[]).map((value, i) => {
    const block = judgeBlock(value, from + i);
    if (block === null) throw contradiction(`its blocks from ${from} on are malformed`);
    return block;
  });
  node.range.served(blocks.length, 0);
  return blocks;
}

/** Whether fewer blocks may be served: it was too much for an answer, or for the time there is, or it serves single ones alone. */
function isOfRange({ fault }: NodeError): boolean {
  if (fault.kind === 'unavailable') return fault.late === true;
  return fault.kind === 'too-much' || fault.kind === 'unsupported';
}

/** A block without transactions, which its header proves, has no infos either. */
async function readInfos(
  node: TronNode,
  view: View,
  block: Block,
  signal: AbortSignal,
): Promise<ProvenBlock['infos']> {
  if (block.transactions.length === 0) return [];
  try {
    const body = { num: block.height };
    return judgeInfos(await node.api.call(view, 'gettransactioninfobyblocknum', body, signal), block);
  } catch (error) {
    if (error instanceof NodeError && error.fault.kind === 'unsupported')
      throw lacks(view === 'wallet' ? 'logs' : 'receipts', error);
    throw error;
  }
}

/**
 * A node's latest and solid blocks. What it calls solid is the lower of what `walletsolidity` shows and what `getnodeinfo`
 * says: after a restart the first has been seen to show blocks that were never solid.
 */
export async function readHeads(node: TronNode, signal: AbortSignal): Promise<Required<NodeHead>> {
  const latest = await readLatest(node, 'wallet', signal);
  return { latest: refOf(latest), finalized: await readSolid(node, signal) };
}

/** @throws NodeError `lacks` where the node does not tell. */
export async function readSolid(node: TronNode, signal: AbortSignal): Promise<BlockRef> {
  try {
    const [solid, info] = await Promise.all([
      readLatest(node, 'walletsolidity', signal),
      node.api.call('wallet', 'getnodeinfo', {}, signal),
    ]);
    const words = isRecord(info) ? info.solidityBlock : null;
    const said = typeof words === 'string' ? /^Num:(\d{1,15}),/.exec(words) : null;
    if (said === null) throw contradiction('its info names no solid block');
    const height = Number(said[1]);
    if (height >= solid.height) return refOf(solid);
    const header = await readHeaderAt(node, 'wallet', height, signal);
    if (header === null) throw behind(`it has no block ${height}, which it calls solid`);
    return refOf(header);
  } catch (error) {
    if (error instanceof NodeError && error.fault.kind === 'unsupported') throw lacks('finalized', error);
    throw error;
  }
}

export function refOf({ height, hash, time }: BlockRef): BlockRef {
  return { height, hash, time };
}
