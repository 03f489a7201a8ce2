import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { transferCall } from '../src/demo/token.ts';
import { startTestAnvil, type TestAnvil } from '../test/support/anvil.ts';
import { type FaultProxy, startFaultProxy, type When } from '../test/support/fault-proxy.ts';
import type { Fault } from '../test/support/faults.ts';
import { placeTokens } from '../test/support/tokens.ts';
import {
  type LiveEngine,
  type LiveOptions,
  startDepositd,
  startPonderLive,
  startSquid,
  startViem,
} from './support/live-engines.ts';
import { installPeers } from './support/peers.ts';
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

/** Behind a balancer there are no filters: whatever asks for one must do without. */
const noFilters: Fault = { kind: 'refuse', code: -32601, message: 'method not found' };

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

type Running = LiveEngine & { name: string; lying: FaultProxy };

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
      // One after another, as the sender counts them.
      for (const stranger of [100, 101, 102])
        await anvil.send(transferCall(usdt, addressOf(stranger), amount));
      sent.push(await anvil.send(transferCall(usdt, addressOf(block % addresses), amount)));
      await setTimeout(blockMs);
      await anvil.mine();
      if (block === blocks - 5 && reorg !== undefined) await anvil.reorg(reorg);
    }
    for (const { lying } of engines) {
      lying.clear();
      lying.inject(noFilters, { method: 'eth_newFilter' });
    }
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
    const place = async (name: string, start: (options: LiveOptions) => Promise<LiveEngine>) => {
      const lying = await startFaultProxy(anvil.url, { seed: 7 });
      closers.push(lying.close);
      const nodes = [lying];
      if (honest) {
        const other = await startFaultProxy(anvil.url);
        closers.push(other.close);
        nodes.push(other);
      }
      for (const node of nodes) node.inject(noFilters, { method: 'eth_newFilter' });
      const own = join(folder, String(engines.length));
      mkdirSync(own);
      const urls = nodes.map(({ url }) => url);
      const running = await start({ urls, token, addresses, height: await anvil.height(), folder: own });
      closers.push(running.stop);
      engines.push({ name: `${name}, ${honest ? 'and an honest one' : 'one node'}`, lying, ...running });
    };
    await place('depositd', startDepositd);
    if (!peers) continue;
    await place('viem watchEvent', startViem);
    if (!honest) await place('@subsquid/evm-processor 1.27.3', startSquid);
    await place('ponder 0.16.10', startPonderLive);
  }
  return engines;
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
  const [first] = result as { transactionHash: string; topics: string[] }[];
  if (first === undefined) return result;
  const foreign = {
    ...first,
    topics: [...first.topics.slice(0, 2), `0x${watchedKey(0).padStart(64, '0')}`],
    blockHash: `0x${'f0'.repeat(32)}`,
    transactionHash: `0x${'f1'.repeat(16)}${first.transactionHash.slice(34)}`,
  };
  return [...(result as unknown[]), foreign];
}

function addressOf(n: number): `0x${string}` {
  return `0x${watchedKey(n)}`;
}
