import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { createScrubber, secretsOf } from '../config/scrub.ts';
import type { Config } from '../config.ts';
import type { Network } from '../core/networks.ts';
import { counted } from '../core/plural.ts';
import { checkPostgres, checkServer, checkSignals, checkSqlite, olderTables } from '../doctor/database.ts';
import type { Finding } from '../doctor/finding.ts';
import { checkClock, checkDisk, checkFileSystem, checkLogSize } from '../doctor/machine.ts';
import { checkPublicUrl } from '../doctor/public-url.ts';
import { checkReceivers } from '../doctor/receivers.ts';
import { checkProviders, judgePrices } from '../doctor/services.ts';
import { checkShops } from '../doctor/shop.ts';
import { CommandError } from '../errors.ts';
import { openSecrets } from '../notify/secrets.ts';
import { openUnchanged } from '../storage/database.ts';
import { createDatabaseClock } from '../storage/database-clock.ts';
import type { Db } from '../storage/schema.ts';
import { fileOf } from '../storage/sqlite.ts';
import { listActiveUrls } from '../storage/webhooks/endpoints.ts';
import type { Check, CheckName } from '../watchers/examination.ts';
import { examineNode } from '../watchers/examine.ts';
import { createUsageMeters } from '../watchers/usage-notes.ts';
import { askPrices } from './check-online.ts';
import { print, printJson, printTable } from './output.ts';
import type { CommandOptions } from './workplace.ts';

/** What a finding about a node means for money, and what to do. */
const meanings: Record<CheckName, { money: string; todo: string }> = {
  chain: {
    money: 'nothing is read from it',
    todo: 'look whether its URL is right and this machine can reach it; where it is of another chain, take a node of this one, or put right chains.<network>.chainId',
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
  range: {
    money: 'after an outage its chain is caught up with slowly: what was paid meanwhile is seen late',
    todo: 'take a plan or a node that shows the logs of more blocks at once; it works until then',
  },
  batch: {
    money: 'payments are seen a little later, and a plan that counts requests is used up sooner',
    todo: 'take a plan or a node that takes batches, or count on so many requests more; it works until then',
  },
  traces: {
    money:
      "the chain's own coin that a contract pays (exchanges, Safe wallets) is no payment by its word: it is found as an unmatched deposit",
    todo: 'keep one node with traces for this chain, anywhere in the list (docs/chains.md)',
  },
};

/** How long looking one node over may take, ms. */
const patienceMs = 30_000;

/** Web servers that tell the time, beside the nodes: those of the price sources. */
const timeServers = ['https://api.coinbase.com', 'https://api.kraken.com', 'https://api.binance.com'];

type UsageMeters = ReturnType<typeof createUsageMeters>;
type Examined = { network: Network; host: string; checks: Check[] };

/**
 * Looks over each node of the configuration, this machine, and all that money depends on beside them; says of whatever is
 * wrong what it means for money and what to do. Works beside a running daemon or without one, and changes nothing but the count of
 * what the nodes were asked.
 *
 * @throws CommandError where money would be lost or never confirmed.
 */
export async function doctor(options: CommandOptions): Promise<void> {
  const config = loadConfig(options.config, process.env, { adminToken: 'unused' });
  const meters = createUsageMeters(systemClock);
  const [nodes, findings] = await Promise.all([examineNodes(config, meters), lookAround(config)]);
  await noteAsked(config, findings, meters);
  const bad =
    nodes.flatMap(({ checks }) => checks.filter(({ outcome }) => outcome === 'danger')).length +
    findings.filter(({ outcome }) => outcome === 'danger').length;
  if (options.json)
    printJson({
      well: bad === 0,
      nodes: nodes.map((node) => ({ ...node, checks: explained(node) })),
      findings,
    });
  else show(nodes, findings);
  if (bad > 0) throw new CommandError(`${counted(bad, 'finding')} that would cost money`);
}

function examineNodes(config: Config, meters: UsageMeters): Promise<Examined[]> {
  const asked = Object.values(config.chains).flatMap((chain) =>
    chain.rpc.map(async (endpoint): Promise<Examined> => {
      const signal = AbortSignal.timeout(patienceMs);
      const meter = meters.meterOf(chain.network);
      const checks = await examineNode(endpoint, { chain, clock: systemClock, signal, meter });
      // The rest of the URL may be a key.
      return { network: chain.network, host: new URL(endpoint.url).host, checks };
    }),
  );
  return Promise.all(asked);
}

/** Where the database is well, and has the tables of this version. */
async function noteAsked(
  { database }: Config,
  findings: readonly Finding[],
  meters: UsageMeters,
): Promise<void> {
  if (!findings.some(({ part, outcome }) => part === 'database' && outcome === 'well')) return;
  const db = await openUnchanged(database).catch(() => null);
  if (db !== null) await using(db, () => meters.noteLast(db));
}

async function lookAround(config: Config): Promise<Finding[]> {
  const clean = createScrubber(secretsOf(config));
  const onInternet = config.rates.sources.some((source) => source !== 'fixed');
  const nodes = Object.values(config.chains).flatMap(({ rpc }) => rpc.map(({ url }) => new URL(url).origin));
  const tellers = [...nodes, ...(onInternet ? timeServers : [])];
  const found = await Promise.all([
    checkClock(systemClock, { urls: tellers, whose: 'this machine' }).then((finding) => [finding]),
    lookAtStorage(config, tellers),
    askPrices(config, systemClock).then(judgePrices),
    checkProviders(config, systemClock),
    config.sandbox
      ? []
      : checkPublicUrl(config.publicUrl, { inbound: Object.keys(config.providers).length > 0 }),
  ]);
  return found.flat().map((finding) => ({ ...finding, found: clean(finding.found) }));
}

/** The database, the disk that it is on, and the receivers that are written in it. */
async function lookAtStorage(config: Config, tellers: readonly string[]): Promise<Finding[]> {
  const { database } = config;
  if (!database.startsWith('sqlite:')) {
    const { db, finding } = await checkPostgres(database);
    if (db === null) return [finding];
    return using(db, async () => {
      const { clock } = await createDatabaseClock(db);
      const time = await checkClock(clock, { urls: tellers, whose: 'the database server' });
      const keeps = await checkServer(db, new URL(database).host);
      const signals = await checkSignals(db, config);
      return [finding, ...keeps, signals, time, ...(await lookInto(db, config))];
    });
  }
  const path = database.slice('sqlite:'.length);
  // Where SQLite writes: it may be a link.
  const home = dirname(fileOf(path));
  const folder = existsSync(home) ? home : dirname(home);
  const whole = checkSqlite(path);
  const log = checkLogSize(fileOf(path));
  const found = [
    await checkDisk(folder),
    await checkFileSystem(folder),
    whole,
    ...(log === null ? [] : [log]),
  ];
  // What is damaged is not opened for writing.
  if (whole.outcome !== 'well') return found;
  const db = await openUnchanged(database);
  if (db === null) return [...found, olderTables(path)];
  return using(db, async () => [...found, ...(await lookInto(db, config))]);
}

async function using<T>(db: Db, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await db.destroy();
  }
}

async function lookInto(db: Db, config: Config): Promise<Finding[]> {
  const { allowHosts, secretKey } = config.webhooks;
  const tryKey = (sealed: string) => openSecrets({ dataFolder: config.dataFolder, secretKey }, sealed);
  const shops = await checkShops(db, config, tryKey);
  return [...shops, ...(await checkReceivers(await listActiveUrls(db), { allowHosts }))];
}

function explained({ checks }: Examined) {
  return checks.map((one) => ({ ...one, ...(one.outcome === 'well' ? {} : meanings[one.name]) }));
}

function show(nodes: readonly Examined[], findings: readonly Finding[]): void {
  printTable(
    ['CHAIN', 'NODE', 'CHECK', 'RESULT', 'FOUND'],
    nodes.flatMap(({ network, host, checks }) =>
      checks.map(({ name, outcome, found }) => [network, host, name, outcome, found]),
    ),
  );
  print('');
  printTable(
    ['PART', 'OF', 'RESULT', 'FOUND'],
    findings.map(({ part, subject, outcome, found }) => [part, subject, outcome, found]),
  );
  for (const { network, host, checks } of nodes)
    for (const { name, outcome, found } of checks)
      if (outcome !== 'well') explain(`${outcome}: ${network}, ${host}: ${found}`, meanings[name]);
  for (const { part, subject, outcome, found, money = '', todo = '' } of findings)
    if (outcome !== 'well') explain(`${outcome}: ${part}, ${subject}: ${found}`, { money, todo });
}

function explain(line: string, { money, todo }: { money: string; todo: string }): void {
  print('');
  print(line);
  print(`  for money: ${money}`);
  print(`  to do: ${todo}`);
}
