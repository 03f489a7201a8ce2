import { setTimeout } from 'node:timers/promises';
import { createLogger } from '../../src/log.ts';
import { readChain } from '../../src/storage/chains/chains.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { watchChain } from '../../src/watchers/chain.ts';
import { createWatchlist } from '../../src/watchers/watchlist.ts';
import { benchTron } from '../support/bench-chain.ts';
import { measure, readTask } from '../support/engine.ts';

/* The loops of TRON as the daemon runs them, until the cursor is at the last block with transfers. */

const { url, height, database, chainId } = readTask();
const db = await openDatabase(`sqlite:${database}`);
const log = createLogger({ level: 'warn', write: (line) => process.stderr.write(line) });
const watch = createWatchlist('tron');
await watch.refresh(db);
const config = benchTron([url], { startBlock: 1, chainId: chainId ?? 0, recheckSeconds: 86_400 });

await measure(async () => {
  const chain = watchChain({
    db,
    chain: config,
    watch,
    latePolicy: 'flag',
    clock: Date.now,
    log,
    onEvents: () => {},
    found: () => {},
  });
  while (((await readChain(db, 'tron'))?.cursor.height ?? 0) < height) await setTimeout(5);
  const { count } = await db
    .selectFrom('deposits')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  await chain.stop();
  return count;
});
