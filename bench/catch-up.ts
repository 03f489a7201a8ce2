import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { transferTopic } from '../src/watchers/evm/calls.ts';
import { fillDatabase } from './support/database.ts';
import { type EngineResult, type EngineTask, runEngine } from './support/engine.ts';
import { installPeers, startPonder } from './support/peers.ts';
import { startRecorder } from './support/recorder.ts';
import { writeResults } from './support/results.ts';
import { startTransferChain, type TransferChain, watchedKey } from './support/transfer-chain.ts';

/*
 * Reading blocks of 70 token transfers each from the beginning, as after a long outage: depositd's own loops with
 * everything committed; a bare reader that sends the same requests and parses the same answers, which is the limit;
 * and others' engines. Each in a process of its own, by turns, over the same node.
 */

/** A short chain shows mostly what a process costs that has just begun, `--long` what goes on. */
const shortBlocks = 2_000;
const longBlocks = 20_000;
const transfersPerBlock = 70;
const payees = 1000;
const rounds = 5;

type Row = { name: string; watched: number; results: EngineResult[]; requests?: Traffic };
type Traffic = { requests: number; calls: number; bytes: number };

export async function run(args: string[]): Promise<void> {
  const long = args.includes('--long');
  const blocks = long ? longBlocks : shortBlocks;
  const peers = !long && !args.includes('--alone');
  if (peers) installPeers();
  const folder = mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  const lines: string[] = [];
  try {
    for (const matchEvery of long ? [1000] : [1000, 10]) {
      console.log(`making ${blocks} blocks of ${transfersPerBlock} transfers…`);
      const chain = await startTransferChain({ blocks, transfersPerBlock, matchEvery, payees });
      try {
        const rows = await measureChain(chain, folder, peers && matchEvery === 1000);
        lines.push(...describe(chain, matchEvery, rows), '');
      } finally {
        await chain.stop();
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  console.log(lines.join('\n'));
  writeResults(long ? 'catch-up --long' : 'catch-up', lines);
}

async function measureChain(chain: TransferChain, folder: string, peers: boolean): Promise<Row[]> {
  const rows: Row[] = [];
  for (const watched of [1_000, 1_000_000]) {
    console.log(`watching ${watched.toLocaleString('en')} addresses…`);
    const filled = join(folder, `filled-${watched}.db`);
    if (!existsSync(filled)) await fillDatabase(filled, watched);
    const recorded = join(folder, 'recorded.json');
    const bare = join(folder, 'bare.json');
    const task: EngineTask = {
      url: chain.url,
      token: chain.token,
      height: chain.height,
      watched,
      range: 142,
      recorded,
      database: join(folder, 'run.db'),
    };
    const runDepositd = (url: string) => {
      for (const suffix of ['', '-wal', '-shm']) rmSync(task.database + suffix, { force: true });
      copyFileSync(filled, task.database);
      return runEngine('engines/depositd.ts', { ...task, url });
    };

    // Not timed: what it asks, for the bare reader to repeat.
    const recorder = await startRecorder(chain.url);
    await runDepositd(recorder.url);
    await recorder.close();
    const { bodies, ...traffic } = recorder.recording;
    writeFileSync(recorded, JSON.stringify(bodies));
    writeFileSync(bare, JSON.stringify(bareRequests(task)));

    const same: Row = { name: 'bare reader, the same requests', watched, results: [], requests: traffic };
    const logs: Row = { name: 'bare reader, logs alone', watched, results: [] };
    const ours: Row = { name: 'depositd', watched, results: [], requests: traffic };
    const viem: Row = { name: 'viem getLogs with ABI', watched, results: [] };
    const squid: Row = { name: '@subsquid/evm-processor 1.27.3', watched, results: [] };
    const ponder: Row = { name: 'ponder 0.16.10, PGlite', watched, results: [] };
    for (let round = 0; round < rounds; round++) {
      same.results.push(await runEngine('engines/raw.ts', task));
      ours.results.push(await runDepositd(chain.url));
      logs.results.push(await runEngine('engines/raw.ts', { ...task, recorded: bare }));
      if (peers && round < 3) viem.results.push(await runEngine('engines/viem.ts', task));
      if (peers && round < 3) squid.results.push(await runEngine('peers/subsquid.ts', task));
      if (peers && round === 0) ponder.results.push(await runPonder(task, folder));
    }
    if (peers) {
      for (const [row, file] of [
        [viem, 'engines/viem.ts'],
        [squid, 'peers/subsquid.ts'],
      ] as const) {
        row.requests = await countRequests(chain, (url) => runEngine(file, { ...task, url }));
      }
    }
    rows.push(ours, same, logs, ...(peers ? [viem, squid, ponder] : []));
  }
  return rows;
}

/** Queries for logs and nothing else. */
function bareRequests({ token, height, watched, range }: EngineTask): string[] {
  const keys = Array.from({ length: watched <= 1000 ? watched : 0 }, (_, n) => watchedKey(n));
  const recipients = keys.length === 0 ? [] : [null, keys.map((key) => `0x${key.padStart(64, '0')}`)];
  const bodies: string[] = [];
  for (let from = 1; from <= height; from += range) {
    const to = Math.min(height, from + range - 1);
    const filter = {
      address: token,
      topics: [transferTopic, ...recipients],
      fromBlock: `0x${from.toString(16)}`,
      toBlock: `0x${to.toString(16)}`,
    };
    bodies.push(JSON.stringify({ jsonrpc: '2.0', id: from, method: 'eth_getLogs', params: [filter] }));
  }
  return bodies;
}

async function countRequests(
  chain: TransferChain,
  read: (url: string) => Promise<unknown>,
): Promise<Traffic> {
  const recorder = await startRecorder(chain.url);
  await read(recorder.url);
  await recorder.close();
  const { requests, calls, bytes } = recorder.recording;
  return { requests, calls, bytes };
}

/** From its start to `/ready`: it does not say when it began to read. */
async function runPonder(task: EngineTask, folder: string): Promise<EngineResult> {
  const watched = join(folder, 'watched.json');
  writeFileSync(watched, JSON.stringify(Array.from({ length: task.watched }, (_, n) => watchedKey(n))));
  const home = join(folder, 'ponder');
  mkdirSync(home);
  const begun = performance.now();
  const ponder = await startPonder({ urls: [task.url], token: task.token, start: 1, folder: home, watched });
  try {
    while (!(await ponder.isReady())) await setTimeout(50);
    const seconds = (performance.now() - begun) / 1000;
    return { seconds, ...ponder.usage(), found: (await ponder.deposits()).length };
  } finally {
    await ponder.stop();
    rmSync(home, { recursive: true });
  }
}

function describe(chain: TransferChain, matchEvery: number, rows: readonly Row[]): string[] {
  const table = rows.map((row) => {
    const seconds = median(row.results.map((one) => one.seconds));
    const limit = rows.find((one) => one.watched === row.watched && one.name.includes('same requests'));
    const ours = rows.find((one) => one.watched === row.watched && one.name === 'depositd');
    const of = (other: Row | undefined) => median((other?.results ?? []).map((one) => one.seconds)) / seconds;
    const found = new Set(row.results.map((one) => one.found));
    return [
      row.name,
      row.watched.toLocaleString('en'),
      `${seconds.toFixed(2)} (${Math.min(...row.results.map((one) => one.seconds)).toFixed(2)})`,
      Math.round(chain.transfers / seconds).toLocaleString('en'),
      of(limit).toFixed(2),
      (1 / of(ours)).toFixed(1),
      median(row.results.map((one) => one.cpuSeconds)).toFixed(2),
      median(row.results.map((one) => one.rssMb)).toFixed(0),
      row.requests === undefined ? '' : `${row.requests.requests} / ${row.requests.calls}`,
      row.requests === undefined ? '' : (row.requests.bytes / 1e6).toFixed(1),
      [...found].join(', '),
    ];
  });
  return [
    `${chain.transfers.toLocaleString('en')} transfers in ${chain.height.toLocaleString('en')} blocks, every ${matchEvery}th to a watched address (${chain.matches.toLocaleString('en')}).`,
    '',
    '| engine | watched | s, median (best) | transfers/s | of the limit | times ours | CPU s | MB | requests / calls | MB read | found |',
    '|---|---|---|---|---|---|---|---|---|---|---|',
    ...table.map((cells) => `| ${cells.join(' | ')} |`),
  ];
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
}
