import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AddressKey } from '../../src/core/address.ts';
import { knownChains } from '../../src/core/chains/known.ts';
import type { KnownNetwork } from '../../src/core/networks.ts';

import { transferTopic } from '../../src/watchers/evm/calls.ts';
import type {
  NodeView,
  ScriptedBlock,
  ScriptedChain,
  ScriptedTransfer,
  ScriptedTx,
} from './scripted-chain.ts';

/** A scripted chain as an Ethereum node serves it: JSON-RPC over HTTP. */
export type ScriptedNodeServer = {
  url: string;
  /** What it takes for its chain; may be changed at any time. */
  view: NodeView;
  close(): Promise<void>;
};

type Call = { id: unknown; method: string; params: unknown[] };
type Filter = { address: string[]; topics: (string | string[] | null)[]; fromBlock: string; toBlock: string };

const payer = `0x${'5e'.repeat(20)}`;
/** What carries more than one transfer. */
const batcher = `0x${'ba7c'.repeat(10)}`;
const nowhere = `0x${'0'.repeat(64)}`;

/** Serves the chain as it is at each moment, honestly: see fault-proxy.ts for the rest. */
export async function startScriptedNode(
  chain: ScriptedChain,
  view: NodeView = 'tip',
): Promise<ScriptedNodeServer> {
  const server = createServer(async (request, response) => {
    const body = JSON.parse(await readBody(request)) as Call | Call[];
    // One moment of the chain for all that is asked at once.
    const branch = chain.branchOf(node.view);
    const respond = (call: Call) => answer(chain, branch, call);
    const text = JSON.stringify(Array.isArray(body) ? body.map(respond) : respond(body));
    response.writeHead(200, { 'content-type': 'application/json' }).end(text);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const node: ScriptedNodeServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    view,
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
  return node;
}

function answer(chain: ScriptedChain, branch: readonly ScriptedBlock[], { id, method, params }: Call) {
  try {
    return { jsonrpc: '2.0', id, result: resultOf(chain, branch, method, params) };
  } catch (error) {
    return { jsonrpc: '2.0', id, error: refusalOf(error) };
  }
}

function resultOf(
  chain: ScriptedChain,
  branch: readonly ScriptedBlock[],
  method: string,
  params: readonly unknown[],
): unknown {
  const head = branch.at(-1) as ScriptedBlock;
  const [first] = params as [string, ...unknown[]];
  const found = () => findTx(branch, first);
  switch (method) {
    case 'eth_chainId':
      return hex(knownChains[chain.network as KnownNetwork].chainId ?? 0);
    case 'eth_blockNumber':
      return hex(head.height);
    case 'eth_call':
      return word(decimalsOf(chain, (params[0] as { to: string }).to));
    case 'eth_getCode':
      return '0x60';
    case 'eth_getBlockByNumber': {
      const finalized = chain.finalizedOf(head) ?? head.height;
      const height = first === 'latest' ? head.height : first === 'finalized' ? finalized : Number(first);
      const block = branch[Math.max(0, height)];
      return block === undefined ? null : blockOf(block, params[1] === true);
    }
    case 'eth_getLogs':
      return logsOf(branch, params[0] as Filter);
    case 'eth_getTransactionReceipt': {
      const place = found();
      return place === null ? null : receiptOf(place.block, place.tx);
    }
    case 'eth_getTransactionByHash': {
      const place = found();
      return place === null ? null : { ...transactionOf(place.tx), blockHash: place.block.hash };
    }
    case 'debug_traceTransaction': {
      const place = found();
      if (place === null) throw new Error('transaction not found');
      return traceOf(place.tx);
    }
    case 'eth_getBalance': {
      const upTo = Number(params[1]);
      if (upTo > head.height) throw new Error('header not found');
      const key = first.slice(2).toLowerCase();
      const paid = branch
        .filter(({ height }) => height <= upTo)
        .flatMap(({ transfers }) => transfers)
        .filter(({ token, recipient }) => token === 'native' && recipient === key);
      return hex(paid.reduce((sum, { amount }) => sum + amount, 0n));
    }
    default:
      throw new Error(`the method ${method} does not exist/is not available`);
  }
}

function blockOf({ height, hash, parent, time, txs }: ScriptedBlock, full: boolean) {
  return {
    number: hex(height),
    hash,
    parentHash: parent ?? nowhere,
    timestamp: hex(time),
    transactions: txs.map((tx) => (full ? transactionOf(tx) : tx.hash)),
  };
}

function transactionOf({ hash, transfers }: ScriptedTx) {
  const [only, ...more] = transfers;
  if (only !== undefined && more.length === 0) {
    const { token, recipient, amount } = only;
    return token === 'native'
      ? { hash, from: payer, to: `0x${recipient}`, value: hex(amount), input: '0x' }
      : { hash, from: payer, to: `0x${token}`, value: '0x0', input: transferInput(only) };
  }
  const words = transfers.map(({ recipient }) => recipient.padStart(64, '0')).join('');
  return { hash, from: payer, to: batcher, value: hex(coinsOf(transfers)), input: `0x3e2cf2bd${words}` };
}

function transferInput({ recipient, amount }: ScriptedTransfer): string {
  return `0xa9059cbb${recipient.padStart(64, '0')}${amount.toString(16).padStart(64, '0')}`;
}

function coinsOf(transfers: readonly ScriptedTransfer[]): bigint {
  return transfers.reduce((sum, { token, amount }) => (token === 'native' ? sum + amount : sum), 0n);
}

function traceOf(tx: ScriptedTx) {
  const { from, to, value, input } = transactionOf(tx);
  const calls = tx.transfers.map(({ token, recipient, amount }) =>
    token === 'native'
      ? { type: 'CALL', from: batcher, to: `0x${recipient}`, value: hex(amount) }
      : { type: 'CALL', from: batcher, to: `0x${token}`, value: '0x0' },
  );
  return { type: 'CALL', from, to, value, input, ...(to === batcher ? { calls } : {}) };
}

function receiptOf(block: ScriptedBlock, { hash }: ScriptedTx) {
  return {
    transactionHash: hash,
    blockNumber: hex(block.height),
    blockHash: block.hash,
    status: '0x1',
    logs: logsIn(block).filter(({ transactionHash }) => transactionHash === hash),
  };
}

/** Strangers' transfers first, as many as the first log index of ours says. */
function logsIn(block: ScriptedBlock) {
  const tokens = block.transfers.flatMap((transfer) => (transfer.logIndex === null ? [] : [transfer]));
  const log = (at: number, token: string, txHash: string, recipient: string, amount: bigint) => ({
    address: `0x${token}`,
    topics: [transferTopic, word(BigInt(payer)), word(BigInt(`0x${recipient}`))],
    data: word(amount),
    blockNumber: hex(block.height),
    blockHash: block.hash,
    transactionHash: txHash,
    logIndex: hex(at),
    removed: false,
  });
  const [ours] = tokens;
  const strangers = Array.from({ length: ours?.logIndex ?? 0 }, (_, at) =>
    log(at, ours?.token ?? '', `0x${'57'.repeat(32)}`, '57'.repeat(20), 1n),
  );
  return [
    ...strangers,
    ...tokens.map(({ logIndex, token, txHash, recipient, amount }) =>
      log(logIndex ?? 0, token, txHash, recipient, amount),
    ),
  ];
}

/** As a node filters: addresses and topics in any case, null for anything; a range past the head is cut. */
function logsOf(branch: readonly ScriptedBlock[], filter: Filter) {
  const addresses = new Set(filter.address.map((address) => address.toLowerCase()));
  const topics = filter.topics.map((topic) => (topic === null ? null : new Set([topic].flat())));
  return branch
    .slice(Number(filter.fromBlock), Number(filter.toBlock) + 1)
    .flatMap(logsIn)
    .filter(({ address }) => addresses.has(address))
    .filter((log) => topics.every((allowed, i) => allowed === null || allowed.has(log.topics[i] ?? '')));
}

function findTx(
  branch: readonly ScriptedBlock[],
  hash: string,
): { block: ScriptedBlock; tx: ScriptedTx } | null {
  for (const block of branch) {
    const tx = block.txs.find((one) => one.hash === hash);
    if (tx !== undefined) return { block, tx };
  }
  return null;
}

function decimalsOf({ network }: ScriptedChain, address: string): bigint {
  const key = address.slice(2).toLowerCase() as AddressKey;
  const tokens = Object.values(knownChains[network as KnownNetwork].tokens);
  return BigInt(tokens.find((token) => token.address.slice(2).toLowerCase() === key)?.decimals ?? 0);
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

function word(value: bigint): string {
  return `0x${value.toString(16).padStart(64, '0')}`;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function refusalOf(error: unknown): { code: number; message: string } {
  const { message } = error as Error;
  return { code: message.includes('does not exist') ? -32601 : -32000, message };
}
