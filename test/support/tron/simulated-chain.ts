import { createHash } from 'node:crypto';
import type { TxHash } from '../../../src/core/chain.ts';
import {
  type ChainHashes,
  createScriptedChain,
  type ScriptedBlock,
  type ScriptedChain,
  type ScriptedChainOptions,
  type ScriptedTransfer,
} from '../scripted-chain.ts';
import {
  hashOf,
  type PrintedTransaction,
  printTransaction,
  type SimulatedContract,
  type SimulatedHeader,
  type SimulatedTransaction,
} from './encode.ts';

/*
 * A simulated TRON chain: a scripted chain whose transactions and blocks have the ids that java-tron would give them. What
 * runs in contracts is not run, but told.
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

/** A transaction in every detail, for what is no plain payment; `transfers` is what it pays to anybody. */
export type Custom = SimulatedContract & {
  contractRet?: string;
  /** As the info tells it; default the same. Null: none. */
  receiptResult?: string | null;
  failed?: boolean;
  logs?: SimulatedLog[];
  internals?: SimulatedInternal[];
  transfers?: readonly ScriptedTransfer[];
};

/** What a transaction is and did. */
export type SimulatedTx = { printed: PrintedTransaction; custom: Custom };

export type SimulatedTronChain = ScriptedChain & {
  /** Puts a transaction of any kind into the next block. */
  sendCustom(custom: Custom): TxHash;
  /** The transactions of a block, those of strangers first. */
  transactionsOf(block: Pick<ScriptedBlock, 'txs' | 'made' | 'strangers'>): SimulatedTx[];
  headerOf(block: Omit<ScriptedBlock, 'hash' | 'transfers'>): SimulatedHeader;
  /** A transaction that was sent and is in no block yet, on no fork. */
  pending(hash: string): SimulatedTx | null;
};

export const payer = `41${'5e'.repeat(20)}`;
/** What carries more than one transfer. */
export const batcher = `41${'ba7c'.repeat(10)}`;
const stranger = '57'.repeat(20);
const strangersToken = 'e1'.repeat(20);
export const transferTopic = 'ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef';

export function createSimulatedTronChain(
  options: Omit<ScriptedChainOptions, 'network' | 'hashes'>,
): SimulatedTronChain {
  const txs = new Map<string, SimulatedTx>();
  let made = 0;
  /** For the next transaction that is sent. */
  let next: Custom | null = null;

  function make(custom: Custom): SimulatedTx {
    made += 1;
    const { type, value, contractRet = 'SUCCESS' } = custom;
    const transaction = {
      type,
      value,
      contractRet,
      refBlockBytes: '0000',
      refBlockHash: digest('ref', 8),
      expiration: 1_795_900_000_000n,
      // What tells equal transactions apart.
      timestamp: BigInt(1_795_800_000_000 + made),
      ...(type === 'TriggerSmartContract' ? { feeLimit: 225_000_000n } : {}),
      signatures: [digest(`signature ${made}`, 65)],
    } as SimulatedTransaction;
    const tx = { printed: printTransaction(transaction), custom };
    txs.set(tx.printed.txID, tx);
    return tx;
  }

  const hashes: ChainHashes = {
    ofTransaction(transfers) {
      const tx = make(next ?? paying(transfers));
      next = null;
      return tx.printed.txID as TxHash;
    },
    ofBlock(block) {
      return hashOf(
        headerOf(block),
        transactionsOf(block).map(({ printed }) => printed),
      );
    },
  };

  function headerOf({
    height,
    time,
    parent,
    made: nth,
  }: Omit<ScriptedBlock, 'hash' | 'transfers'>): SimulatedHeader {
    return {
      height,
      parentHash: parent ?? '0'.repeat(64),
      timeMs: time * 1000,
      // Whoever made it: no two blocks of a height are the same.
      witnessAddress: `41${digest(`producer ${nth}`, 20)}`,
      version: 34n,
    };
  }

  const strangers = new Map<number, SimulatedTx>();

  function transactionsOf(block: Pick<ScriptedBlock, 'txs' | 'made' | 'strangers'>): SimulatedTx[] {
    const ours = block.txs.map(({ hash }) => txs.get(hash) as SimulatedTx);
    if (block.strangers === 0 || block.made === 1) return ours;
    const theirs = strangers.get(block.made) ?? make(betweenStrangers(block.strangers));
    strangers.set(block.made, theirs);
    return [theirs, ...ours];
  }

  const chain = createScriptedChain({ ...options, network: 'tron', hashes });
  return {
    ...chain,
    sendCustom(custom) {
      next = custom;
      return chain.send(...(custom.transfers ?? []));
    },
    transactionsOf,
    headerOf,
    pending: (hash) => (chain.inclusionsEver(hash as TxHash).length > 0 ? null : (txs.get(hash) ?? null)),
  };
}

/** A payment as most people make it: a transfer, a call of the token, or of a contract that pays several. */
function paying(transfers: readonly ScriptedTransfer[]): Custom {
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

function betweenStrangers(count: number): Custom {
  const logs = Array.from({ length: count }, () => transferLog(strangersToken, stranger, 1n));
  return {
    type: 'TriggerSmartContract',
    value: { data: '3e2cf2bd', owner_address: payer, contract_address: batcher },
    logs,
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
function digest(text: string, bytes: number): string {
  return createHash('shake256', { outputLength: bytes }).update(text).digest('hex');
}
