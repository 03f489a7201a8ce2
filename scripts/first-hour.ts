/**
 * Walks the README's way "From nothing to the first payment" in an empty folder with nothing in the environment, on
 * chains of its own: `node scripts/first-hour.ts`. Every command is run as it is printed, and the first that fails
 * ends it. What a reader puts in (addresses, node URLs, the key) is put in; only the ports are others, and `npm ci`
 * takes what is installed here.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { type AddressKey, writeAddress } from '../src/core/address.ts';
import { type DemoChain, startDemoChain } from '../src/demo/chain.ts';

const root = join(import.meta.dirname, '..');

export type FirstHour = { commands: string[]; received: string };

/** @throws Error naming the printed command that failed, with what it said. */
export async function walkFirstHour(tell: (line: string) => void): Promise<FirstHour> {
  const home = mkdtempSync(join(tmpdir(), 'depositd-first-hour-'));
  const children: ChildProcess[] = [];
  const chains: DemoChain[] = [];
  try {
    const folder = cloneInto(join(home, 'depositd'));
    for (const network of ['bsc', 'ethereum'] as const) {
      chains.push(await startDemoChain(network, { blockSeconds: 0.2, folder: home }));
    }
    return await walk({ home, folder, chains, children, tell });
  } finally {
    for (const child of children.toReversed()) await end(child);
    for (const chain of chains) await chain.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

type Walk = {
  home: string;
  folder: string;
  chains: readonly DemoChain[];
  children: ChildProcess[];
  tell: (line: string) => void;
};

async function walk({ home, folder, chains, children, tell }: Walk): Promise<FirstHour> {
  const [port, shopPort] = [String(await choosePort()), String(await choosePort())];
  const commands: string[] = [];
  // As the reader goes on, more of what is printed in capitals or with dots is known.
  const known: [RegExp, () => string][] = [
    [/127\.0\.0\.1:8080/g, () => `127.0.0.1:${port}`],
    [/127\.0\.0\.1:3000/g, () => `127.0.0.1:${shopPort}`],
    [/0x…/g, newAddress],
  ];
  // A shell for each: nothing may depend on what another one has set.
  const environment = { PATH: `${join(folder, 'node_modules/.bin')}:/usr/bin:/bin`, HOME: home };

  async function run(command: string): Promise<string> {
    tell(`$ ${command}`);
    commands.push(command);
    const filled = known.reduce((text, [pattern, value]) => text.replace(pattern, value), command);
    // Not synchronously: the chains stall when nobody reads what they print.
    const { stdout } = await promisify(execFile)('/bin/sh', ['-ec', filled], {
      cwd: folder,
      env: environment,
    });
    return stdout;
  }

  async function start(command: string, env: Record<string, string>, until: RegExp): Promise<() => string> {
    const child = spawn('/bin/sh', ['-ec', `exec ${command}`], {
      cwd: folder,
      env: { ...environment, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    let output = '';
    await new Promise<void>((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          output += `${line}\n`;
          if (until.test(line)) resolve();
        });
      }
      child.once('close', () => reject(new Error(`${command} ended:\n${output}`)));
    });
    return () => output;
  }

  let received = () => '';
  for (const command of printedCommands()) {
    if (command === 'npm ci') {
      commands.push(command);
      symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    } else if (command === './depositd serve') {
      tell(`$ ${command}`);
      commands.push(command);
      await start(command, {}, /"msg":"ready"|\bready\b/);
    } else {
      const output = await run(command);
      if (command.includes(' init ')) configure(folder, port, chains);
      if (command.includes(' merchant add ')) {
        const { id, api_key: key } = JSON.parse(output) as { id: string; api_key: string };
        known.push([/MERCHANT_ID/g, () => id], [/pk_\.\.\./g, () => key]);
      }
      if (command.includes(' webhook add ')) {
        const { secret } = JSON.parse(output) as { secret: string };
        writeFileSync(join(folder, 'receiver.mjs'), printedReceiver());
        const env = { WEBHOOK_SECRET: secret, PORT: shopPort };
        received = await start('node receiver.mjs', env, /listening on/);
      }
      if (command.startsWith('curl ')) await pay(chains, JSON.parse(output));
    }
  }
  await untilHeard(received, /order-1 paid: /);
  return { commands, received: received() };
}

/** The commands of the section, in order; a line that ends in a backslash goes on. */
function printedCommands(): string[] {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const section = /^## From nothing to the first payment\n([\s\S]*?)^## /m.exec(readme)?.[1] ?? '';
  const blocks = [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block);
  const lines = blocks.flatMap((block) => block.replace(/\\\n\s*/g, ' ').split('\n'));
  return lines.map((line) => line.replace(/\s+# .*$/, '').trim()).filter((line) => /^[^#]/.test(line));
}

function printedReceiver(): string {
  const page = readFileSync(join(root, 'docs/integrate.md'), 'utf8');
  return /```js\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
}

/** What a clone would have, changes that are not committed included. */
function cloneInto(folder: string): string {
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  }).split('\0');
  const needed = files.filter(
    (name) => /^(src|migrations)\/|^[^/]+$/.test(name) && existsSync(join(root, name)),
  );
  for (const name of needed) cpSync(join(root, name), join(folder, name));
  return folder;
}

/** What the reader is told to put in: nodes and the public address, and here prices, because nobody is asked for them. */
function configure(folder: string, port: string, chains: readonly DemoChain[]): void {
  const path = join(folder, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as { chains: Record<string, { rpc: string[] }> };
  for (const { network, url } of chains) config.chains[network] = { rpc: [url] };
  const fixed = { usdt: '1', usdc: '1', busd: '1', bnb: '600', eth: '3000' };
  const listen = { port: Number(port) };
  const webhooks = { allowHosts: ['127.0.0.1'] };
  const publicUrl = `http://127.0.0.1:${port}`;
  const rates = { sources: ['fixed'], fixed };
  writeFileSync(path, JSON.stringify({ ...config, publicUrl, listen, webhooks, rates }));
}

/**
 * A port that is free now, of those that no system gives out by itself: until it is used, seconds later, whatever else opens ports here
 * takes another one.
 */
async function choosePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 30_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    await new Promise((resolve) => server.close(resolve));
    if (isFree) return port;
  }
}

function newAddress(): string {
  return writeAddress('evm', randomBytes(20).toString('hex') as AddressKey);
}

async function pay(chains: readonly DemoChain[], payment: unknown): Promise<void> {
  const { assigned_address: address, expected_crypto_amount: amount } = payment as Record<string, string>;
  if (address === undefined || amount === undefined)
    throw new Error(`no payment: ${JSON.stringify(payment)}`);
  await chains[0]?.pay('usdt', address, amount);
}

async function untilHeard(output: () => string, what: RegExp): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!what.test(output())) {
    if (performance.now() > deadline) throw new Error(`the receiver was not told:\n${output()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'close');
  if (child.exitCode === null && child.kill('SIGTERM')) await ended;
}

if (process.argv[1] === import.meta.filename) {
  const { received } = await walkFirstHour(console.log);
  console.log(received);
}
