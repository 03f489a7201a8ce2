import { fillDatabase } from './support/database.ts';
import { writeResults } from './support/results.ts';
import { buildProgram, createHome } from './support/serve.ts';
import { startTransferChain } from './support/transfer-chain.ts';

/* From the start of the process to `ready`, with the database of a large shop; nothing of an earlier run is reused. */

const addresses = 100_000;
const runs = 15;

export async function run(): Promise<void> {
  buildProgram();
  const chain = await startTransferChain({ blocks: 1, transfersPerBlock: 70, matchEvery: 71, payees: 1 });
  const home = createHome(chain.url, { tokens: { usdc: false, busd: false } });
  const times: number[] = [];
  try {
    await fillDatabase(home.databasePath, addresses);
    for (let i = 0; i <= runs; i++) {
      const served = await home.serve();
      // The first run warms the disk's cache.
      if (i > 0) times.push(served.readyMs);
      await served.stop();
    }
  } finally {
    home.remove();
    await chain.stop();
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => `${Math.round(times[Math.floor((times.length - 1) * share)] ?? 0)} ms`;
  const lines = [
    `\`serve\` to \`ready\` with ${addresses.toLocaleString('en')} addresses, ${runs} starts: median ${at(0.5)}, best ${at(0)}, worst ${at(1)} (target 1,500 ms).`,
  ];
  console.log(lines.join('\n'));
  writeResults('start', lines);
}
