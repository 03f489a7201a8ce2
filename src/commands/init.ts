import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { parseConfig, parseEnvFile } from '../config/load.ts';
import { CommandError, reasonOf } from '../errors.ts';
import { print, say } from './output.ts';
import type { CommandOptions } from './workplace.ts';

export type InitOptions = Pick<CommandOptions, 'config'> & {
  /** `network=url`, as given. */
  rpc: readonly string[];
  publicUrl?: string;
  database?: string;
};

/** What is asked for, where nobody has said it on the command line. */
type Answers = { publicUrl: string; chains: Record<string, { rpc: string[] }> };

const tokenName = 'DEPOSITD_ADMIN_TOKEN';
const usualUrl = 'http://127.0.0.1:8080';

/**
 * Writes a configuration, and the operator's token into `.env` beside it, and says what comes next. What is there
 * already is never overwritten.
 */
export async function init(options: InitOptions): Promise<void> {
  const path = resolve(options.config);
  const folder = dirname(path);
  const answers = await answersOf(options);
  const file = {
    publicUrl: answers.publicUrl,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    adminToken: '${DEPOSITD_ADMIN_TOKEN}',
    ...(options.database === undefined ? {} : { database: options.database }),
    chains: answers.chains,
  };
  const text = `${JSON.stringify(file, null, 2)}\n`;
  const token = randomBytes(32).toString('hex');
  // Nothing is written that would be refused.
  parseConfig(text, folder, { ...process.env, [tokenName]: token });

  if (existsSync(path)) throw new CommandError(`${path} is there already, and stays as it is`);
  mkdirSync(folder, { recursive: true });
  // The token first: a configuration without one is no beginning, and would be in the way of the next try.
  const kept = keepToken(join(folder, '.env'), token);
  // A URL of a node may hold a key.
  writeNew(path, text);
  print(`wrote ${path}`);
  print(kept);
  print('\nWhat comes next:');
  const commands = [
    'check-config --online',
    'merchant add "My shop"',
    'address add --merchant MERCHANT_ID --network NETWORK 0x…',
    'serve',
  ];
  // Set by the script in a clone, which is found in no path. It also says where the configuration is.
  const program = process.env.DEPOSITD_PROGRAM ?? 'depositd';
  const isFound = options.config === './config.json' || options.config === process.env.DEPOSITD_CONFIG;
  for (const command of commands) print(`  ${program} ${command}${isFound ? '' : ` -c ${options.config}`}`);
}

async function answersOf({ rpc, publicUrl }: InitOptions): Promise<Answers> {
  const chains = readRpc(rpc);
  if (Object.keys(chains).length > 0) return { publicUrl: publicUrl ?? usualUrl, chains };
  if (!process.stdin.isTTY)
    throw new CommandError('name a node for each chain: --rpc bsc=https://… --rpc ethereum=https://…');
  return ask(publicUrl);
}

function readRpc(given: readonly string[]): Answers['chains'] {
  const chains: Answers['chains'] = {};
  for (const one of given) {
    const at = one.indexOf('=');
    if (at < 1) throw new CommandError(`--rpc ${one}: expected <network>=<url>`);
    const network = one.slice(0, at);
    chains[network] = { rpc: [...(chains[network]?.rpc ?? []), one.slice(at + 1)] };
  }
  return chains;
}

async function ask(publicUrl: string | undefined): Promise<Answers> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Whoever ends the input has no answers.
  const ended = new AbortController();
  terminal.once('close', () => ended.abort());
  const question = async (text: string, usual: string) =>
    (
      await terminal.question(`${text}${usual === '' ? '' : ` [${usual}]`}: `, { signal: ended.signal })
    ).trim() || usual;
  try {
    const url = publicUrl ?? (await question('Where do customers reach this service?', usualUrl));
    say('A node for each chain that you take money on; two are better than one. Empty: not on this chain.');
    const chains: Answers['chains'] = {};
    for (const network of ['bsc', 'ethereum', 'tron']) {
      const urls = (await question(`${network}, one URL or more`, '')).split(/[\s,]+/).filter(Boolean);
      if (urls.length > 0) chains[network] = { rpc: urls };
    }
    if (Object.keys(chains).length === 0) throw new CommandError('without a node there is nothing to watch');
    return { publicUrl: url, chains };
  } catch (error) {
    if (ended.signal.aborted) throw new CommandError('nothing was written: the questions were not answered');
    throw error;
  } finally {
    terminal.close();
  }
}

function writeNew(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new CommandError(
      exists
        ? `${path} is there already, and stays as it is`
        : `${path} cannot be written: ${reasonOf(error)}`,
      { cause: error },
    );
  }
}

/** Leaves a token that is there alone; a sentence of what was done. */
function keepToken(path: string, token: string): string {
  let present = '';
  try {
    present = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new CommandError(`${path} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  const found = parseEnvFile(present)[tokenName] ?? '';
  if (found !== '') return `${path} holds a token of the operator already`;
  const line = `${tokenName}=${token}\n`;
  const begin = present === '' || present.endsWith('\n') ? '' : '\n';
  writeFileSync(path, `${begin}${line}`, { mode: 0o600, flag: 'a' });
  // One that was there may be meant for a group: a service's.
  chmodSync(path, statSync(path).mode & 0o770);
  return `wrote the operator's token into ${path}, which strangers on this machine cannot read`;
}
