import type { AddressKey } from '../../core/address.ts';
import type { Currency } from '../../core/assets.ts';
import type { Transfer, TxHash } from '../../core/chain.ts';
import { readInt64 } from '../../core/lossless-json.ts';
import type { Network } from '../../core/networks.ts';
import { contradiction } from '../../nodes/fault.ts';
import { isRecord } from '../../nodes/json-rpc.ts';
import { withOrdinals } from '../evm/logs.ts';
import {
  type Contract,
  type Info,
  isHex,
  isWord,
  type RawTransaction,
  readAddress,
  readContract,
} from './decode.ts';
import { txIdOf } from './hashes.ts';
import { onlyBytes, onlyVarint, readFields } from './protobuf.ts';
import type { ProvenBlock } from './validate.ts';

/** What is looked for in a block. */
export type Search = {
  network: Network;
  /** What the tokens of a chain are to us, by the key of their contract. */
  currencies: ReadonlyMap<AddressKey, Currency>;
  watched: (key: AddressKey) => boolean;
  /** Whether transfers of the chain's own coin count, and those that contracts make. */
  native: boolean;
  internal: boolean;
};

type Match = Pick<Transfer, 'txHash' | 'token' | 'currency' | 'recipient' | 'amount' | 'logIndex'>;

/** `Transfer(address indexed from, address indexed to, uint256 value)`. */
export const transferTopic = 'ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef';

const emptyHalf = '0'.repeat(24);

/** Types of contracts that run code: for these a receipt must say that it went well. */
const callTypes = new Set(['TriggerSmartContract', 'CreateSmartContract']);

export function isCall({ type }: Contract): boolean {
  return callTypes.has(type);
}

/**
 * Everything that a block moves to watched addresses, in its order. Only what a transaction did that succeeded by the word
 * of its body and of its info: after a time-out a node may keep the logs of a transfer that never was.
 *
 * @throws NodeError where a match is not in what the transaction's owner signed.
 */
export function transfersOf({ block, infos }: ProvenBlock, search: Search): Transfer[] {
  const matches: Match[] = [];
  let logs = 0;
  for (const [i, transaction] of block.transactions.entries()) {
    const info = infos[i];
    const contract = readContract(transaction);
    if (info === undefined || contract === null || !succeeded(contract, info)) continue;
    const found = matchesOf(transaction, contract, info, search, logs);
    logs += info.logs.length;
    if (found.length > 0) requireSigned(transaction);
    matches.push(...found);
  }
  const { height, hash, time } = block;
  return withOrdinals(matches).map((match) => ({
    ...match,
    network: search.network,
    block: { height, hash, time },
  }));
}

/** Three marks, of which each alone has been seen to be wrong or missing. */
function succeeded(contract: Contract, { receiptResult, failed }: Info): boolean {
  if (!contract.succeeded || failed) return false;
  return isCall(contract) ? receiptResult === 'SUCCESS' : (receiptResult ?? 'SUCCESS') === 'SUCCESS';
}

function matchesOf(
  transaction: RawTransaction,
  contract: Contract,
  info: Info,
  search: Search,
  firstLog: number,
): Match[] {
  const { txID: txHash } = transaction;
  if (contract.type === 'TransferContract')
    return search.native ? matchTransfer(transaction, contract, search) : [];
  if (!isCall(contract)) return [];
  const found = info.logs.flatMap((log, i) => matchLog(log, txHash, search, firstLog + i));
  return search.native && search.internal ? [...found, ...matchInternals(info, search)] : found;
}

/** A plain transfer of TRX, as its owner signed it. */
function matchTransfer(transaction: RawTransaction, { value }: Contract, { watched }: Search): Match[] {
  const recipient = readAddress(value.to_address);
  if (recipient === null || !watched(recipient)) return [];
  const amount = readInt64(value.amount ?? 0);
  const signed = signedTransfer(transaction);
  if (signed?.recipient !== recipient || signed.amount !== amount)
    throw contradiction(`transaction ${transaction.txID} is not what its owner signed`);
  if (amount === null || amount <= 0n) return [];
  return [coin(transaction.txID, recipient, amount)];
}

/** `raw_data`: contract (11) { type (1) 1, parameter (2) { value (2): TransferContract { to (2), amount (3) } } }. */
function signedTransfer({
  raw_data_hex,
}: RawTransaction): { recipient: AddressKey | null; amount: bigint | null } | null {
  const raw = isHex(raw_data_hex) ? readFields(Buffer.from(raw_data_hex, 'hex')) : null;
  const contract = within(raw, 11);
  if (contract === null || onlyVarint(contract, 1) !== 1n) return null;
  const transfer = within(within(contract, 2), 2);
  const to = transfer === null ? null : onlyBytes(transfer, 2);
  if (transfer === null || to === null) return null;
  return { recipient: readAddress(Buffer.from(to).toString('hex')), amount: onlyVarint(transfer, 3) };
}

function within(fields: ReturnType<typeof readFields>, number: number): ReturnType<typeof readFields> {
  const bytes = fields === null ? null : onlyBytes(fields, number);
  return bytes === null ? null : readFields(bytes);
}

/** A TRC-20 `Transfer`: topic 0, exactly three topics, 32 bytes of data. Addresses in logs have no prefix at all. */
function matchLog(
  value: unknown,
  txHash: TxHash,
  { currencies, watched }: Search,
  logIndex: number,
): Match[] {
  if (!isRecord(value) || !Array.isArray(value.topics) || value.topics.length !== 3) return [];
  const token = value.address as AddressKey;
  const currency = currencies.get(token);
  const [topic, , recipientWord] = value.topics as unknown[];
  if (currency === undefined || topic !== transferTopic) return [];
  // An address fills the lower 20 bytes; a token that puts more there does not mean an address.
  if (typeof recipientWord !== 'string' || !recipientWord.startsWith(emptyHalf)) return [];
  // Whatever else it may be, only keys are watched.
  const recipient = recipientWord.slice(emptyHalf.length) as AddressKey;
  if (!watched(recipient) || !isWord(value.data)) return [];
  const amount = BigInt(`0x${value.data}`);
  return amount === 0n ? [] : [{ txHash, token, currency, recipient, amount, logIndex }];
}

/** What a contract does when it pays: a call, a creation, or its end. Freezing and voting carry values too, and pay nobody. */
const payingNotes = new Set(['call', 'create', 'suicide'].map((note) => Buffer.from(note).toString('hex')));

function matchInternals({ txHash, internals }: Info, { watched }: Search): Match[] {
  return (internals ?? []).flatMap((value): Match[] => {
    if (!isRecord(value) || !payingNotes.has(value.note as string)) return [];
    if (value.rejected !== undefined && value.rejected !== false) return [];
    const recipient = readAddress(value.transferTo_address);
    if (recipient === null || !watched(recipient) || !Array.isArray(value.callValueInfo)) return [];
    return (value.callValueInfo as unknown[]).flatMap((info): Match[] => {
      // With a token's id the value is of a TRC-10 token.
      if (!isRecord(info) || info.tokenId !== undefined) return [];
      const amount = readInt64(info.callValue ?? 0);
      return amount === null || amount <= 0n ? [] : [coin(txHash, recipient, amount)];
    });
  });
}

function coin(txHash: TxHash, recipient: AddressKey, amount: bigint): Match {
  return { txHash, token: 'native', currency: 'native', recipient, amount, logIndex: null };
}

function requireSigned({ txID, raw_data_hex }: RawTransaction): void {
  if (!isHex(raw_data_hex) || txIdOf(raw_data_hex) !== txID)
    throw contradiction(`transaction ${txID} is not what its owner signed`);
}
