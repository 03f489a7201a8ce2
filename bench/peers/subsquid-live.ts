import { EvmBatchProcessor } from '@subsquid/evm-processor';
import { transferTopic } from '../../src/watchers/evm/calls.ts';
import { readTask } from '../support/engine.ts';
import { watchedKey } from '../support/transfer-chain.ts';

/*
 * @subsquid/evm-processor at the head of the chain, over RPC alone, with blocks that may still be taken back. What it
 * finds is kept in memory and told to the parent whenever it asks.
 */

const { url, token, height, watched } = readTask();
const keys = new Set<string>();
for (let n = 0; n < watched; n++) keys.add(watchedKey(n));

type Kept = { height: number; txHash: string };
let kept: Kept[] = [];
process.on('message', () => process.send?.(kept.map(({ txHash }) => txHash)));
// Without a parent there is nobody to tell.
process.on('disconnect', () => process.exit(0));

type Head = { height: number; hash: string };

const database = {
  supportsHotBlocks: true as const,
  connect: async () => ({ height: -1, hash: '0x', top: [] }),
  transact: async (_: unknown, work: (store: Kept[]) => Promise<void>) => work(kept),
  transactHot: async () => {
    throw new Error('transactHot2 is there');
  },
  transactHot2: async (
    { baseHead, newBlocks }: { baseHead: Head; newBlocks: Head[] },
    work: (store: Kept[], from: number, to: number) => Promise<void>,
  ) => {
    // Whatever stands above the common base was taken back.
    kept = kept.filter((one) => one.height <= baseHead.height);
    await work(kept, 0, newBlocks.length);
  },
};

new EvmBatchProcessor()
  .setRpcEndpoint({ url, rateLimit: 1_000_000 })
  .setRpcDataIngestionSettings({ headPollInterval: 500 })
  .setFinalityConfirmation(15)
  .setBlockRange({ from: height })
  .setFields({ log: { topics: true, transactionHash: true } })
  .addLog({ address: [token.toLowerCase()], topic0: [transferTopic] })
  .setPrometheusPort(0)
  .run(database, async ({ blocks, store }) => {
    for (const block of blocks) {
      for (const log of block.logs) {
        if (keys.has((log.topics[2] as string).slice(26))) {
          store.push({ height: block.header.height, txHash: log.transactionHash });
        }
      }
    }
  });
