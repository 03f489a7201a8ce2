import type { AddressKey } from '../../core/address.ts';
import type { BlockHash, BlockRef, TxHash } from '../../core/chain.ts';
import { readInt64 } from '../../core/lossless-json.ts';
import { isRecord } from '../../nodes/json-rpc.ts';
import { blockIdOf, type HashedTransaction, txTrieRootOf } from './hashes.ts';

/*
 * What java-tron's wallet API answers, read by hand: a schema library would cost more than everything else on the path of
 * a block of four hundred transactions. The JSON is printed from protobuf, so that what has its default value is missing.
 * Every reader returns null for whatever is not exactly of its shape; keys that nobody knows are ignored.
 */

/** A header whose id is the hash of what it says. */
export type Header = BlockRef & { parentHash: BlockHash; timeMs: number; txTrieRoot: string };

/*
 * Of a block as much is kept as may pay somebody: what was parsed for it is some hundred times as large, and goes at once.
 */

/** A header and the transactions under it. */
export type Block = Header & { transactions: readonly Transaction[] };

export type RawTransaction = Record<string, unknown> & { txID: TxHash };

export type Transaction = {
  txID: TxHash;
  /** What its owner signed. Unread. */
  rawHex: unknown;
  contract: Contract | null;
};

/** What ran, and whether it succeeded, as a block's body tells it. */
export type Contract = {
  type: string;
  succeeded: boolean;
  /** What a `TransferContract` moves. */
  transfer: { recipient: AddressKey | null; amount: bigint | null } | null;
};

/** What a transaction did. */
export type Info = {
  txHash: TxHash;
  height: number;
  timeMs: number;
  /** Null where the info tells none, as for everything but contract calls. */
  receiptResult: string | null;
  failed: boolean;
  logs: readonly Log[];
  /** Unread; null where the info has none, as from a node that does not store them. */
  internals: readonly unknown[] | null;
};

export type Log = {
  /** The contract, as logs have it: without any prefix. */
  address: unknown;
  /** To whom, where it is a TRC-20 `Transfer`. */
  recipient: AddressKey | null;
  /** Unread. */
  data: unknown;
};

/** `Transfer(address indexed from, address indexed to, uint256 value)`. */
const transferTopic = 'ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef';

/** An address fills the lower 20 bytes of a word; a token that puts more there does not mean an address. */
const emptyHalf = '0'.repeat(24);

const notHex = /[^0-9a-f]/;
const addressPattern = /^41[0-9a-f]{40}$/;

/** Of each character up to 127: 0 for a hex digit. */
const strange = Uint8Array.from({ length: 128 }, (_, code) =>
  Number(!'0123456789abcdef'.includes(String.fromCharCode(code))),
);

/** 32 bytes as 64 hex digits. By hand, as this runs twice for each transaction of a chain: a pattern takes three times as long. */
export function isWord(value: unknown): value is string {
  if (typeof value !== 'string' || value.length !== 64) return false;
  let found = 0;
  for (let at = 0; at < 64; at++) found |= strange[value.charCodeAt(at)] ?? 1;
  return found === 0;
}

/** The key of an address as the wallet API prints it: `41` and 40 hex digits. */
export function readAddress(value: unknown): AddressKey | null {
  return typeof value === 'string' && addressPattern.test(value) ? (value.slice(2) as AddressKey) : null;
}

/** Null also where the id is not that of the header. */
export function readHeader(value: unknown): Header | null {
  const raw = isRecord(value) && isRecord(value.block_header) ? value.block_header.raw_data : null;
  if (!isRecord(value) || !isRecord(raw) || !isWord(value.blockID)) return null;
  const { txTrieRoot, parentHash, witness_address: witnessAddress = '', accountStateRoot = '' } = raw;
  const height = readCount(raw.number);
  const timeMs = readCount(raw.timestamp);
  const version = readInt64(raw.version ?? 0);
  const witnessId = readInt64(raw.witness_id ?? 0);
  if (height === null || timeMs === null || version === null || witnessId === null) return null;
  if (!isWord(txTrieRoot) || !isWord(parentHash) || !isHex(witnessAddress) || !isHex(accountStateRoot))
    return null;
  const fields = {
    height,
    timeMs,
    txTrieRoot,
    parentHash,
    witnessId,
    witnessAddress,
    version,
    accountStateRoot,
  };
  if (blockIdOf(fields) !== value.blockID) return null;
  return {
    height,
    hash: value.blockID as string as BlockHash,
    // Producers make blocks on whole seconds; contracts and payments count in them.
    time: Math.floor(timeMs / 1000),
    parentHash: parentHash as string as BlockHash,
    timeMs,
    txTrieRoot,
  };
}

/** Null also where the header does not hold for these very transactions. */
export function readBlock(value: unknown): Block | null {
  const header = readHeader(value);
  if (header === null || !isRecord(value)) return null;
  const { transactions = [] } = value;
  if (!Array.isArray(transactions)) return null;
  const read = transactions as unknown[];
  if (!read.every(hasId)) return null;
  const hashed = read.map(readHashed);
  // Of one that is of a form not known yet the hash is not known either: its id must be that of the info at its place.
  const known = hashed.filter((one) => one !== null);
  if (known.length === hashed.length && txTrieRootOf(known) !== header.txTrieRoot) return null;
  return { ...header, transactions: read.map(readTransaction) };
}

export function readTransaction(raw: RawTransaction): Transaction {
  return { txID: raw.txID, rawHex: raw.raw_data_hex, contract: readContract(raw) };
}

function hasId(value: unknown): value is RawTransaction {
  return isRecord(value) && isWord(value.txID);
}

/** Numbers of Tron.proto's `contractResult`, in their order. */
const contractResults = [
  'DEFAULT',
  'SUCCESS',
  'REVERT',
  'BAD_JUMP_DESTINATION',
  'OUT_OF_MEMORY',
  'PRECOMPILED_CONTRACT',
  'STACK_TOO_SMALL',
  'STACK_TOO_LARGE',
  'ILLEGAL_OPERATION',
  'STACK_OVERFLOW',
  'OUT_OF_ENERGY',
  'OUT_OF_TIME',
  'JVM_STACK_OVER_FLOW',
  'UNKNOWN',
  'TRANSFER_FAILED',
  'INVALID_CODE',
];

/** As much of a transaction as the tree over a block's transactions is made of; null where it is of no form that is known. */
function readHashed({ raw_data_hex, signature = [], ret = [] }: RawTransaction): HashedTransaction | null {
  if (typeof raw_data_hex !== 'string' || !Array.isArray(signature) || !Array.isArray(ret)) return null;
  if (!(signature as unknown[]).every((one) => typeof one === 'string')) return null;
  const outcomes = (ret as unknown[]).map(readOutcome);
  if (!outcomes.every((outcome) => outcome !== null)) return null;
  return { rawHex: raw_data_hex, signatures: signature as string[], outcomes };
}

/** Whatever else stands beside it may be what a server before the node has added: nobody knows what was hashed then. */
function readOutcome(value: unknown): number | null {
  if (!isRecord(value)) return null;
  const { contractRet } = value;
  const known = contractRet === undefined ? 0 : 1;
  const number = contractResults.indexOf((contractRet ?? 'DEFAULT') as string);
  return number < 0 || Object.keys(value).length > known ? null : number;
}

/** The contract of a transaction, of which it has exactly one. */
export function readContract({ raw_data, ret }: RawTransaction): Contract | null {
  const contracts = isRecord(raw_data) && Array.isArray(raw_data.contract) ? raw_data.contract : [];
  const [only, second] = contracts as unknown[];
  const value = isRecord(only) && isRecord(only.parameter) ? only.parameter.value : null;
  if (!isRecord(only) || typeof only.type !== 'string' || !isRecord(value) || second !== undefined)
    return null;
  const [first] = Array.isArray(ret) ? (ret as unknown[]) : [];
  const isTransfer = only.type === 'TransferContract';
  return {
    type: only.type,
    succeeded: isRecord(first) && first.contractRet === 'SUCCESS',
    transfer: isTransfer
      ? { recipient: readAddress(value.to_address), amount: readInt64(value.amount ?? 0) }
      : null,
  };
}

export function readInfo(value: unknown): Info | null {
  if (!isRecord(value) || !isWord(value.id)) return null;
  const { receipt = {}, log = [], internal_transactions: internals = null } = value;
  const height = readCount(value.blockNumber);
  const timeMs = readCount(value.blockTimeStamp);
  if (height === null || timeMs === null || !isRecord(receipt) || !Array.isArray(log)) return null;
  if (internals !== null && !Array.isArray(internals)) return null;
  const { result: receiptResult = null } = receipt;
  if (receiptResult !== null && typeof receiptResult !== 'string') return null;
  return {
    txHash: value.id as string as TxHash,
    height,
    timeMs,
    receiptResult,
    // Whatever else may stand there one day is no success either.
    failed: value.result !== undefined && value.result !== 'SUCESS' && value.result !== 'SUCCESS',
    logs: (log as unknown[]).map(readLog),
    internals: internals as unknown[] | null,
  };
}

function readLog(value: unknown): Log {
  if (!isRecord(value)) return { address: null, recipient: null, data: null };
  const { address, topics, data } = value;
  return { address, recipient: Array.isArray(topics) ? readRecipient(topics as unknown[]) : null, data };
}

/** Of a TRC-20 `Transfer`: topic 0, and exactly three topics. */
function readRecipient(topics: readonly unknown[]): AddressKey | null {
  const word = topics[2];
  if (topics.length !== 3 || topics[0] !== transferTopic || !isWord(word)) return null;
  return word.startsWith(emptyHalf) ? (word.slice(emptyHalf.length) as AddressKey) : null;
}

/** A height or a time in ms; 0 is not printed. */
function readCount(value: unknown = 0): number | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : null;
  const read = readInt64(value);
  return read !== null && read >= 0n && read <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(read) : null;
}

export function isHex(value: unknown): value is string {
  return typeof value === 'string' && value.length % 2 === 0 && !notHex.test(value);
}
