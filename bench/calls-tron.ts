import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AddressKey } from '../src/core/address.ts';
import type { Call } from '../src/demo/tron/wallet-api.ts';
import { createLogger } from '../src/log.ts';
import { openDatabase } from '../src/storage/database.ts';
import { createRecheck } from '../src/watchers/recheck/recheck.ts';
import { createTronSource } from '../src/watchers/tron/source.ts';
import { createWatcher } from '../src/watchers/watcher.ts';
import { createWatchlist } from '../src/watchers/watchlist.ts';
import { tokenKey } from '../test/support/payments.ts';
import { createSimulatedTronChain } from '../test/support/tron/simulated-chain.ts';
import { startSimulatedTronNode } from '../test/support/tron/simulated-node.ts';
import { chainIdOf } from '../test/support/tron/source.ts';
import { benchTron } from './support/bench-chain.ts';
import { fillDatabase } from './support/database.ts';
import { writeResults } from './support/results.ts';
import { watchedKey } from './support/transfer-chain.ts';

/*
 * What reading TRON costs at its head, counted by the node: a block every three seconds, none of them empty, the watcher as
 * often as while a payment is open, or as while none is; the second reading too. The clock is ours. `-- --short` counts fewer
 * blocks.
 */

const blockMs = 3_000;
/** A payment arrives every so many blocks. */
const paidEvery = 100;
/** Of a slot, until its block is there. */
const lateMs = 400;
const freePerDay = 100_000;
const stranger = '57'.repeat(20) as AddressKey;

const log = createLogger({ level: 'error', write: (line) => process.stderr.write(line) });

export async function run(args: string[]): Promise<void> {
  const blocks = args.includes('--short') ? 200 : 1_000;
  const folder = mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  try {
    const lines = [
      `Calls a block: ${blocks} blocks, one every ${blockMs / 1000} s, one in ${paidEvery} pays a watched address. Target: 2 calls a block for any number of addresses; TronGrid gives ${freePerDay.toLocaleString('en')} calls a day for nothing.`,
      '',
      '| watched addresses | the watcher looks every | blocks and infos | the head | what is solid, and confirmations | second reading | calls a day |',
      '|---|---|---|---|---|---|---|',
    ];
    for (const watched of [10, 1_000, 1_000_000]) lines.push(await count(folder, watched, blocks, 'open'));
    lines.push(await count(folder, 1_000, blocks, 'idle'));
    console.log(lines.join('\n'));
    writeResults('calls-tron', lines);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function count(
  folder: string,
  watched: number,
  blocks: number,
  pace: 'open' | 'idle',
): Promise<string> {
  console.log(`counting at ${watched.toLocaleString('en')} addresses…`);
  const path = join(folder, `calls-${watched}-${pace}.db`);
  await fillDatabase(path, watched, 'tron');
  const db = await openDatabase(`sqlite:${path}`);
  let now = Math.floor(Date.now() / blockMs) * blockMs;
  const clock = () => now;
  const chain = createSimulatedTronChain({ clock, finalityLag: 18, height: 40 });
  const node = await startSimulatedTronNode(chain);
  const config = benchTron([node.url], { chainId: chainIdOf(chain) });
  const source = createTronSource({ chain: config, clock, log });
  const watch = createWatchlist('tron');
  const deps = {
    db,
    chain: config,
    source,
    watch,
    latePolicy: 'flag' as const,
    clock,
    log,
    onEvents: () => {},
  };
  const watcher = createWatcher(deps);
  const recheck = createRecheck({ ...deps, found: () => {} });
  const { signal } = new AbortController();
  const lookMs = (pace === 'open' ? config.pollSeconds : config.idlePollSeconds) * 1000;
  const token = tokenKey('tron', 'usdt') as AddressKey;
  try {
    for (let i = 0; i < 5; i++) await watcher.step(signal);
    node.calls.length = 0;
    const secondReading: Call[] = [];
    const begun = now;
    let [mined, looked, again] = [0, 0, 0];
    while (mined < blocks) {
      const next = Math.min(
        begun + (mined + 1) * blockMs + lateMs,
        begun + (looked + 1) * lookMs,
        begun + (again + 1) * config.recheckSeconds * 1000,
      );
      now = next;
      if (next === begun + (mined + 1) * blockMs + lateMs) {
        mined += 1;
        const recipient = mined % paidEvery === 0 ? watchedKey(mined % watched) : stranger;
        chain.send({ token, currency: 'usdt', recipient, amount: 1_000_000n });
        // Its time is that of its slot.
        now -= lateMs;
        chain.mine();
        now = next;
      } else if (next === begun + (looked + 1) * lookMs) {
        looked += 1;
        // It goes on at once while there is more.
        while ((await watcher.step(signal)).nextAt <= now);
      } else {
        again += 1;
        const before = node.calls.length;
        while ((await recheck.step(signal)).kind === 'rechecked');
        secondReading.push(...node.calls.splice(before));
      }
    }
    const solid = node.calls.filter(
      ({ view, method }) => view === 'walletsolidity' || method === 'getnodeinfo',
    );
    const head = node.calls.filter(({ view, method }) => view === 'wallet' && method === 'getblock');
    const reading = node.calls.length - solid.length - head.length;
    const counts = [reading, head.length, solid.length, secondReading.length];
    const sum = counts.reduce((before, calls) => before + calls);
    return `| ${[
      watched.toLocaleString('en'),
      `${lookMs / 1000} s`,
      ...counts.map((calls) => (calls / blocks).toFixed(2)),
      Math.round((sum / blocks) * (86_400_000 / blockMs)).toLocaleString('en'),
    ].join(' | ')} |`;
  } finally {
    await source.close();
    await node.close();
    await db.destroy();
  }
}
