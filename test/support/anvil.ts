import { onTestFinished } from 'vitest';
import { type Anvil, type AnvilOptions, startAnvil } from '../../src/demo/anvil.ts';

export type Block = { number: number; hash: string; parentHash: string; timestamp: number };

export type Receipt = {
  status: string;
  blockNumber: number;
  blockHash: string;
  contractAddress: string | null;
  logs: { address: string; topics: string[]; data: string; logIndex: string }[];
};

/** What a transaction may say; amounts in wei. */
export type TransactionRequest = {
  from?: string;
  to?: string;
  value?: bigint;
  data?: string;
  /** Default three millions. */
  gas?: bigint;
};

/** A local chain in a test's hands. With `automine: false` a sent transaction waits for {@link TestAnvil.mine}. */
export type TestAnvil = Anvil & {
  /** Ten accounts with 10,000 coins each. Whatever names no sender comes from the first. */
  accounts: readonly string[];
  height(): Promise<number>;
  block(height: number | 'latest' | 'finalized'): Promise<Block>;
  /**
   * Makes `count` blocks now, each `seconds` after the one before: those put the chain's clock forward for good. By default
   * it goes with ours, as on a chain.
   */
  mine(count?: number, seconds?: number): Promise<void>;
  /** The time of the next block, Unix seconds; later than that of the head. */
  setNextBlockTime(time: number): Promise<void>;
  increaseTime(seconds: number): Promise<void>;
  /** Returns the transaction's hash. */
  send(request: TransactionRequest): Promise<string>;
  /** Null while it is not in a block. */
  receipt(txHash: string): Promise<Receipt | null>;
  /** Deploys creation code in a block of its own and returns the address. */
  deploy(bytecode: string): Promise<string>;
  /**
   * Replaces the newest `depth` blocks by as many others. They are empty but for `transactions`, each placed
   * `offset` blocks (from 0) into the new branch. What the old blocks held is gone, not pending.
   */
  reorg(
    depth: number,
    transactions?: readonly { request: TransactionRequest; offset: number }[],
  ): Promise<void>;
  /** Takes the newest `depth` blocks away: the head goes backwards. */
  rollback(depth: number): Promise<void>;
  snapshot(): Promise<string>;
  /** Goes back to a snapshot, which is used up. */
  revert(snapshot: string): Promise<void>;
};

/** A chain that ends with the test. Chain id 56, finality two blocks behind the head, blocks on demand. */
export async function anvilForTest(options: Partial<AnvilOptions> = {}): Promise<TestAnvil> {
  const anvil = await startTestAnvil(options);
  onTestFinished(anvil.stop);
  return anvil;
}

/** The same for a suite: the caller stops it. */
export async function startTestAnvil(options: Partial<AnvilOptions> = {}): Promise<TestAnvil> {
  const anvil = await startAnvil({ chainId: 56, slotsInAnEpoch: 1, automine: false, ...options });
  const { rpc } = anvil;
  const accounts = (await rpc('eth_accounts')) as string[];
  const block = async (height: number | string) =>
    readBlock(await rpc('eth_getBlockByNumber', [typeof height === 'number' ? hex(height) : height, false]));
  const mine = async (count = 1, seconds = 0) => {
    await rpc('anvil_mine', [hex(count), hex(seconds)]);
  };
  const send = async (request: TransactionRequest) =>
    (await rpc('eth_sendTransaction', [transaction(accounts[0] as string, request)])) as string;
  const receipt = async (txHash: string) => readReceipt(await rpc('eth_getTransactionReceipt', [txHash]));
  return {
    ...anvil,
    accounts,
    height: async () => Number(await rpc('eth_blockNumber')),
    block,
    mine,
    setNextBlockTime: async (time) => void (await rpc('evm_setNextBlockTimestamp', [hex(time)])),
    increaseTime: async (seconds) => void (await rpc('evm_increaseTime', [hex(seconds)])),
    send,
    receipt,
    deploy: async (bytecode) => {
      const txHash = await send({ data: bytecode });
      let mined = await receipt(txHash);
      if (mined === null) {
        await mine();
        mined = await receipt(txHash);
      }
      if (mined?.contractAddress == null) throw new Error('the contract was not created');
      return mined.contractAddress;
    },
    reorg: async (depth, transactions = []) => {
      const pairs = transactions.map(({ request, offset }) => [
        transaction(accounts[0] as string, request),
        offset,
      ]);
      const before = await block('latest');
      await rpc('anvil_reorg', [depth, pairs]);
      // It sets its clock back to the fork, which no reorg does to a chain's.
      const lost = before.timestamp - (await block('latest')).timestamp;
      if (lost > 0) await rpc('evm_increaseTime', [hex(lost)]);
    },
    rollback: async (depth) => void (await rpc('anvil_rollback', [depth])),
    snapshot: async () => (await rpc('evm_snapshot')) as string,
    revert: async (snapshot) => void (await rpc('evm_revert', [snapshot])),
  };
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/** Gas is given: to estimate it anvil would run the call on the last block, without what still waits. */
function transaction(sender: string, request: TransactionRequest) {
  const { from = sender, to, value = 0n, data = '0x', gas = 3_000_000n } = request;
  return { from, ...(to === undefined ? {} : { to }), value: hex(value), input: data, gas: hex(gas) };
}

function readBlock(answer: unknown): Block {
  const raw = answer as Record<'number' | 'hash' | 'parentHash' | 'timestamp', string> | null;
  if (raw === null) throw new Error('there is no such block');
  return {
    number: Number(raw.number),
    hash: raw.hash,
    parentHash: raw.parentHash,
    timestamp: Number(raw.timestamp),
  };
}

function readReceipt(answer: unknown): Receipt | null {
  const raw = answer as (Omit<Receipt, 'blockNumber'> & { blockNumber: string }) | null;
  return raw === null ? null : { ...raw, blockNumber: Number(raw.blockNumber) };
}
