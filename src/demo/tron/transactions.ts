import { createHash } from 'node:crypto';
import type { AddressKey } from '../../core/address.ts';
import {
  type PrintedTransaction,
  printTransaction,
  type SimulatedContract,
  type SimulatedTransaction,
} from './encode.ts';

/*
 * What transactions of the simulated TRON chain are and did. What runs in contracts is not run, but told.
 */

/** A log as infos have it: hex without any prefix. */
export type SimulatedLog = { address: string; topics: string[]; data?: string };

export type SimulatedInternal = {
  caller_address: string;
  transferTo_address: string;
  callValueInfo: { callValue?: bigint; tokenId?: string }[];
  note: string;
  rejected?: boolean;
};

/** What a transaction pays to somebody. */
export type SimulatedTransfer = { token: AddressKey | 'native'; recipient: AddressKey; amount: bigint };

/** A transaction in every detail, for what is no plain payment. */
export type Custom = SimulatedContract & {
  contractRet?: string;
  /** As the info tells it; default the same. Null: none. */
  receiptResult?: string | null;
  failed?: boolean;
  logs?: SimulatedLog[];
  internals?: SimulatedInternal[];
};

/** What a transaction is, did, and paid to anybody. */
export type SimulatedTx = {
  printed: PrintedTransaction;
  custom: Custom;
  transfers: readonly SimulatedTransfer[];
};

export const payer = `41${'5e'.repeat(20)}`;
/** What carries more than one transfer. */
export const batcher = `41${'ba7c'.repeat(10)}`;
export const transferTopic = 'ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef';

/** A transaction with its id. `nth` is what tells equal ones apart. */
export function makeTransaction(
  custom: Custom,
  transfers: readonly SimulatedTransfer[],
  nth: number,
): SimulatedTx {
  const { type, value, contractRet = 'SUCCESS' } = custom;
  const transaction = {
    type,
    value,
    contractRet,
    refBlockBytes: '0000',
    refBlockHash: digest('ref', 8),
    expiration: 1_795_900_000_000n,
    timestamp: BigInt(1_795_800_000_000 + nth),
    ...(type === 'TriggerSmartContract' ? { feeLimit: 225_000_000n } : {}),
    signatures: [digest(`signature ${nth}`, 65)],
  } as SimulatedTransaction;
  return { printed: printTransaction(transaction), custom, transfers };
}

/** A payment as most people make it: a transfer, a call of the token, or of a contract that pays several. */
export function paying(transfers: readonly SimulatedTransfer[]): Custom {
  const [only, ...more] = transfers;
  if (only !== undefined && more.length === 0) {
    const { token, recipient, amount } = only;
    if (token === 'native')
      return {
        type: 'TransferContract',
        value: { amount, owner_address: payer, to_address: `41${recipient}` },
        receiptResult: null,
      };
    return {
      type: 'TriggerSmartContract',
      value: {
        data: `a9059cbb${recipient.padStart(64, '0')}${word(amount)}`,
        owner_address: payer,
        contract_address: `41${token}`,
      },
      logs: [transferLog(token, recipient, amount)],
    };
  }
  const coins = transfers.filter(({ token }) => token === 'native');
  return {
    type: 'TriggerSmartContract',
    value: {
      data: `3e2cf2bd${transfers.map(({ recipient }) => recipient.padStart(64, '0')).join('')}`,
      owner_address: payer,
      contract_address: batcher,
      call_value: coins.reduce((sum, { amount }) => sum + amount, 0n),
    },
    logs: transfers.flatMap(({ token, recipient, amount }) =>
      token === 'native' ? [] : [transferLog(token, recipient, amount)],
    ),
    internals: coins.map(({ recipient, amount }) => internal(recipient, amount)),
  };
}

export function transferLog(token: string, recipient: string, amount: bigint): SimulatedLog {
  const topics = [transferTopic, payer.slice(2).padStart(64, '0'), recipient.padStart(64, '0')];
  return { address: token, topics, data: word(amount) };
}

export function internal(recipient: string, amount: bigint, note = 'call'): SimulatedInternal {
  return {
    caller_address: batcher,
    transferTo_address: `41${recipient}`,
    callValueInfo: [amount === 0n ? {} : { callValue: amount }],
    note: Buffer.from(note).toString('hex'),
  };
}

export function word(value: bigint): string {
  return value.toString(16).padStart(64, '0');
}

/** So many bytes that depend on a text. */
export function digest(text: string, bytes: number): string {
  return createHash('shake256', { outputLength: bytes }).update(text).digest('hex');
}
