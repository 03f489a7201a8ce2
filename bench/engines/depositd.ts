import { setTimeout } from 'node:timers/promises';
import { createLogger } from '../../src/log.ts';
import { readChain } from '../../src/storage/chains/chains.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { watchChain } from '../../src/watchers/chain.ts';
import { createWatchlist } from '../../src/watchers/watchlist.ts';
import { benchChain } from '../support/bench-chain.ts';
import { measure, readTask } from '../support/engine.ts';

/* The loops of one chain as the daemon runs them, the recheck among them; until the cursor is at the head. */

const { url, height, database } = readTask();
const db = await openDatabase(`sqlite:${database}`);
const log = createLogger({ level: 'warn', write: (line) => process.stderr.write(line) });
const watch = createWatchlist('evm');
await watch.refresh(db);
const config = benchChain([url], { startBlock: 1 });

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
  while (((await readChain(db, 'bsc'))?.cursor.height ?? 0) < height) await setTimeout(5);
  const { count } = await db
    .selectFrom('deposits')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  await chain.stop();
  return count;
});
