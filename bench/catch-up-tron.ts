import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fillDatabase } from './support/database.ts';
import { type EngineResult, runEngine } from './support/engine.ts';
import { writeResults } from './support/results.ts';
import { startTronBenchChain, type TronBenchChain } from './support/tron-chain.ts';

/*
 * Reading 2,000 TRON blocks of 300 USDT transfers each from the beginning: depositd's own loops with everything proven and
 * committed; a bare reader of the same answers, which is the limit; and tronweb. Each in a process of its own, by turns,
 * over the same simulated node. `--short` reads a tenth.
 */

const transactions = 300;
const rounds = 3;
const engines = ['depositd-tron', 'raw-tron', 'tronweb'] as const;

type Row = { engine: string; watched: number; results: EngineResult[]; requests: number };

export async function run(args: string[]): Promise<void> {
  const blocks = args.includes('--short') ? 200 : 2_000;
  const folder = mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  try {
    console.log(`making ${blocks} blocks of ${transactions} transactions…`);
    const path = join(folder, 'chain');
    const chain = await startTronBenchChain({ path, blocks, transactions, matchEvery: 1000, payees: 1000 });
    const rows: Row[] = [];
    for (const watched of [1_000, 1_000_000]) {
      console.log(`watching ${watched.toLocaleString('en')} addresses…`);
      const filled = join(folder, `filled-${watched}.db`);
      await fillDatabase(filled, watched, 'tron');
      for (const engine of engines) {
        // It takes long, and the number of addresses changes nothing.
        if (engine === 'tronweb' && watched > 1_000) continue;
        rows.push(await measure(engine, chain, { folder, filled, watched }));
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
  { folder, filled, watched }: { folder: string; filled: string; watched: number },
): Promise<Row> {
  const results: EngineResult[] = [];
  const before = chain.requests();
  for (let round = 0; round < (engine === 'tronweb' ? 1 : rounds); round++) {
    const database = join(folder, 'run.db');
    copyFileSync(filled, database);
    const { url, height, chainId } = chain;
    const task = { url, token: '', height, watched, range: 10, recorded: '', database, chainId };
    const result = await runEngine(`engines/${engine}.ts`, task);
    for (const end of ['', '-wal', '-shm']) rmSync(database + end, { force: true });
    if (result.found !== chain.matches)
      throw new Error(`${engine} found ${result.found} transfers of ${chain.matches}`);
    results.push(result);
  }
  return { engine, watched, results, requests: (chain.requests() - before) / results.length };
}

function describe(chain: TronBenchChain, rows: readonly Row[]): string[] {
  const best = ({ results }: Row) => Math.min(...results.map(({ seconds }) => seconds));
  const limit = (watched: number) =>
    rows.find((row) => row.engine === 'raw-tron' && row.watched === watched) ?? rows[0];
  return [
    `${chain.height} blocks of ${transactions} transactions, ${Math.round(chain.bytes / 2 ** 20)} MiB of JSON, ${chain.matches} transfers to us; the best of ${rounds} rounds.`,
    '',
    '| | watched | blocks/s | of the bare reader | CPU s | MB | requests a block |',
    '|---|---|---|---|---|---|---|',
    ...rows.map((row) => {
      const reference = limit(row.watched);
      const ratio = reference === undefined ? 1 : best(reference) / best(row);
      const cpu = Math.min(...row.results.map(({ cpuSeconds }) => cpuSeconds));
      const memory = Math.max(...row.results.map(({ rssMb }) => rssMb));
      return `| ${row.engine} | ${row.watched.toLocaleString('en')} | ${(chain.height / best(row)).toFixed(0)} | ${ratio.toFixed(2)} | ${cpu.toFixed(1)} | ${memory.toFixed(0)} | ${(row.requests / chain.height).toFixed(2)} |`;
    }),
  ];
}
