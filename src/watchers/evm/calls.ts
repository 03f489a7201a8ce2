import type { AddressKey } from '../../core/address.ts';
import type { RpcCall } from '../../nodes/json-rpc.ts';

/** `Transfer(address indexed from, address indexed to, uint256 value)`. */
export const transferTopic = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef';

export type BlockTag = 'latest' | 'finalized';

/** A block without its transactions. */
export function getHeader(block: number | BlockTag): RpcCall {
  return {
    method: 'eth_getBlockByNumber',
    params: [typeof block === 'number' ? hexOf(block) : block, false],
  };
}

export function getFullBlock(height: number): RpcCall {
  return { method: 'eth_getBlockByNumber', params: [hexOf(height), true] };
}

export type LogFilter = {
  /** Contracts, as `0x` addresses. */
  tokens: readonly string[];
  from: number;
  to: number;
  /** Only transfers to these; null: to anybody. */
  recipients: readonly AddressKey[] | null;
};

export function getTransfers({ tokens, from, to, recipients }: LogFilter): RpcCall {
  const topics: unknown[] = [transferTopic];
  if (recipients !== null) topics.push(null, recipients.map(wordOf));
  return {
    method: 'eth_getLogs',
    params: [{ address: tokens, topics, fromBlock: hexOf(from), toBlock: hexOf(to) }],
  };
}

export function getReceipt(txHash: string): RpcCall {
  return { method: 'eth_getTransactionReceipt', params: [txHash] };
}

export function getTransaction(txHash: string): RpcCall {
  return { method: 'eth_getTransactionByHash', params: [txHash] };
}

/** Of the chain's own coin, at the end of a block. */
export function getBalance(key: AddressKey, height: number): RpcCall {
  return { method: 'eth_getBalance', params: [`0x${key}`, hexOf(height)] };
}

export const getChainId: RpcCall = { method: 'eth_chainId', params: [] };

/** `decimals()` of a token. */
export function getDecimals(token: string): RpcCall {
  return { method: 'eth_call', params: [{ to: token, data: '0x313ce567' }, 'latest'] };
}

export function getCode(address: string): RpcCall {
  return { method: 'eth_getCode', params: [address, 'latest'] };
}

function hexOf(value: number): string {
  return `0x${value.toString(16)}`;
}

/** An address as a topic: its 20 bytes at the end of 32. */
function wordOf(key: AddressKey): string {
  return `0x${key.padStart(64, '0')}`;
}
