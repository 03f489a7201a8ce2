import { setTimeout } from 'node:timers/promises';
import { fillDatabase } from './support/database.ts';
import { usageOf } from './support/process.ts';
import { writeResults } from './support/results.ts';
import { buildProgram, createHome } from './support/serve.ts';
import { startTransferChain, type TransferChain } from './support/transfer-chain.ts';

/* Resident memory of the daemon while it reads blocks full of transfers at the head of the chain. */

const seconds = 60;
const blockMs = 450;
const targets = { 1000: 130, 1000000: 320 };

export async function run(): Promise<void> {
  buildProgram();
  const lines = [
    `Resident memory of \`serve\` reading a block of 70 transfers every ${blockMs} ms for ${seconds} s, one in ten pays a watched address.`,
    '',
    '| watched | MB in the middle | most MB | target |',
    '|---|---|---|---|',
  ];
  const chain = await startTransferChain({ blocks: 1, transfersPerBlock: 70, matchEvery: 71, payees: 1 });
  try {
    for (const watched of [1_000, 1_000_000] as const) lines.push(await measureMemory(chain, watched));
  } finally {
    await chain.stop();
  }
  console.log(lines.join('\n'));
  writeResults('memory', lines);
}

async function measureMemory(chain: TransferChain, watched: keyof typeof targets): Promise<string> {
  console.log(`watching ${watched.toLocaleString('en')} addresses…`);
  const home = createHome(chain.url, { idlePollSeconds: 1, tokens: { usdc: false, busd: false } });
  try {
    await fillDatabase(home.databasePath, watched);
    const served = await home.serve();
    const seen: number[] = [];
    const begun = performance.now();
    for (let block = 1; performance.now() - begun < seconds * 1000; block++) {
      await chain.mineTransfers(block % 10 === 0);
      await setTimeout(Math.max(0, begun + block * blockMs - performance.now()));
      seen.push(usageOf(served.child).rssMb);
    }
    await served.stop();
    const median = seen.toSorted((a, b) => a - b)[seen.length >> 1] ?? 0;
    return `| ${watched.toLocaleString('en')} | ${median.toFixed(0)} | ${Math.max(...seen).toFixed(0)} | ${targets[watched]} |`;
  } finally {
    home.remove();
  }
}
