import { setTimeout } from 'node:timers/promises';
import { createLogger } from '../../src/log.ts';
import { readChain } from '../../src/storage/chains/chains.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { createTronSource } from '../../src/watchers/tron/source.ts';
import { createWatcher } from '../../src/watchers/watcher.ts';
import { createWatchlist } from '../../src/watchers/watchlist.ts';
import { benchTron } from '../support/bench-chain.ts';
import { measure, readTask } from '../support/engine.ts';

/*
 * The watcher of TRON as the daemon runs it, until the cursor is at the last block with transfers. The second reading, which
 * follows at its own pace and costs the same again, is left out.
 */

const { url, height, database, chainId } = readTask();
const db = await openDatabase(`sqlite:${database}`);
const clock = Date.now;
const log = createLogger({ level: 'warn', write: (line) => process.stderr.write(line) });
const watch = createWatchlist('tron');
await watch.refresh(db);
const chain = benchTron([url], { startBlock: 1, chainId: chainId ?? 0 });

await measure(async () => {
  const source = createTronSource({ chain, clock, log });
  const watcher = createWatcher({
    db,
    chain,
    source,
    watch,
    latePolicy: 'flag',
    clock,
    log,
    onEvents: () => {},
  });
  const { signal } = new AbortController();
  while (((await readChain(db, 'tron'))?.cursor.height ?? 0) < height) {
    const { nextAt } = await watcher.step(signal);
    if (nextAt > clock()) await setTimeout(nextAt - clock());
  }
  const { count } = await db
    .selectFrom('deposits')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  await source.close();
  return count;
});
