import type { BlockHash } from '../../core/chain.ts';
import { blockIdOf, type HashedTransaction, txIdOf, txTrieRootOf } from '../../watchers/tron/hashes.ts';
import { bytesField, varintField } from '../../watchers/tron/protobuf.ts';

/*
 * Transactions and blocks as java-tron prints them, byte for byte: recordings of a real node are made again from their own
 * content by test/watchers/tron/simulated-node.test.ts. Addresses are hex with their 41.
 */

/** The kinds of contracts that the simulated chain has, with their values as the JSON names them. */
export type SimulatedContract =
  | { type: 'TransferContract'; value: { amount: bigint; owner_address: string; to_address: string } }
  | {
      type: 'TransferAssetContract';
      value: { amount: bigint; asset_name: string; owner_address: string; to_address: string };
    }
  | {
      type: 'TriggerSmartContract';
      value: { data?: string; owner_address: string; contract_address: string; call_value?: bigint };
    };

export type SimulatedTransaction = SimulatedContract & {
  contractRet: string;
  refBlockBytes: string;
  refBlockHash: string;
  /** Unix ms. */
  expiration: bigint;
  timestamp?: bigint;
  feeLimit?: bigint;
  /** A memo in hex. */
  data?: string;
  permissionId?: bigint;
  signatures: readonly string[];
};

const typeNumbers = { TransferContract: 1n, TransferAssetContract: 2n, TriggerSmartContract: 31n } as const;

export type PrintedTransaction = Record<string, unknown> & { txID: string; raw_data_hex: string };

export function printTransaction(transaction: SimulatedTransaction): PrintedTransaction {
  const { type, value, contractRet, signatures, permissionId } = transaction;
  const rawHex = rawOf(transaction).toString('hex');
  const { refBlockBytes, refBlockHash, expiration, timestamp, feeLimit, data } = transaction;
  const contract = {
    parameter: { value: withoutDefaults(value), type_url: typeUrl(type) },
    type,
    ...(permissionId === undefined ? {} : { Permission_id: permissionId }),
  };
  return {
    ret: [{ contractRet }],
    signature: [...signatures],
    txID: txIdOf(rawHex),
    raw_data: {
      ...(data === undefined ? {} : { data }),
      contract: [contract],
      ref_block_bytes: refBlockBytes,
      ref_block_hash: refBlockHash,
      expiration,
      ...(feeLimit === undefined ? {} : { fee_limit: feeLimit }),
      ...(timestamp === undefined ? {} : { timestamp }),
    },
    raw_data_hex: rawHex,
  };
}

function rawOf(transaction: SimulatedTransaction): Buffer {
  const { type, permissionId = 0n } = transaction;
  const parameter = Buffer.concat([
    bytesField(1, Buffer.from(typeUrl(type))),
    bytesField(2, contractValue(transaction)),
  ]);
  const contract = Buffer.concat([
    varintField(1, typeNumbers[type]),
    bytesField(2, parameter),
    varintField(5, permissionId),
  ]);
  return Buffer.concat([
    hexField(1, transaction.refBlockBytes),
    hexField(4, transaction.refBlockHash),
    varintField(8, transaction.expiration),
    hexField(10, transaction.data ?? ''),
    bytesField(11, contract),
    varintField(14, transaction.timestamp ?? 0n),
    varintField(18, transaction.feeLimit ?? 0n),
  ]);
}

function contractValue({ type, value }: SimulatedContract): Buffer {
  switch (type) {
    case 'TransferContract':
      return Buffer.concat([
        hexField(1, value.owner_address),
        hexField(2, value.to_address),
        varintField(3, value.amount),
      ]);
    case 'TransferAssetContract':
      return Buffer.concat([
        hexField(1, value.asset_name),
        hexField(2, value.owner_address),
        hexField(3, value.to_address),
        varintField(4, value.amount),
      ]);
    case 'TriggerSmartContract':
      return Buffer.concat([
        hexField(1, value.owner_address),
        hexField(2, value.contract_address),
        varintField(3, value.call_value ?? 0n),
        hexField(4, value.data ?? ''),
      ]);
    default:
      return type satisfies never;
  }
}

export type SimulatedHeader = {
  height: number;
  parentHash: string;
  timeMs: number;
  witnessAddress: string;
  version: bigint;
};

export function printBlock(
  header: SimulatedHeader,
  transactions: readonly PrintedTransaction[],
  witnessSignature = '',
): Record<string, unknown> & { blockID: string } {
  const { height, parentHash, timeMs, witnessAddress, version } = header;
  const txTrieRoot = txTrieRootOf(transactions.map(hashedOf)) ?? '';
  return {
    blockID: blockIdOf({ ...header, txTrieRoot, witnessId: 0n, accountStateRoot: '' }),
    block_header: {
      raw_data: {
        ...(height === 0 ? {} : { number: height }),
        txTrieRoot,
        witness_address: witnessAddress,
        parentHash,
        ...(version === 0n ? {} : { version }),
        timestamp: timeMs,
      },
      ...(witnessSignature === '' ? {} : { witness_signature: witnessSignature }),
    },
    ...(transactions.length === 0 ? {} : { transactions }),
  };
}

export function hashOf(header: SimulatedHeader, transactions: readonly PrintedTransaction[]): BlockHash {
  return printBlock(header, transactions).blockID as BlockHash;
}

const contractResults =
  'DEFAULT SUCCESS REVERT BAD_JUMP_DESTINATION OUT_OF_MEMORY PRECOMPILED_CONTRACT STACK_TOO_SMALL STACK_TOO_LARGE ILLEGAL_OPERATION STACK_OVERFLOW OUT_OF_ENERGY OUT_OF_TIME JVM_STACK_OVER_FLOW UNKNOWN TRANSFER_FAILED INVALID_CODE'.split(
    ' ',
  );

function hashedOf({ raw_data_hex, signature, ret }: PrintedTransaction): HashedTransaction {
  const [{ contractRet = 'DEFAULT' } = {}] = ret as { contractRet?: string }[];
  const number = contractResults.indexOf(contractRet);
  if (number < 0) throw new Error(`no such outcome: ${contractRet}`);
  return {
    rawHex: raw_data_hex,
    signatures: signature as string[],
    outcomes: [number],
  };
}

/** As java-tron prints protobuf: what has its default value is missing. */
function withoutDefaults(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).filter(([, inner]) => inner !== undefined && inner !== 0n && inner !== ''),
  );
}

function typeUrl(type: string): string {
  return `type.googleapis.com/protocol.${type}`;
}

function hexField(number: number, hex: string): Uint8Array {
  return bytesField(number, Buffer.from(hex, 'hex'));
}

/** JSON with bare integers, however large. */
export function print(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map(print).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${print(inner)}`).join(',')}}`;
}
