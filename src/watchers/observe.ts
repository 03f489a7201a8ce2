import { runLoop } from '../loop.ts';
import { createUsageMeter } from '../nodes/usage.ts';
import { chainUnavailable, readChain } from '../storage/chains/chains.ts';
import { databaseTime } from '../storage/database.ts';
import { createAssetsInUse } from './assets-in-use.ts';
import type { ChainWatch, ChainWatchDeps } from './chain.ts';
import { lookUpTransaction } from './recheck/look-up.ts';
import { createSentTransfers } from './sent-transfer.ts';
import { createSource } from './sources.ts';
import { keepNotingUsage } from './usage-notes.ts';

/** How soon it is noticed that another process reads the chain, ms. */
const glanceMs = 500;

/** A chain that other processes read: its nodes are asked here only for what payers and operators look up. */
export function observeChain(deps: ChainWatchDeps): ChainWatch {
  const { db, chain, clock, timeOf = databaseTime } = deps;
  const log = deps.log.child({ network: chain.network });
  const assetsInUse = createAssetsInUse({ ...deps, log });
  const meter = createUsageMeter(clock);
  const source = createSource({ chain, clock, log: deps.log, meter });
  const usage = keepNotingUsage({ db, network: chain.network, meter, log });
  const firstRead = Promise.withResolvers<void>();

  async function step(): Promise<void> {
    const state = await readChain(db, chain.network);
    if (chainUnavailable(state, await timeOf(db, clock)) !== null) return;
    firstRead.resolve();
    void loop.stop();
  }

  const loop = runLoop({
    name: 'first reading',
    step,
    delay: () => glanceMs,
    log,
    ...(deps.failed === undefined ? {} : { failed: deps.failed }),
  });
  return {
    wake: () => {},
    wakeRescan: () => {},
    firstRead: firstRead.promise,
    endpoints: () => [],
    meter,
    lookUp: (request) => lookUpTransaction({ ...deps, assetsInUse, source, log }, request),
    verifySent: createSentTransfers({ ...deps, source }).verify,
    async stop() {
      await loop.stop();
      await source.close();
      await usage.stop();
    },
  };
}
