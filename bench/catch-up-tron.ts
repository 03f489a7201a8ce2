import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fillDatabase } from './support/database.ts';
import { type EngineResult, runEngine } from './support/engine.ts';
import { writeResults } from './support/results.ts';
import { startTronBenchChain, type TronBenchChain } from './support/tron-chain.ts';

/*
 * Reading 2,000 TRON blocks of 300 USDT transfers each from the beginning: depositd's own watcher with everything proven and
 * committed; a bare reader of the same answers, which is the limit; and tronweb. Each in a process of its own, by turns,
 * over the same simulated node, which answers at once: whoever asks is the limit. Then the first of them again over a node
 * as far away as most are. `--short` reads a tenth.
 */

const transactions = 300;
const engines = ['depositd-tron', 'raw-tron', 'tronweb'] as const;

type Setting = { watched: number; rounds: number; delayMs: number; blocks: number };

type Row = Setting & { engine: string; results: EngineResult[]; requests: number };

export async function run(args: string[]): Promise<void> {
  const blocks = args.includes('--short') ? 200 : 2_000;
  const settings: Setting[] = [
    { watched: 1_000, rounds: 2, delayMs: 0, blocks },
    { watched: 1_000_000, rounds: 1, delayMs: 0, blocks },
    { watched: 1_000, rounds: 1, delayMs: 50, blocks: Math.min(blocks, 500) },
  ];
  const folder = mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  try {
    console.log(`making ${blocks} blocks of ${transactions} transactions…`);
    const path = join(folder, 'chain');
    const chain = await startTronBenchChain({ path, blocks, transactions, matchEvery: 1000, payees: 1000 });
    const rows: Row[] = [];
    for (const setting of settings) {
      const { watched, delayMs } = setting;
      console.log(`watching ${watched.toLocaleString('en')} addresses, each answer after ${delayMs} ms…`);
      const filled = join(folder, `filled-${watched}.db`);
      if (!existsSync(filled)) await fillDatabase(filled, watched, 'tron');
      chain.delay(delayMs);
      for (const engine of engines) {
        // The number of addresses changes nothing for it.
        if (engine === 'tronweb' && watched > 1_000) continue;
        rows.push(await measure(engine, chain, { folder, filled, setting }));
      }
    }
    await chain.stop();
    const lines = describe(chain, rows);
    console.log(lines.join('\n'));
    writeResults(args.includes('--short') ? 'catch-up-tron --short' : 'catch-up-tron', lines);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function measure(
  engine: (typeof engines)[number],
  chain: TronBenchChain,
  { folder, filled, setting }: { folder: string; filled: string; setting: Setting },
): Promise<Row> {
  const { watched, rounds, blocks } = setting;
  const results: EngineResult[] = [];
  const before = chain.requests();
  for (let round = 0; round < rounds; round++) {
    const database = join(folder, 'run.db');
    copyFileSync(filled, database);
    const { url, chainId } = chain;
    const task = { url, token: '', height: blocks, watched, range: 10, recorded: '', database, chainId };
    const result = await runEngine(`engines/${engine}.ts`, task);
    for (const end of ['', '-wal', '-shm']) rmSync(database + end, { force: true });
    // Who reads on to the head finds what is above too.
    if (result.found < chain.matchesUpTo(blocks))
      throw new Error(`${engine} found ${result.found} transfers of ${chain.matchesUpTo(blocks)}`);
    results.push(result);
  }
  return { ...setting, engine, results, requests: (chain.requests() - before) / results.length };
}

function describe(chain: TronBenchChain, rows: readonly Row[]): string[] {
  const best = ({ results }: Row) => Math.min(...results.map(({ seconds }) => seconds));
  const beside = (row: Row, engine: string) => {
    const other = rows.find(
      (one) => one.engine === engine && one.watched === row.watched && one.delayMs === row.delayMs,
    );
    return other === undefined ? '' : (best(other) / best(row)).toFixed(2);
  };
  return [
    `Blocks of ${transactions} transactions, ${Math.round(chain.bytes / chain.height / 1024)} KiB of JSON each. Targets: 0.7 of the bare reader of a node that answers at once; 5 times tronweb over one that is 50 ms away; 2 requests a block.`,
    '',
    '| | each answer after | watched | blocks | blocks/s | of the bare reader | times tronweb | CPU s | MB | requests a block |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...rows.map((row) => {
      const { engine, delayMs, watched, blocks, results, requests } = row;
      const cpu = Math.min(...results.map(({ cpuSeconds }) => cpuSeconds));
      const memory = Math.max(...results.map(({ rssMb }) => rssMb));
      return `| ${[
        engine,
        `${delayMs} ms`,
        watched.toLocaleString('en'),
        blocks.toLocaleString('en'),
        (blocks / best(row)).toFixed(0),
        beside(row, 'raw-tron'),
        beside(row, 'tronweb'),
        cpu.toFixed(1),
        memory.toFixed(0),
        (requests / blocks).toFixed(2),
      ].join(' | ')} |`;
    }),
  ];
}
