import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const root = join(import.meta.dirname, '../..');

/** As it is installed: compiled. */
const cli = join(root, 'dist/src/cli.js');

/** A folder with a configuration and a database, as an operator has it. */
export type Home = {
  folder: string;
  /** Where the configuration puts the database. */
  databasePath: string;
  /** Runs `depositd serve` until it is ready. */
  serve(): Promise<Served>;
  remove(): void;
};

export type Served = {
  child: ChildProcess;
  url: string;
  /** From the start of the process to the line `ready`, ms. */
  readyMs: number;
  stop(): Promise<void>;
};

/** Compiles the program that {@link createHome} runs. */
export function buildProgram(): void {
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' });
}

/** A daemon on BSC over this node; `chain` is added to the chain's configuration. */
export function createHome(nodeUrl: string, chain: object = {}): Home {
  const folder = mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  const configPath = join(folder, 'config.json');
  const config = {
    publicUrl: 'https://pay.example.com',
    listen: { host: '127.0.0.1', port: 0 },
    database: 'sqlite:./depositd.db',
    adminToken: 'not-used-by-the-benchmark-0123456789',
    rates: { sources: ['fixed'], fixed: { usdt: '1', usdc: '1', busd: '1', bnb: '600' } },
    chains: { bsc: { rpc: [nodeUrl], ...chain } },
    webhooks: { allowHosts: ['127.0.0.1'] },
  };
  writeFileSync(configPath, JSON.stringify(config));
  return {
    folder,
    databasePath: join(folder, 'depositd.db'),
    serve: () => serve(configPath),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Runs `depositd serve` with these arguments until it is ready. */
export async function serve(configPath: string, args: readonly string[] = []): Promise<Served> {
  const begun = performance.now();
  const child = spawn(process.execPath, [cli, 'serve', '-c', configPath, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH },
  });
  const last: string[] = [];
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      last.push(line);
      if (last.length > 5) last.shift();
      const { msg, host, port } = JSON.parse(line) as { msg: string; host: string; port: number };
      if (msg === 'ready') resolve(`http://${host}:${port}`);
    });
    child.once('exit', (code) => reject(new Error(`the daemon ended with ${code}: ${last.join('\n')}`)));
  });
  return {
    child,
    url,
    readyMs: performance.now() - begun,
    stop: async () => {
      if (child.exitCode === null && child.kill()) await once(child, 'exit');
    },
  };
}
