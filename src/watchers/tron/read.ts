import type { BlockRef } from '../../core/chain.ts';
import { behind, contradiction, lacks, NodeError } from '../../nodes/fault.ts';
import { isRecord } from '../../nodes/json-rpc.ts';
import type { View } from '../../nodes/wallet-api.ts';
import type { NodeHead } from '../source.ts';
import { type Block, type Header, readHeader } from './decode.ts';
import { mostBlocks, type TronNode } from './node.ts';
import { isNothing, judgeBlock, judgeHeader, judgeInfos, type ProvenBlock } from './validate.ts';

/*
 * Questions to one node, and answers that prove themselves. No heights are left out of a request: java-tron takes a missing
 * number for 0 and shows the first block of all.
 */

/** Infos asked for at the same time. */
const infosAtOnce = 4;

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
  return block === null ? null : { block, infos: await readInfos(node, view, block, signal) };
}

/** Blocks from a height on, as many of `count` as the node has and gives at once, each the child of the one before. */
export async function readProvenFrom(
  node: TronNode,
  from: number,
  count: number,
  signal: AbortSignal,
): Promise<ProvenBlock[]> {
  const blocks = await readBlocks(node, from, count, signal);
  const proven: ProvenBlock[] = [];
  for (let at = 0; at < blocks.length; at += infosAtOnce) {
    const some = blocks.slice(at, at + infosAtOnce);
    const infos = await Promise.all(some.map((block) => readInfos(node, 'wallet', block, signal)));
    proven.push(...some.map((block, i) => ({ block, infos: infos[i] ?? [] })));
  }
  return proven;
}

async function readBlocks(
  node: TronNode,
  from: number,
  count: number,
  signal: AbortSignal,
): Promise<Block[]> {
  if (count === 1) {
    const block = judgeBlock(await node.api.call('wallet', 'getblockbynum', { num: from }, signal), from);
    return block === null ? [] : [block];
  }
  let answer: unknown;
  try {
    const range = { startNum: from, endNum: from + count };
    answer = await node.api.call('wallet', 'getblockbylimitnext', range, signal);
  } catch (error) {
    const tooMuch =
      error instanceof NodeError && (error.fault.kind === 'too-much' || isLate(error)) && count > 1;
    if (!tooMuch) throw error;
    node.width = Math.max(1, Math.floor(count / 2));
    return readBlocks(node, from, node.width, signal);
  }
  node.width = Math.min(mostBlocks, Math.max(node.width, count + 1));
  if (isNothing(answer)) return [];
  if (!isRecord(answer) || !Array.isArray(answer.block) || answer.block.length > count)
    throw contradiction(`its blocks from ${from} on are malformed`);
  return (answer.block as unknown[]).map((value, i) => {
    const block = judgeBlock(value, from + i);
    if (block === null) throw contradiction(`its blocks from ${from} on are malformed`);
    return block;
  });
}

function isLate({ fault }: NodeError): boolean {
  return fault.kind === 'unavailable' && fault.late === true;
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
    const said = isRecord(info) ? /^Num:(\d{1,15}),/.exec(String(info.solidityBlock)) : null;
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
