import type { BlockHash, TxHash } from '../../../src/core/chain.ts';
import { hashOf, type SimulatedHeader } from '../../../src/demo/tron/encode.ts';
import {
  batcher,
  type Custom,
  digest,
  makeTransaction,
  payer,
  paying,
  type SimulatedTx,
  transferLog,
} from '../../../src/demo/tron/transactions.ts';
import type { SimulatedBlock } from '../../../src/demo/tron/wallet-api.ts';
import {
  type ChainHashes,
  createScriptedChain,
  type ScriptedBlock,
  type ScriptedChain,
  type ScriptedChainOptions,
  type ScriptedTransfer,
} from '../scripted-chain.ts';

/*
 * A simulated TRON chain with forks: a scripted chain whose transactions and blocks have the ids that java-tron would give
 * them.
 */

export type SimulatedTronChain = ScriptedChain & {
  /** Puts a transaction of any kind into the next block, with what it pays to anybody. */
  sendCustom(custom: Custom, transfers?: readonly ScriptedTransfer[]): TxHash;
  /** A block as nodes serve it. */
  simulated(block: ScriptedBlock): SimulatedBlock;
  /** A transaction that was sent and is in no block yet, on no fork. */
  pending(hash: string): SimulatedTx | null;
};

const stranger = '57'.repeat(20);
const strangersToken = 'e1'.repeat(20);

export function createSimulatedTronChain(
  options: Omit<ScriptedChainOptions, 'network' | 'hashes'>,
): SimulatedTronChain {
  const txs = new Map<string, SimulatedTx>();
  const simulated = new Map<BlockHash, SimulatedBlock>();
  /** For the next transaction that is sent. */
  let next: Custom | null = null;

  function make(custom: Custom, transfers: readonly ScriptedTransfer[] = []): SimulatedTx {
    const tx = makeTransaction(custom, transfers, txs.size + 1);
    txs.set(tx.printed.txID, tx);
    return tx;
  }

  const hashes: ChainHashes = {
    ofTransaction(transfers) {
      const tx = make(next ?? paying(transfers), transfers);
      next = null;
      return tx.printed.txID as TxHash;
    },
    ofBlock({ height, time, parent, made, txs: own, strangers }) {
      const header: SimulatedHeader = {
        height,
        parentHash: parent ?? '0'.repeat(64),
        timeMs: time * 1000,
        // Whoever made it: no two blocks of a height are the same.
        witnessAddress: `41${digest(`producer ${made}`, 20)}`,
        version: 34n,
      };
      const ours = own.map((tx) => txs.get(tx.hash) as SimulatedTx);
      const theirs = strangers === 0 || made === 1 ? [] : [make(betweenStrangers(strangers))];
      const transactions = [...theirs, ...ours];
      const hash = hashOf(
        header,
        transactions.map(({ printed }) => printed),
      );
      simulated.set(hash, { hash, header, transactions });
      return hash;
    },
  };

  const chain = createScriptedChain({ ...options, network: 'tron', hashes });
  return {
    ...chain,
    sendCustom(custom, transfers = []) {
      next = custom;
      return chain.send(...transfers);
    },
    simulated: ({ hash }) => simulated.get(hash) as SimulatedBlock,
    pending: (hash) => (chain.inclusionsEver(hash as TxHash).length > 0 ? null : (txs.get(hash) ?? null)),
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
