import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { createPublicClient, http, parseAbiItem } from 'viem';
import { createLogger } from '../src/log.ts';
import { openDatabase } from '../src/storage/database.ts';
import { watchChain } from '../src/watchers/chain.ts';
import { createEvmSource } from '../src/watchers/evm/source.ts';
import { createRecheck } from '../src/watchers/recheck/recheck.ts';
import { createWatcher } from '../src/watchers/watcher.ts';
import { createWatchlist } from '../src/watchers/watchlist.ts';
import { benchChain } from './support/bench-chain.ts';
import { fillDatabase } from './support/database.ts';
import { countLiving } from './support/living.ts';
import { installPeers, startPonder } from './support/peers.ts';
import { showPromises } from './support/promises.ts';
import { type Recorder, startRecorder } from './support/recorder.ts';
import { writeResults } from './support/results.ts';
import { startTransferChain, type TransferChain, watchedKey } from './support/transfer-chain.ts';

/*
 * What reading costs at the head of the chain, counted before the node: on a chain that lives, by the tick with time
 * standing still, and side by side with others for as long as 200 blocks of 0.45 seconds take; and what becomes of what
 * other gateways did better once.
 */

const blocksPerTick = 2;
const ticks = 500;
const quietTicks = 100;
/** A payment arrives every so many blocks. */
const paidEvery = 100;

const liveBlocks = 200;
const liveBlockMs = 450;

const log = createLogger({ level: 'error', write: (line) => process.stderr.write(line) });
const policy = { latePolicy: 'flag' } as const;

/** `-- --living`: only what needs nothing but this machine, in a few minutes. */
export async function run(args: string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  const show = (section: string, lines: string[]) => {
    console.log(lines.join('\n'));
    writeResults(section, lines);
  };
  try {
    show('calls', [...(await countLiving(folder)), '', ...(await showPromises())]);
    if (!args.includes('--living')) show('calls beside others', await countBesideOthers(folder, args));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function countBesideOthers(folder: string, args: string[]): Promise<string[]> {
  const peers = !args.includes('--alone');
  if (peers) installPeers();
  const chain = await startTransferChain({ blocks: 1, transfersPerBlock: 70, matchEvery: 71, payees: 1 });
  const lines = [
    `At the head: the most of any tick in which nobody watched is paid; then ${blocksPerTick} new blocks of 70 transfers each tick, one in ${paidEvery} blocks pays a watched address.`,
    '',
    '| watched addresses | requests a quiet tick | calls a quiet tick | requests per 1,000 blocks | calls per 1,000 blocks | MB per 1,000 blocks | of these for the second reading |',
    '|---|---|---|---|---|---|---|',
  ];
  try {
    for (const watched of [10, 1_000, 1_000_000]) lines.push(await countTicks(chain, folder, watched));
    lines.push('', ...(await countLive(chain, folder, peers)));
    return lines;
  } finally {
    await chain.stop();
  }
}

/** Steps of the watcher and, as often as in the daemon, of the recheck; the clock is ours. */
async function countTicks(chain: TransferChain, folder: string, watched: number): Promise<string> {
  console.log(`counting at ${watched.toLocaleString('en')} addresses…`);
  const path = join(folder, `calls-${watched}.db`);
  await fillDatabase(path, watched);
  const db = await openDatabase(`sqlite:${path}`);
  const recorder = await startRecorder(chain.url);
  let now = Date.now();
  const clock = () => now;
  const config = benchChain([recorder.url]);
  const source = createEvmSource({ chain: config, clock, log });
  const watch = createWatchlist('evm');
  const deps = { db, chain: config, source, watch, ...policy, clock, log, onEvents: () => {} };
  const watcher = createWatcher(deps);
  const recheck = createRecheck({ ...deps, found: () => {} });
  const { signal } = new AbortController();
  const { recording } = recorder;
  try {
    for (let i = 0; i < 5; i++) await watcher.step(signal);
    const quiet: { requests: number; calls: number }[] = [];
    for (let tick = 0; tick < quietTicks; tick++) {
      const { requests, calls } = recording;
      await chain.mineTransfers(false);
      now += config.pollSeconds * 1000;
      await watcher.step(signal);
      quiet.push({ requests: recording.requests - requests, calls: recording.calls - calls });
    }
    const before = { ...recording };
    let recheckRequests = 0;
    for (let tick = 0; tick < ticks; tick++) {
      const paid = tick % (paidEvery / blocksPerTick) === 0;
      for (let i = 0; i < blocksPerTick; i++) await chain.mineTransfers(paid && i === 0);
      now += config.pollSeconds * 1000;
      await watcher.step(signal);
      if (tick % config.recheckSeconds !== 0) continue;
      const sofar = recording.requests;
      await recheck.step(signal);
      recheckRequests += recording.requests - sofar;
    }
    const most = (what: 'requests' | 'calls') => Math.max(...quiet.map((one) => one[what]));
    const per1000 = (total: number) => Math.round((total / (ticks * blocksPerTick)) * 1000);
    return `| ${[
      watched.toLocaleString('en'),
      most('requests'),
      most('calls'),
      per1000(recording.requests - before.requests),
      per1000(recording.calls - before.calls),
      (((recording.bytes - before.bytes) / (ticks * blocksPerTick) / 1e6) * 1000).toFixed(1),
      `${per1000(recheckRequests)} requests`,
    ].join(' | ')} |`;
  } finally {
    await source.close();
    await recorder.close();
    await db.destroy();
  }
}

/** Everybody at the same time on the same chain, each through a recorder of its own. */
async function countLive(chain: TransferChain, folder: string, peers: boolean): Promise<string[]> {
  console.log(`side by side for ${liveBlocks} blocks of ${liveBlockMs} ms…`);
  const engines: { name: string; recorder: Recorder; stop(): Promise<void> }[] = [];
  const add = async (name: string, start: (url: string) => Promise<() => Promise<void>>) => {
    const recorder = await startRecorder(chain.url);
    engines.push({ name, recorder, stop: await start(recorder.url) });
  };
  await add('depositd, every second', (url) => startDepositd(url, join(folder, 'live.db')));
  if (peers) {
    await add('viem watchEvent, polling every second', async (url) => watchWithViem(url, chain.token));
    await add('ponder 0.16.10, polling every second', (url) => startPonderAt(url, chain, folder));
  }
  await setTimeout(3000);
  const before = engines.map(({ recorder }) => ({ ...recorder.recording }));
  const begun = performance.now();
  for (let block = 1; block <= liveBlocks; block++) {
    await chain.mineTransfers(block % paidEvery === 0);
    await setTimeout(Math.max(0, begun + block * liveBlockMs - performance.now()));
  }
  const lines = engines.map(({ name, recorder: { recording } }, i) => {
    const per1000 = (now: number, then: number) => Math.round(((now - then) / liveBlocks) * 1000);
    const then = before[i] as (typeof before)[number];
    const bytes = per1000(recording.bytes, then.bytes) / 1e6;
    return `| ${name} | ${per1000(recording.requests, then.requests)} | ${per1000(recording.calls, then.calls)} | ${bytes.toFixed(1)} |`;
  });
  for (const { stop, recorder } of engines) {
    await stop();
    await recorder.close();
  }
  return [
    `Side by side for ${liveBlocks} blocks, one every ${liveBlockMs} ms, 1,000 addresses watched; everything counted:`,
    '',
    '| engine | requests per 1,000 blocks | calls per 1,000 blocks | MB per 1,000 blocks |',
    '|---|---|---|---|',
    ...lines,
  ];
}

async function startDepositd(url: string, path: string): Promise<() => Promise<void>> {
  await fillDatabase(path, 1000);
  const db = await openDatabase(`sqlite:${path}`);
  const watch = createWatchlist('evm');
  await watch.refresh(db);
  const chain = benchChain([url], { idlePollSeconds: 1 });
  const running = watchChain({
    db,
    chain,
    watch,
    ...policy,
    clock: Date.now,
    log,
    onEvents: () => {},
    found: () => {},
  });
  return async () => {
    await running.stop();
    await db.destroy();
  };
}

async function watchWithViem(url: string, token: string): Promise<() => Promise<void>> {
  const client = createPublicClient({ transport: http(url), pollingInterval: 1000 });
  const event = parseAbiItem('event Transfer(address indexed from, address indexed to, uint256 value)');
  const to = Array.from({ length: 1000 }, (_, n) => `0x${watchedKey(n)}` as const);
  const stop = client.watchEvent({ address: token as `0x${string}`, event, args: { to }, onLogs: () => {} });
  return async () => stop();
}

async function startPonderAt(
  url: string,
  chain: TransferChain,
  folder: string,
): Promise<() => Promise<void>> {
  const watched = join(folder, 'watched.json');
  writeFileSync(watched, JSON.stringify(Array.from({ length: 1000 }, (_, n) => watchedKey(n))));
  const home = join(folder, 'ponder');
  mkdirSync(home);
  const ponder = await startPonder({
    urls: [url],
    token: chain.token,
    start: chain.height,
    folder: home,
    watched,
  });
  while (!(await ponder.isReady())) await setTimeout(100);
  return ponder.stop;
}
