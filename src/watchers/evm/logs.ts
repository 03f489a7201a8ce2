import { type AddressKey, keyOfWord } from '../../core/address.ts';
import type { BlockHash, BlockRef, Transfer, TxHash } from '../../core/chain.ts';
import type { Network } from '../../core/networks.ts';
import { isRecord } from '../../nodes/json-rpc.ts';
import type { Tokens } from '../source.ts';
import { transferTopic } from './calls.ts';
import { isWord, readAddress, readBlockHash, readQuantity, readTxHash } from './decode.ts';

/** An ERC-20 `Transfer` as a node printed it, each part of the right shape. */
export type TransferLog = {
  token: AddressKey;
  /** The recipient as 32 bytes. */
  recipientWord: string;
  /** The value as 32 bytes. */
  data: string;
  height: number;
  blockHash: BlockHash;
  txHash: TxHash;
  logIndex: number;
};

/** A transfer to a watched address whose block's time is not known yet. */
export type MatchedLog = Omit<TransferLog, 'recipientWord' | 'data'> & {
  recipient: AddressKey;
  amount: bigint;
};

const emptyHalf = `0x${'0'.repeat(24)}`;

/**
 * Reads a log that is an ERC-20 transfer: topic 0, exactly three topics, 32 bytes of data, not removed. Null
 * for anything else; an ERC-721 transfer shares the topic, but has a fourth.
 */
export function readTransferLog(value: unknown): TransferLog | null {
  if (!isRecord(value) || (value.removed !== undefined && value.removed !== false)) return null;
  const topics = value.topics;
  if (!Array.isArray(topics) || topics.length !== 3) return null;
  const [topic, sender, recipientWord] = topics as unknown[];
  if (topic !== transferTopic && !(isWord(topic) && topic.toLowerCase() === transferTopic)) return null;
  if (!isWord(sender) || !isWord(recipientWord) || !isWord(value.data)) return null;
  const token = readAddress(value.address);
  const height = readQuantity(value.blockNumber);
  const logIndex = readQuantity(value.logIndex);
  const blockHash = readBlockHash(value.blockHash);
  const txHash = readTxHash(value.transactionHash);
  if (token === null || height === null || logIndex === null || blockHash === null || txHash === null)
    return null;
  return { token, recipientWord, data: value.data, height, blockHash, txHash, logIndex };
}

/** What the log pays to an address that `watched` knows; null when it pays nothing or nobody of ours. */
export function matchLog(log: TransferLog, watched: (key: AddressKey) => boolean): MatchedLog | null {
  // An address fills the lower 20 bytes; a token that puts more there does not mean an address.
  if (!log.recipientWord.startsWith(emptyHalf)) return null;
  const recipient = keyOfWord(log.recipientWord);
  if (!watched(recipient)) return null;
  const amount = BigInt(log.data);
  // Spammers move nothing to and from everybody, to get look-alike addresses into wallets' histories.
  if (amount === 0n) return null;
  const { token, height, blockHash, txHash, logIndex } = log;
  return { token, recipient, amount, height, blockHash, txHash, logIndex };
}

/**
 * Numbers the transfers of each token to each recipient within its transaction from 0, in the order of their
 * logs, or of whatever shows them. `logs` are in chain order and hold every such transfer of their transactions. Transfers of nothing
 * are not counted, as they are not transfers. The order of logs within a transaction is the order in which
 * it ran, so a transaction that is mined again in another block keeps these numbers.
 */
export function withOrdinals<T extends Pick<Transfer, 'txHash' | 'token' | 'recipient'>>(
  logs: readonly T[],
): (T & { ordinal: number })[] {
  const counts = new Map<string, number>();
  return logs.map((log) => {
    const key = `${log.txHash} ${log.token} ${log.recipient}`;
    const ordinal = counts.get(key) ?? 0;
    counts.set(key, ordinal + 1);
    return { ...log, ordinal };
  });
}

/** @param blocks the block at the height of each log. */
export function toTransfers(
  logs: readonly MatchedLog[],
  network: Network,
  currencies: Tokens,
  blocks: ReadonlyMap<number, BlockRef>,
): Transfer[] {
  const transfers: Transfer[] = [];
  for (const { height, blockHash: _, ...log } of withOrdinals(logs)) {
    const currency = currencies.get(log.token);
    const block = blocks.get(height);
    if (currency !== undefined && block !== undefined) transfers.push({ network, currency, block, ...log });
  }
  return transfers;
}
