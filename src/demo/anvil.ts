import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandError } from '../errors.ts';

export type AnvilOptions = {
  chainId: number;
  /** The finalized tag trails the head by two epochs; 1 makes that two blocks. */
  slotsInAnEpoch?: number;
  /** `false`: a block is made only when asked for. Default: one for each transaction. */
  automine?: boolean;
  /** Makes a block every so many seconds instead. */
  blockSeconds?: number;
  /** 0 (the default) takes a free port. */
  port?: number;
  /** Unix seconds of block 0. */
  genesisTime?: number;
  /** Where anvil keeps its files, for whoever clears them even when this process is killed. Default: a folder of its own. */
  folder?: string;
  /** Ends it also when this process is killed and can do nothing any more (not on Windows). */
  withParent?: boolean;
};

/** A local EVM node. Any account may send: anvil impersonates whatever `from` names. */
export type Anvil = {
  url: string;
  port: number;
  chainId: number;
  /** @throws Error with the node's own message when it refuses. */
  rpc(method: string, params?: readonly unknown[]): Promise<unknown>;
  /** Ends the process and removes its files. Safe to call twice. */
  stop(): Promise<void>;
};

/** How long anvil may take to listen, ms. It needs about 100 on an idle machine. */
const startTimeoutMs = 30_000;

/**
 * Starts anvil on 127.0.0.1 and waits until it listens. It ends with this process at the latest.
 *
 * @throws CommandError when there is no anvil or it does not start.
 */
export async function startAnvil(options: AnvilOptions): Promise<Anvil> {
  // anvil keeps old states on disk and leaves them behind when it is stopped: give it a folder to remove.
  const folder = mkdtempSync(join(options.folder ?? tmpdir(), 'depositd-anvil-'));
  const command = [anvilPath(), ...anvilArguments(options), '--cache-path', folder];
  const guarded = (options.withParent ?? false) && process.platform !== 'win32';
  const [program = '', ...args] = guarded ? ['/bin/sh', '-c', endWithParent, 'anvil', ...command] : command;
  const child = spawn(program, args, { stdio: [guarded ? 'pipe' : 'ignore', 'pipe', 'pipe'] });
  // It ended at once: nothing is to be told to it any more.
  child.stdin?.on('error', () => {});
  const kill = () => {
    if (guarded) child.stdin?.end();
    else child.kill('SIGKILL');
  };
  const killNow = () => {
    kill();
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', killNow);
  const gone = new Promise<void>((resolve) => {
    child.once('close', () => {
      process.removeListener('exit', killNow);
      rmSync(folder, { recursive: true, force: true });
      resolve();
    });
  });
  const stop = async () => {
    // It holds nothing worth saving, and a gentle signal sometimes waits for open connections.
    kill();
    await gone;
  };
  try {
    const port = await listeningPort(child);
    const url = `http://127.0.0.1:${port}`;
    return {
      url,
      port,
      chainId: options.chainId,
      rpc: (method, params) => callAnvil(url, method, params),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Runs a command until it ends, or until our end of the pipe at its stdin is closed, which the kernel does however this
 * process ends.
 */
const endWithParent = `
exec 3<&0
"$@" </dev/null 3<&- & child=$!
{ read -r _ <&3; kill -9 $child; } >/dev/null 2>&1 & guard=$!
exec 3<&-
wait $child; code=$?
kill $guard 2>/dev/null
exit $code`;

function anvilArguments(options: AnvilOptions): string[] {
  const args = [
    '--host',
    '127.0.0.1',
    '--port',
    String(options.port ?? 0),
    '--chain-id',
    String(options.chainId),
  ];
  args.push('--auto-impersonate', '--max-persisted-states', '0', '--no-request-size-limit');
  // Transactions go into a block in the order they were sent.
  args.push('--order', 'fifo');
  if (options.slotsInAnEpoch !== undefined) args.push('--slots-in-an-epoch', String(options.slotsInAnEpoch));
  if (options.genesisTime !== undefined) args.push('--timestamp', String(options.genesisTime));
  if (options.blockSeconds !== undefined) args.push('--block-time', String(options.blockSeconds));
  else if (options.automine === false) args.push('--no-mining');
  return args;
}

/** `ANVIL_PATH`, else the one that npm installed for this platform, else whatever the PATH has. */
function anvilPath(): string {
  const configured = process.env.ANVIL_PATH;
  if (configured !== undefined && configured !== '') return configured;
  try {
    return createRequire(import.meta.url).resolve(anvilModule(process.platform, process.arch));
  } catch {
    return 'anvil';
  }
}

/** Where the package of a platform, an optional one of `@foundry-rs/anvil`, has its program. */
export function anvilModule(platform: string, arch: string): string {
  const program = platform === 'win32' ? 'anvil.exe' : 'anvil';
  return `@foundry-rs/anvil-${platform}-${arch === 'x64' ? 'amd64' : arch}/bin/${program}`;
}

/** Port 0 lets anvil choose; it prints what it got, and its output must be read to the end or it stalls. */
function listeningPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let output = '';
    const fail = (reason: string, cause?: unknown) =>
      reject(
        new CommandError(`cannot start anvil (${reason}); install Foundry or set ANVIL_PATH`, { cause }),
      );
    const timer = setTimeout(() => fail('it did not listen in time'), startTimeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      // Without a process there is no end of one: let `stop` return.
      child.emit('close');
      fail((error as NodeJS.ErrnoException).code ?? 'spawn failed', error);
    });
    child.once('exit', () => {
      clearTimeout(timer);
      fail(output.trim().split('\n').at(-1) ?? 'it ended at once');
    });
    const read = (chunk: Buffer) => {
      if (output.length > 100_000) return;
      output += chunk.toString('utf8');
      const match = /Listening on [\d.]+:(\d+)/.exec(output);
      if (match === null) return;
      clearTimeout(timer);
      output = ' '.repeat(100_001);
      resolve(Number(match[1]));
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
  });
}

async function callAnvil(url: string, method: string, params: readonly unknown[] = []): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  const answer = (await response.json()) as { result?: unknown; error?: { message?: string } };
  if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message ?? 'refused'}`);
  return answer.result;
}
