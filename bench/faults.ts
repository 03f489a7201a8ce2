import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { createPublicClient, fallback, http, parseAbiItem } from 'viem';
import { transferCall } from '../src/demo/token.ts';
import { createLogger } from '../src/log.ts';
import { openDatabase } from '../src/storage/database.ts';
import { watchChain } from '../src/watchers/chain.ts';
import { createWatchlist } from '../src/watchers/watchlist.ts';
import { startTestAnvil, type TestAnvil } from '../test/support/anvil.ts';
import { type FaultProxy, startFaultProxy, type When } from '../test/support/fault-proxy.ts';
import type { Fault } from '../test/support/faults.ts';
import { placeTokens } from '../test/support/tokens.ts';
import { benchChain } from './support/bench-chain.ts';
import { fillDatabase } from './support/database.ts';
import { installPeers, startPonder } from './support/peers.ts';
import { writeResults } from './support/results.ts';
import { watchedKey } from './support/transfer-chain.ts';

/*
 * Nodes that answer, and answer wrongly: what each engine makes of the same chain behind the same lies. Every engine
 * reads it through nodes of its own, once through one that lies and once with an honest one beside it.
 */

const blocks = 30;
const blockMs = 400;
const addresses = 10;
/** How often a lying node lies. */
const chance = 0.5;
/** How long an engine may take to make up for it once the lies are over, ms. */
const patienceMs = 20_000;

const logs = { method: 'eth_getLogs' };

type Scenario = { name: string; lies: readonly [fault: Fault, when?: When][]; reorg?: number };

const scenarios: Scenario[] = [
  { name: 'nothing wrong', lies: [] },
  { name: 'an empty list of logs', lies: [[{ kind: 'empty-logs' }, logs]] },
  { name: 'half of the list', lies: [[{ kind: 'short-logs' }, logs]] },
  { name: 'a log left out of the middle', lies: [[{ kind: 'drop-middle-log' }, logs]] },
  { name: 'a range cut short without a word', lies: [[{ kind: 'lag', by: 3 }, logs]] },
  { name: 'a stale head', lies: [[{ kind: 'stale-tags', by: 3 }]] },
  { name: 'every log twice', lies: [[{ kind: 'repeat-logs' }, logs]] },
  { name: 'a log of another fork', lies: [[{ kind: 'rewrite', rewrite: addForeignLog }, logs]] },
  { name: 'a reorg of 3 blocks, no lies', lies: [], reorg: 3 },
];

/** An engine at work on one chain. */
type Running = {
  name: string;
  lying: FaultProxy;
  /** Transactions of the deposits that it holds now, one for each deposit. */
  deposits(): Promise<string[]>;
  stop(): Promise<void>;
};

type Verdict = { lost: number; phantom: number };

export async function run(args: string[]): Promise<void> {
  const peers = !args.includes('--alone');
  if (peers) installPeers();
  const table = new Map<string, Map<string, Verdict>>();
  for (const scenario of scenarios) {
    console.log(`${scenario.name}…`);
    for (const [engine, verdict] of await play(scenario, peers)) {
      table.set(engine, (table.get(engine) ?? new Map()).set(scenario.name, verdict));
    }
  }
  const engines = [...table.keys()];
  const cell = ({ lost, phantom }: Verdict) => (lost + phantom === 0 ? '0' : `**${lost} / ${phantom}**`);
  const lines = [
    `${blocks} deposits in ${blocks} blocks of ${blockMs} ms; the node lies in ${chance * 100} % of its answers until the last of them, then 20 more blocks follow.`,
    'Each cell: deposits lost / phantom or doubled, at most 20 seconds after the lies ended.',
    '',
    `| | ${engines.join(' | ')} |`,
    `|---|${engines.map(() => '---').join('|')}|`,
    ...scenarios.map(({ name }) => {
      const cells = engines.map((engine) => cell(table.get(engine)?.get(name) as Verdict));
      return `| ${name} | ${cells.join(' | ')} |`;
    }),
  ];
  console.log(lines.join('\n'));
  writeResults('faults', lines);
}

async function play({ lies, reorg }: Scenario, peers: boolean): Promise<[string, Verdict][]> {
  const folder = mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  const anvil = await startTestAnvil();
  const closers: (() => Promise<void>)[] = [];
  try {
    const { usdt } = await placeTokens(anvil, 'bsc');
    await anvil.mine(20);
    const engines = await startEngines({ anvil, token: usdt, folder, peers, closers });
    for (const { lying } of engines)
      for (const [fault, when] of lies) lying.inject(fault, { ...when, chance });

    const sent: string[] = [];
    for (let block = 1; block <= blocks; block++) {
      const amount = BigInt(block);
      const strangers = [100, 101, 102].map((n) => anvil.send(transferCall(usdt, addressOf(n), amount)));
      sent.push(await anvil.send(transferCall(usdt, addressOf(block % addresses), amount)));
      await Promise.all(strangers);
      await setTimeout(blockMs);
      await anvil.mine();
      if (block === blocks - 5 && reorg !== undefined) await anvil.reorg(reorg);
    }
    for (const { lying } of engines) lying.clear();
    for (let block = 0; block < 20; block++) {
      await setTimeout(100);
      await anvil.mine();
    }

    const truth = await onChain(anvil, sent);
    const deadline = performance.now() + patienceMs;
    const verdicts: [string, Verdict][] = [];
    for (const { name, deposits } of engines) {
      let verdict = judge(truth, await deposits());
      while (verdict.lost + verdict.phantom > 0 && performance.now() < deadline) {
        await setTimeout(250);
        verdict = judge(truth, await deposits());
      }
      verdicts.push([name, verdict]);
    }
    return verdicts;
  } finally {
    for (const close of closers.reverse()) await close();
    await anvil.stop();
    rmSync(folder, { recursive: true });
  }
}

type Stage = {
  anvil: TestAnvil;
  token: string;
  folder: string;
  peers: boolean;
  closers: (() => Promise<void>)[];
};

async function startEngines({ anvil, token, folder, peers, closers }: Stage): Promise<Running[]> {
  const engines: Running[] = [];
  for (const honest of [false, true]) {
    const place = async (
      name: string,
      start: (urls: string[]) => Promise<Pick<Running, 'deposits' | 'stop'>>,
    ) => {
      const lying = await startFaultProxy(anvil.url, { seed: 7 });
      closers.push(lying.close);
      // Behind a balancer there are no filters: whatever asks for one must do without.
      lying.inject(
        { kind: 'refuse', code: -32601, message: 'method not found' },
        { method: 'eth_newFilter' },
      );
      const nodes = [lying];
      if (honest) {
        const other = await startFaultProxy(anvil.url);
        closers.push(other.close);
        nodes.push(other);
      }
      const running = await start(nodes.map(({ url }) => url));
      closers.push(running.stop);
      engines.push({ name: `${name}, ${honest ? 'and an honest one' : 'one node'}`, lying, ...running });
    };
    await place('depositd', (urls) => startDepositd(urls, join(folder, `depositd-${honest}.db`)));
    if (!peers) continue;
    await place('viem watchEvent', async (urls) => startViem(urls, token));
    await place('ponder 0.16.10', async (urls) => {
      const home = join(folder, `ponder-${honest}`);
      mkdirSync(home);
      const watched = join(home, 'watched.json');
      writeFileSync(watched, JSON.stringify(Array.from({ length: addresses }, (_, n) => watchedKey(n))));
      const start = await anvil.height();
      const ponder = await startPonder({ urls, token, start, folder: home, watched, pollMs: 500 });
      while (!(await ponder.isReady())) await setTimeout(100);
      return ponder;
    });
  }
  return engines;
}

async function startDepositd(urls: string[], path: string): Promise<Pick<Running, 'deposits' | 'stop'>> {
  await fillDatabase(path, addresses);
  const db = await openDatabase(`sqlite:${path}`);
  const watch = createWatchlist('evm');
  await watch.refresh(db);
  const running = watchChain({
    db,
    chain: benchChain(urls, {
      pollSeconds: 0.5,
      idlePollSeconds: 0.5,
      auditSeconds: 2,
      requiredConfirmations: 3,
    }),
    watch,
    latePolicy: 'flag',
    publicUrl: 'https://pay.example.com',
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

function startViem(urls: string[], token: string): Pick<Running, 'deposits' | 'stop'> {
  const client = createPublicClient({
    transport: fallback(urls.map((url) => http(url))),
    pollingInterval: 500,
  });
  const found = new Map<string, string>();
  const stop = client.watchEvent({
    address: token as `0x${string}`,
    event: parseAbiItem('event Transfer(address indexed from, address indexed to, uint256 value)'),
    args: { to: Array.from({ length: addresses }, (_, n) => addressOf(n)) },
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

/** Those of the transactions that the chain has now. */
async function onChain(anvil: TestAnvil, sent: readonly string[]): Promise<Set<string>> {
  const receipts = await Promise.all(sent.map((txHash) => anvil.receipt(txHash)));
  return new Set(sent.filter((_, i) => receipts[i] !== null));
}

function judge(truth: ReadonlySet<string>, deposits: readonly string[]): Verdict {
  const held = new Set(deposits);
  const lost = [...truth].filter((txHash) => !held.has(txHash)).length;
  const real = new Set(deposits.filter((txHash) => truth.has(txHash))).size;
  return { lost, phantom: deposits.length - real };
}

/** A payment to us in a block that is not on this chain. */
function addForeignLog(result: unknown): unknown {
  const [first] = result as { transactionHash: string }[];
  if (first === undefined) return result;
  const foreign = {
    ...first,
    blockHash: `0x${'f0'.repeat(32)}`,
    transactionHash: `0x${'f1'.repeat(16)}${first.transactionHash.slice(34)}`,
  };
  return [...(result as unknown[]), foreign];
}

function addressOf(n: number): `0x${string}` {
  return `0x${watchedKey(n)}`;
}
