import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { createPublicClient, fallback, http, parseAbiItem } from 'viem';
import { createLogger } from '../../src/log.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { watchChain } from '../../src/watchers/chain.ts';
import { createWatchlist } from '../../src/watchers/watchlist.ts';
import { benchChain } from './bench-chain.ts';
import { fillDatabase } from './database.ts';
import { startPonder } from './peers.ts';
import { watchedKey } from './transfer-chain.ts';

/* Engines at the head of a chain, each as a careful user sets it up, polling twice a second. */

const pollMs = 500;

/** An engine at work. */
export type LiveEngine = {
  /** Transactions of the deposits that it holds now, one for each deposit. */
  deposits(): Promise<string[]>;
  stop(): Promise<void>;
};

export type LiveOptions = {
  /** Its nodes, the preferred one first. */
  urls: readonly string[];
  token: string;
  /** It watches so many of `watchedKey`, */
  addresses: number;
  /** from the block after this one. */
  height: number;
  /** An empty folder. */
  folder: string;
};

export async function startDepositd({ urls, addresses, folder }: LiveOptions): Promise<LiveEngine> {
  const path = join(folder, 'depositd.db');
  await fillDatabase(path, addresses);
  const db = await openDatabase(`sqlite:${path}`);
  const watch = createWatchlist('evm');
  await watch.refresh(db);
  const running = watchChain({
    db,
    chain: benchChain(urls, {
      pollSeconds: pollMs / 1000,
      idlePollSeconds: pollMs / 1000,
      recheckSeconds: 2,
      requiredConfirmations: 3,
    }),
    watch,
    latePolicy: 'flag',
    clock: Date.now,
    log: createLogger({ level: 'silent', write: () => {} }),
    onEvents: () => {},
    found: () => {},
  });
  return {
    deposits: async () => {
      const rows = await db
        .selectFrom('deposits')
        .select('tx_hash')
        .where('status', '!=', 'orphaned')
        .execute();
      return rows.map((row) => row.tx_hash);
    },
    stop: async () => {
      await running.stop();
      await db.destroy();
    },
  };
}

export async function startViem({ urls, token, addresses }: LiveOptions): Promise<LiveEngine> {
  const client = createPublicClient({
    transport: fallback(urls.map((url) => http(url))),
    pollingInterval: pollMs,
  });
  const found = new Map<string, string>();
  const stop = client.watchEvent({
    address: token as `0x${string}`,
    event: parseAbiItem('event Transfer(address indexed from, address indexed to, uint256 value)'),
    args: { to: Array.from({ length: addresses }, (_, n) => `0x${watchedKey(n)}` as const) },
    onLogs: (logs) => {
      // As a careful user does: what was removed is taken back, what comes twice counts once.
      for (const { transactionHash, logIndex, removed } of logs) {
        const key = `${transactionHash} ${logIndex}`;
        if (removed) found.delete(key);
        else found.set(key, transactionHash);
      }
    },
  });
  return { deposits: async () => [...found.values()], stop: async () => stop() };
}

/** It takes one node. Whenever it gives up it is started again, as a supervisor would. */
export async function startSquid({ urls, token, addresses, height }: LiveOptions): Promise<LiveEngine> {
  const task = { url: urls[0], token, height: height + 1, watched: addresses };
  let stopped = false;
  let child = run();
  function run(): ChildProcess {
    const started = fork(join(import.meta.dirname, '../peers/subsquid-live.ts'), [JSON.stringify(task)], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    started.once('exit', () => {
      if (!stopped) child = run();
    });
    return started;
  }
  return {
    deposits: async () => {
      const answered = new AbortController();
      const { signal } = answered;
      const told = once(child, 'message', { signal }).then(([deposits]) => deposits as string[]);
      const gone = once(child, 'exit', { signal }).then(() => []);
      child.send('deposits', () => {});
      return Promise.race([told, gone]).finally(() => answered.abort());
    },
    stop: async () => {
      stopped = true;
      if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit');
    },
  };
}

export async function startPonderLive({
  urls,
  token,
  addresses,
  height,
  folder,
}: LiveOptions): Promise<LiveEngine> {
  const watched = join(folder, 'watched.json');
  writeFileSync(watched, JSON.stringify(Array.from({ length: addresses }, (_, n) => watchedKey(n))));
  const home = join(folder, 'ponder');
  mkdirSync(home);
  const ponder = await startPonder({ urls, token, start: height, folder: home, watched, pollMs });
  while (!(await ponder.isReady())) await setTimeout(100);
  return ponder;
}
