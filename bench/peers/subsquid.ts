import { EvmBatchProcessor } from '@subsquid/evm-processor';
import { transferTopic } from '../../src/watchers/evm/calls.ts';
import { measure, readTask } from '../support/engine.ts';
import { watchedKey } from '../support/transfer-chain.ts';

/* @subsquid/evm-processor over RPC alone, as a user sets it up; what it finds is kept in memory. */

const { url, token, height, watched } = readTask();
const keys = new Set<string>();
for (let n = 0; n < watched; n++) keys.add(watchedKey(n));
const kept: unknown[] = [];

/** The least that it takes for a database. */
const database = {
  connect: async () => ({ height: -1, hash: '0x' }),
  transact: async (_: unknown, work: (store: unknown[]) => Promise<void>) => work(kept),
};

await measure(
  () =>
    new Promise((done) => {
      new EvmBatchProcessor()
        .setRpcEndpoint({ url, rateLimit: 1_000_000 })
        .setFinalityConfirmation(2)
        .setBlockRange({ from: 1, to: height })
        .setFields({ log: { topics: true, data: true, transactionHash: true } })
        .addLog({ address: [token.toLowerCase()], topic0: [transferTopic] })
        .setPrometheusPort(0)
        .run(database, async ({ blocks, store }) => {
          for (const block of blocks) {
            for (const log of block.logs) {
              if (keys.has((log.topics[2] as string).slice(26))) {
                store.push({ txHash: log.transactionHash, amount: BigInt(log.data) });
              }
            }
          }
          if ((blocks.at(-1)?.header.height ?? 0) < height) return;
          done(kept.length);
          // It would end the process before that is told.
          await new Promise(() => {});
        });
    }),
);
