import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import type { Network } from '../core/networks.ts';
import { counted } from '../core/plural.ts';
import { CommandError } from '../errors.ts';
import type { Check, CheckName } from '../watchers/examination.ts';
import { examineNode } from '../watchers/examine.ts';
import { print, printJson, printTable } from './output.ts';
import type { CommandOptions } from './workplace.ts';

/** What a finding means for money, and what to do. */
const meanings: Record<CheckName, { money: string; todo: string }> = {
  chain: {
    money: 'nothing is read from it',
    todo: 'take the URL of a node of this chain, or put right chains.<network>.chainId',
  },
  head: {
    money: 'payments are seen and confirmed late by as much',
    todo: "look whether it is still syncing, and at this machine's clock (timedatectl); else take another node",
  },
  final: {
    money: 'no payment is confirmed by its word while finality is "finalized"',
    todo: 'wait if it is syncing; else take a node that tells',
  },
  transfers: {
    money: 'payments are not seen at all through it',
    todo: "switch on logs (TRON: the full node's transaction history) or take another node",
  },
  receipts: {
    money: 'it cannot be the second node before a confirmation',
    todo: 'take a node that keeps receipts (TRON: one that serves walletsolidity)',
  },
  history: {
    money: 'what is paid while the daemon is down for longer than it keeps cannot be read later',
    todo: 'keep a second node with a longer history',
  },
  tokens: {
    money: 'amounts would be wrong by powers of ten, or of another token',
    todo: 'put right chains.<network>.tokens; do not start before',
  },
};

/** How long looking one node over may take, ms. */
const patienceMs = 30_000;

type Examined = { network: Network; host: string; checks: Check[] };

/**
 * Looks each node of the configuration over, and says of whatever is wrong what it means for money and what to do.
 *
 * @throws CommandError where money would be lost or never confirmed.
 */
export async function doctor(options: CommandOptions): Promise<void> {
  const config = loadConfig(options.config);
  const clock = systemClock;
  const asked = Object.values(config.chains).flatMap((chain) =>
    chain.rpc.map(async (endpoint): Promise<Examined> => {
      const signal = AbortSignal.timeout(patienceMs);
      const checks = await examineNode(endpoint, { chain, clock, signal });
      // The rest of the URL may be a key.
      return { network: chain.network, host: new URL(endpoint.url).host, checks };
    }),
  );
  const nodes = await Promise.all(asked);
  const bad = nodes.flatMap(({ checks }) => checks.filter(({ outcome }) => outcome === 'danger'));
  if (options.json)
    printJson({ well: bad.length === 0, nodes: nodes.map((node) => ({ ...node, checks: explained(node) })) });
  else show(nodes);
  if (bad.length > 0) throw new CommandError(`${counted(bad.length, 'finding')} that would cost money`);
}

function explained({ checks }: Examined) {
  return checks.map((one) => ({ ...one, ...(one.outcome === 'well' ? {} : meanings[one.name]) }));
}

function show(nodes: readonly Examined[]): void {
  printTable(
    ['CHAIN', 'NODE', 'CHECK', 'RESULT', 'FOUND'],
    nodes.flatMap(({ network, host, checks }) =>
      checks.map(({ name, outcome, found }) => [network, host, name, outcome, found]),
    ),
  );
  for (const { network, host, checks } of nodes)
    for (const { name, outcome, found } of checks) {
      if (outcome === 'well') continue;
      print('');
      print(`${outcome}: ${network}, ${host}: ${found}`);
      print(`  for money: ${meanings[name].money}`);
      print(`  to do: ${meanings[name].todo}`);
    }
}
