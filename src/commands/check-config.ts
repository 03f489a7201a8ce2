import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { createScrubber } from '../config/scrub.ts';
import type { Config } from '../config.ts';
import { formatAmount } from '../core/money.ts';
import { counted } from '../core/plural.ts';
import { type PostgresTls, parsePostgresUrl } from '../core/postgres-url.ts';
import { CommandError, ConfigError } from '../errors.ts';
import { presentSettings, type Setting } from '../present/settings.ts';
import { tlsOptions } from '../storage/postgres-tls.ts';
import { checkOnline, type OnlineReport } from './check-online.ts';
import { print, printJson, printTable } from './output.ts';
import type { CommandOptions } from './workplace.ts';

/**
 * Says whether the configuration is right, and in short what it does. Touches no database, and with `online` asks its
 * nodes and price sources.
 *
 * @throws CommandError when a chain has no node that serves it, or a coin no price.
 */
export async function checkConfig(
  options: CommandOptions & { online?: boolean; settings?: boolean },
): Promise<void> {
  const config = readConfig(options);
  // A file that it names and cannot be read.
  for (const url of [config.database, config.databaseDirect]) {
    const tls = url === null ? null : databaseTls(url);
    if (tls !== null) tlsOptions(tls);
  }
  const online = options.online ? await checkOnline(config, systemClock) : null;
  const settings = options.settings ? presentSettings(config) : null;
  if (options.json) {
    printJson({
      valid: true,
      mistakes: [],
      ...(settings === null ? {} : { settings }),
      ...(online === null ? {} : { online }),
    });
  } else {
    for (const line of summary(options.config, config)) print(line);
    if (settings !== null) showSettings(settings);
    if (online !== null) showOnline(online);
  }
  if (online !== null && online.lacking !== null) throw new CommandError(online.lacking);
}

function readConfig(options: CommandOptions): Config {
  try {
    return loadConfig(options.config);
  } catch (error) {
    if (options.json && error instanceof ConfigError) printJson({ valid: false, mistakes: error.faults });
    throw error;
  }
}

function showSettings(settings: readonly Setting[]): void {
  print('');
  printTable(
    ['SETTING', 'VALUE', 'FROM'],
    settings.map(({ path, value, origin, variables }) => [
      path,
      value,
      origin === 'environment' ? variables.join(', ') : origin,
    ]),
  );
}

function showOnline({ nodes, prices, silent_sources }: OnlineReport): void {
  print('');
  printTable(
    ['CHAIN', 'NODE', 'ANSWER'],
    nodes.map((node) => [node.network, node.host, node.fault ?? `${node.height} is its newest block`]),
  );
  print('');
  printTable(
    ['COIN', 'USD', 'FROM'],
    prices.map((price) => [
      price.coin,
      price.usd ?? '–',
      price.usd === null ? (price.fault ?? '') : price.sources.join(', '),
    ]),
  );
  if (silent_sources.length === 0) return;
  print('');
  printTable(
    ['PRICE SOURCE', 'ANSWER'],
    silent_sources.map(({ name, fault }) => [name, fault]),
  );
}

function summary(path: string, config: Config): string[] {
  const chains = Object.values(config.chains).map((chain) => {
    const nodes = counted(chain.rpc.length, 'node');
    const confirmations = counted(chain.requiredConfirmations, 'confirmation');
    const tiers = chain.confirmationTiers.map(
      (tier) => ` (${tier.confirmations} up to ${formatAmount(BigInt(tier.upToUsdCents), 2, 2)} USD)`,
    );
    const currencies = chain.assets.map((asset) => asset.currency).join(', ');
    return `  ${chain.network}: ${nodes}, ${confirmations}${tiers.join('')}, ${currencies}`;
  });
  return [
    `${path} is right`,
    `  listens on ${config.listen.host} port ${config.listen.port}, for customers ${config.publicUrl}`,
    `  database ${describeDatabase(config.database)}`,
    ...(config.databaseDirect === null
      ? []
      : [`  listens to it at ${describeDatabase(config.databaseDirect)}`]),
    ...chains,
    ...(isOpenToAll(config) ? [`  ${openToAll}`] : []),
  ];
}

const openToAll =
  'publicUrl begins with http://: whoever is between a customer and this service can put their own address on the page';

function isOpenToAll({ publicUrl, sandbox }: Config): boolean {
  const { protocol, hostname } = new URL(publicUrl);
  return protocol === 'http:' && !sandbox && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname);
}

function describeDatabase(url: string): string {
  return `${createScrubber([])(url)}${describeTls(url)}`;
}

/** Null also for SQLite. */
function databaseTls(database: string): PostgresTls | null {
  const url = parsePostgresUrl(database);
  return 'error' in url ? null : url.tls;
}

function describeTls(database: string): string {
  if (database.startsWith('sqlite:')) return '';
  const tls = databaseTls(database);
  if (tls === null) return ', not encrypted';
  if (!tls.checkAuthority) return ', encrypted, but its certificate is not checked';
  return tls.checkHost
    ? ', encrypted, its certificate checked'
    : ', encrypted, its certificate checked except for the host name';
}
