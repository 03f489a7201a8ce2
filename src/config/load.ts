import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import type { Config, FiatRatesConfig } from '../config.ts';
import { type Asset, type Coin, knownCoins } from '../core/assets.ts';
import { parseFiatCode } from '../core/fiat.ts';
import { CommandError, ConfigError, reasonOf } from '../errors.ts';
import { alertsConfig } from './alerts.ts';
import { chainConfig } from './chain.ts';
import { fillFromEnvironment, formatPath } from './environment.ts';
import { closest, describeIssues } from './faults.ts';
import { readJson } from './json.ts';
import { type Origins, originsOf } from './origins.ts';
import { providerConfigs } from './providers.ts';
import { type ConfigFile, configSchema } from './schema.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type LoadOptions = {
  /** Without it, commands that serve nobody do not ask for the operator's password. Default: it is needed. */
  adminToken?: 'needed' | 'unused';
};

/**
 * Reads the configuration file at `path`, the file `.env` beside it, and the environment, which counts more.
 *
 * @throws ConfigError with every fault that was found, each a sentence without secrets.
 */
export function loadConfig(path: string, env: Environment = process.env, options: LoadOptions = {}): Config {
  const folder = dirname(resolve(path));
  const text = readFile(path);
  const filled = { ...readEnvironmentFile(folder), ...env };
  try {
    return parseConfig(text, folder, filled, options);
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError(error.faults, path) : error;
  }
}

/** The same for the text of a file that lies in `folder`. */
export function parseConfig(
  text: string,
  folder: string,
  env: Environment,
  { adminToken = 'needed' }: LoadOptions = {},
): Config {
  const json = readJson(text);
  if ('error' in json) throw new ConfigError([json.error]);
  const value = adminToken === 'needed' ? json.value : withUnusedToken(json.value);
  const filled = fillFromEnvironment(value, env);
  const unset = new Set(filled.faults.map((fault) => formatPath(fault.path)));
  const parsed = configSchema.safeParse(filled.value);
  const issues = parsed.success ? [] : describeIssues(parsed.error.issues, { ...filled, knownKeys });
  const origins = originsOf(json.value, filled.fromEnvironment);
  const built = parsed.success ? buildConfig(parsed.data, folder, origins) : { faults: [] };
  const faults = [
    ...json.duplicates.map((key) => `${key}: stands twice; keep one`),
    ...filled.faults.map((fault) => `${formatPath(fault.path)}: ${fault.message}`),
    ...issues.filter((issue) => !unset.has(formatPath(issue.path))).map((issue) => issue.text),
    ...built.faults,
  ];
  if (faults.length > 0 || !('config' in built)) throw new ConfigError(faults);
  return built.config;
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const reason =
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? 'there is no such file; "depositd init" writes one'
        : reasonOf(error);
    throw new ConfigError([`${path}: cannot be read: ${reason}`]);
  }
}

/** `NAME=value` lines, as systemd and containers read them. */
function readEnvironmentFile(folder: string): Environment {
  const path = join(folder, '.env');
  try {
    return parseEnvFile(readFileSync(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new ConfigError([`${path}: cannot be read: ${reasonOf(error)}`]);
  }
}

/**
 * A text of the command line in which `${NAME}` stands for what it does in the configuration at `path`: a command line is
 * seen by everybody on the machine.
 *
 * @throws CommandError when it is not set.
 */
export function fillArgument(text: string, path: string, env: Environment = process.env): string {
  const { value, faults } = fillFromEnvironment(text, {
    ...readEnvironmentFile(dirname(resolve(path))),
    ...env,
  });
  if (faults[0] !== undefined) throw new CommandError(faults[0].message);
  return value as string;
}

/** A token that nobody knows, in place of one that may be missing. */
function withUnusedToken(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return { ...value, adminToken: randomBytes(32).toString('hex') };
}

function buildConfig(
  file: ConfigFile,
  folder: string,
  origins: Origins,
): { config: Config; faults: string[] } {
  const faults: string[] = [];
  const chains: Config['chains'] = {};
  for (const [name, entry] of Object.entries(file.chains)) {
    if (entry === undefined) continue;
    const built = chainConfig(name, entry, file.sandbox);
    faults.push(...built.faults);
    if (built.chain !== null) chains[built.chain.network] = built.chain;
  }
  faults.push(...listenFaults(file), ...directDatabaseFaults(file));
  const provided = providerConfigs(file.providers, chains);
  faults.push(...priceFaults(file, chains), ...fixedPriceFaults(file.rates), ...provided.faults);
  const sqlitePath = file.database.startsWith('sqlite:')
    ? resolve(folder, file.database.slice('sqlite:'.length))
    : null;
  const config: Config = {
    publicUrl: file.publicUrl.replace(/\/+$/, ''),
    sandbox: file.sandbox,
    listen: file.listen,
    database: sqlitePath === null ? file.database : `sqlite:${sqlitePath}`,
    databaseDirect: file.databaseDirect ?? null,
    dataFolder: sqlitePath === null ? folder : dirname(sqlitePath),
    adminToken: file.adminToken,
    payments: file.payments,
    rates: { ...file.rates, fiat: fiatRatesConfig(file.rates) },
    chains,
    providers: provided.providers,
    webhooks: { ...file.webhooks, secretKey: file.webhooks.secretKey ?? null },
    api: file.api,
    checkout: { ...file.checkout, redirectSeconds: file.checkout.redirectSeconds ?? null },
    alerts: alertsConfig(file.alerts),
    dashboard: file.dashboard,
    log: file.log,
    origins,
  };
  return { config, faults };
}

function listenFaults({ listen, dashboard }: ConfigFile): string[] {
  if (typeof dashboard !== 'object' || dashboard.listen.port === 0) return [];
  if (dashboard.listen.port !== listen.port || dashboard.listen.host !== listen.host) return [];
  return ['dashboard.listen: is where "listen" is; give it another port'];
}

function directDatabaseFaults({ database, databaseDirect }: ConfigFile): string[] {
  if (databaseDirect === undefined || !database.startsWith('sqlite:')) return [];
  return ['databaseDirect: is for a PostgreSQL database behind a pooler; leave it out beside a SQLite file'];
}

/** A coin has one price, whatever chain it is on; and a fixed one is of something. */
function priceFaults(file: ConfigFile, chains: Config['chains']): string[] {
  const faults: string[] = [];
  const known = new Set<string>(['eur', ...Object.keys(knownCoins)]);
  const rates = new Map<Coin, Asset>();
  for (const asset of Object.values(chains).flatMap((chain) => chain.assets)) {
    known.add(asset.coin);
    const first = rates.get(asset.coin) ?? asset;
    rates.set(asset.coin, first);
    if (JSON.stringify(first.rate) === JSON.stringify(asset.rate)) continue;
    faults.push(
      `chains.${asset.network}: the rate of ${asset.coin} differs from that on ${first.network}; say the same on both, or name one of them otherwise`,
    );
  }
  for (const coin of Object.keys(file.rates.fixed)) {
    if (known.has(coin) || (coin === coin.toLowerCase() && parseFiatCode(coin) !== null)) continue;
    const similar = closest(coin, [...known]);
    const hint = similar === null ? `expected one of ${[...known].join(', ')}` : `did you mean "${similar}"?`;
    faults.push(`rates.fixed.${coin}: unknown key; ${hint}`);
  }
  return faults;
}

/** Prices that are never asked for, or none where they are: either way something would not be quoted as was meant. */
function fixedPriceFaults({ sources, fixed, fiat }: ConfigFile['rates']): string[] {
  if (fiat.sources?.includes('openexchangerates') && fiat.openexchangeratesAppId === undefined)
    return ['rates.fiat.openexchangeratesAppId: missing; the source "openexchangerates" needs a key'];
  // Those of currencies serve the other list.
  const prices = Object.keys(fixed).filter((key) => key === 'eur' || parseFiatCode(key) === null).length;
  if (sources.includes('fixed') && prices === 0)
    return ['rates.fixed: missing; the source "fixed" needs prices, like {"usdt": "1"}'];
  if (!sources.includes('fixed') && prices > 0)
    return [
      'rates.fixed: these prices are not used; expected "fixed" among rates.sources, or no prices here',
    ];
  return [];
}

function fiatRatesConfig({ sources, fixed, fiat }: ConfigFile['rates']): FiatRatesConfig {
  const offline = sources.every((source) => source === 'fixed');
  return {
    sources: fiat.sources ?? (offline ? ['fixed'] : ['ecb', 'fixed']),
    openexchangeratesAppId: fiat.openexchangeratesAppId ?? null,
    maxAgeSeconds: fiat.maxAgeSeconds,
    ecbUrl: fiat.ecbUrl ?? null,
    openexchangeratesUrl: fiat.openexchangeratesUrl ?? null,
    fixed,
  };
}

/** The keys that can stand at a path of the file. */
function knownKeys(path: readonly (string | number)[]): string[] {
  let at: z.core.$ZodType = configSchema;
  for (const key of path) {
    const inner = unwrap(at);
    if (inner instanceof z.ZodObject) at = inner.shape[key];
    else if (inner instanceof z.ZodArray) at = inner.element;
    else return [];
  }
  return keysIn(at).filter((key) => key !== '$schema');
}

/** Of a union, those of all its alternatives. */
function keysIn(schema: z.core.$ZodType): string[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return keysIn(schema.unwrap());
  }
  if (schema instanceof z.ZodUnion) return [...new Set(schema.options.flatMap(keysIn))];
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/** What lies under a schema's default, optional and union wrappers; of a union, the alternative with keys. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return unwrap(schema.unwrap());
  }
  if (schema instanceof z.ZodUnion) {
    const alternatives = schema.options.map(unwrap);
    return alternatives.find((option) => option instanceof z.ZodObject) ?? schema;
  }
  return schema;
}

/** What a file of lines `NAME=value` says, also one that begins with a byte order mark, as editors on Windows write it. */
export function parseEnvFile(text: string): NodeJS.Dict<string> {
  return parseEnv(text.replace(/^\uFEFF/, ''));
}
