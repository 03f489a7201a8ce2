import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type Usage, usageOf } from './process.ts';

const bench = join(import.meta.dirname, '..');

/** Installs what depositd is compared with, of the versions in `bench/package-lock.json`, unless it is there. */
export function installPeers(): void {
  if (existsSync(join(bench, 'node_modules/.package-lock.json'))) return;
  console.log('installing what depositd is compared with into bench/node_modules…');
  const args = ['ci', '--prefix', bench, '--no-audit', '--no-fund', '--ignore-scripts'];
  const { status } = spawnSync('npm', args, { stdio: 'inherit' });
  if (status !== 0) throw new Error(`npm ${args.join(' ')} ended with ${status}`);
}

export type Ponder = {
  /** Whether it has read what there was when it started. */
  isReady(): Promise<boolean>;
  /** Hashes of the transactions whose transfers it has indexed. */
  deposits(): Promise<string[]>;
  usage(): Usage;
  stop(): Promise<void>;
};

export type PonderOptions = {
  urls: readonly string[];
  token: string;
  /** The first block that it reads. */
  start: number;
  /** An empty folder. */
  folder: string;
  /** A JSON file with the keys of the addresses to watch. */
  watched: string;
  pollMs?: number;
};

/** Starts the project in `bench/peers/ponder`. */
export async function startPonder(options: PonderOptions): Promise<Ponder> {
  const port = await freePort();
  const cwd = join(bench, 'peers/ponder');
  const cli = join(bench, 'node_modules/ponder/dist/esm/bin/ponder.js');
  const args = [cli, 'start', '--schema', 'bench', '--port', String(port), '--log-level', 'warn'];
  const child = spawn(process.execPath, args, {
    cwd,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env.PATH,
      HOME: options.folder,
      PONDER_TELEMETRY_DISABLED: 'true',
      BENCH_RPC: JSON.stringify(options.urls),
      BENCH_TOKEN: options.token,
      BENCH_START: String(options.start),
      BENCH_FOLDER: join(options.folder, 'pglite'),
      BENCH_WATCHED: options.watched,
      BENCH_POLL_MS: String(options.pollMs ?? 1000),
    },
  });
  const url = `http://127.0.0.1:${port}`;
  return {
    isReady: async () => {
      if (child.exitCode !== null) throw new Error(`ponder ended with ${child.exitCode}`);
      return (await fetch(`${url}/ready`).catch(() => null))?.status === 200;
    },
    deposits: async () => {
      const answer = await fetch(`${url}/deposits`);
      return (await answer.json()) as string[];
    },
    usage: () => usageOf(child),
    stop: async () => {
      if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit');
    },
  };
}

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}
