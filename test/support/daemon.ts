import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type CommandResult, cli, compileCache, runHosted } from './commands.ts';
import type { LogLine } from './log.ts';
import { scratchRoot } from './scratch.ts';
import { waitFor } from './wait.ts';

const clockShift = join(import.meta.dirname, 'clock-shift.ts');
const killAtCommit = join(import.meta.dirname, 'kill-at-commit.ts');
const fullDisk = join(import.meta.dirname, 'full-disk.ts');
const newerVersion = join(import.meta.dirname, 'newer-version.ts');
const liveMemory = join(import.meta.dirname, 'live-memory.ts');
const steadyFlags = join(import.meta.dirname, 'steady-flags.ts');

export const adminToken = 'a-token-for-tests-only-0123456789';

/** A running daemon. */
export type Daemon = {
  pid: number;
  url: string;
  /** SIGTERM; throws unless it ends with exit code 0 within ten seconds. */
  stop(): Promise<void>;
  /** SIGKILL: it gets no chance to finish anything. */
  kill(): Promise<void>;
  /** Resolves with the exit code, null after a signal, when it has ended in whatever way. */
  ended: Promise<number | null>;
};

/** At which of its commits a daemon on SQLite dies, counted from 1, 0 being none; see kill-at-commit.ts. */
export type KillAt = { commit: number; side: 'before' | 'after' };

/** A folder with a configuration and a database, in which a daemon runs, again and again. */
export type DaemonHome = {
  folder: string;
  configPath: string;
  /** Resolves when it is ready; throws with its last lines when it ends instead. */
  start(): Promise<Daemon>;
  /** Starts it without waiting for anything. `ready` rejects when it ends before. */
  launch(
    killAt?: KillAt,
    env?: Record<string, string>,
  ): { daemon: Omit<Daemon, 'url'>; ready: Promise<Daemon> };
  /** Counts its commits from now on. It must have been launched with such a number. */
  killAt(killAt: KillAt): Promise<void>;
  /** The daemon started last; throws when none was. */
  current(): Daemon;
  /**
   * Runs another command in this folder: `run('merchant', 'add', 'Shop', '--json')`. All but `serve` share a process,
   * see commands.ts.
   */
  run(...args: string[]): Promise<CommandResult>;
  /** The same for a command that must succeed and prints JSON. */
  runJson<T>(...args: string[]): Promise<T>;
  /** Everything any daemon here has logged. */
  logs: LogLine[];
  /** Lines of output that were no log line. */
  stray: string[];
  /** What was printed for the first operator. */
  firstLinks: string[];
  /** How far the daemons' clock is ahead, ms. */
  clockOffsetMs(): number;
  /** Lets time pass for the daemon; resolves when it has noticed. */
  advanceClock(seconds: number): Promise<void>;
  /** Whether the SQLite database of the running daemon may not grow any more. */
  setDiskFull(full: boolean): Promise<void>;
  /** What the running daemon has in memory, without what is only not collected yet. */
  liveBytes(): Promise<number>;
  /** Ends what still runs and removes the folder. */
  remove(): Promise<void>;
};

export type HomeOptions = {
  /** Of its daemons; default all. */
  roles?: string;
  /** Its daemons are of the next version: see newer-version.ts. */
  newer?: boolean;
};

/** `config` is written as it is; `${DEPOSITD_ADMIN_TOKEN}` in it is {@link adminToken}. */
export function createDaemonHome(config: object, { roles, newer = false }: HomeOptions = {}): DaemonHome {
  const folder = mkdtempSync(join(scratchRoot(), 'depositd-home-'));
  const configPath = join(folder, 'config.json');
  writeFileSync(configPath, JSON.stringify(config, null, 2));
  const logs: LogLine[] = [];
  const stray: string[] = [];
  const firstLinks: string[] = [];
  const children = new Set<ChildProcess>();
  let offsetMs = 0;
  let latest: Daemon | undefined;
  let latestChild: ChildProcess | undefined;

  const environment = () => ({
    PATH: process.env.PATH ?? '',
    ...(process.env.TMPDIR === undefined ? {} : { TMPDIR: process.env.TMPDIR }),
    DEPOSITD_ADMIN_TOKEN: adminToken,
    DEPOSITD_TEST_CLOCK_OFFSET_MS: String(offsetMs),
  });

  function spawnCli(args: string[], preload: string[] = [], env: Record<string, string> = {}): ChildProcess {
    const imports = [steadyFlags, ...preload].flatMap((file) => ['--import', file]);
    const program = newer ? ['--import', newerVersion, cli] : [cli];
    const child = spawn(
      process.execPath,
      ['--expose-gc', ...imports, ...program, ...args, '-c', configPath],
      {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'pipe', ...(preload.length === 0 ? [] : (['ipc'] as const))],
        env: { ...env, ...environment(), ...compileCache },
      },
    );
    children.add(child);
    child.once('close', () => children.delete(child));
    return child;
  }

  function launch(
    killAt?: KillAt,
    env: Record<string, string> = {},
  ): { daemon: Omit<Daemon, 'url'>; ready: Promise<Daemon> } {
    const serve = roles === undefined ? ['serve'] : ['serve', '--roles', roles];
    const child =
      killAt === undefined
        ? spawnCli(serve, [clockShift, fullDisk, liveMemory], env)
        : spawnCli(serve, [clockShift, killAtCommit], {
            DEPOSITD_TEST_KILL_AT_COMMIT: String(killAt.commit),
            DEPOSITD_TEST_KILL_SIDE: killAt.side,
          });
    latestChild = child;
    const ended = once(child, 'close').then(([code]) => code as number | null);
    const lastLines: string[] = [];
    const ready = new Promise<Daemon>((resolve, reject) => {
      readLines(child, (line) => {
        lastLines.push(line);
        if (lastLines.length > 20) lastLines.shift();
        const parsed = parseLogLine(line);
        if (parsed === null) {
          (line.startsWith('No operator yet.') ? firstLinks : stray).push(line);
          return;
        }
        logs.push(parsed);
        if (parsed.msg !== 'ready') return;
        latest = { ...daemon, url: `http://${String(parsed.host)}:${String(parsed.port)}` };
        resolve(latest);
      });
      ended.then((code) => reject(new Error(`the daemon ended with ${code}:\n${lastLines.join('\n')}`)));
    });
    // Whoever only launches need not care.
    ready.catch(() => {});

    const daemon = {
      pid: child.pid as number,
      ended,
      kill: async () => {
        child.kill('SIGKILL');
        await ended;
      },
      stop: async () => {
        child.kill('SIGTERM');
        const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
        const code = await ended;
        clearTimeout(late);
        if (code !== 0) throw new Error(`the daemon stopped with ${code}:\n${lastLines.join('\n')}`);
      },
    };
    return { daemon, ready };
  }

  /** Resolves with the answer when the running daemon has noticed; at once when none runs. */
  async function tell(message: object): Promise<object> {
    const child = latestChild;
    if (child === undefined || !child.connected) return {};
    const ended = new AbortController();
    const end = () => ended.abort(new Error('the daemon ended before it noticed'));
    child.once('exit', end);
    const noticed = once(child, 'message', { signal: ended.signal });
    child.send(message);
    const [answer] = (await noticed.finally(() => child.off('exit', end))) as [object];
    return answer;
  }

  async function run(...args: string[]): Promise<CommandResult> {
    if (args[0] !== 'serve') {
      const command = { args: [...args, '-c', configPath], cwd: folder, env: environment() };
      const result = await runHosted(command);
      if (result !== null) return result;
    }
    const child = spawnCli(args);
    const closed = once(child, 'close');
    const [stdout, stderr] = await Promise.all([readAll(child.stdout), readAll(child.stderr)]);
    const [code] = await closed;
    return { code: code as number | null, stdout, stderr };
  }

  return {
    folder,
    configPath,
    logs,
    stray,
    firstLinks,
    launch,
    run,
    start: () => launch().ready,
    current: () => {
      if (latest === undefined) throw new Error('no daemon was started');
      return latest;
    },
    runJson: async (...args) => {
      const { code, stdout, stderr } = await run(...args, '--json');
      if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`);
      return JSON.parse(stdout);
    },
    clockOffsetMs: () => offsetMs,
    advanceClock: async (seconds) => {
      offsetMs += seconds * 1000;
      await tell({ clockOffsetMs: offsetMs });
    },
    killAt: async (killAt) => void (await tell({ killAt })),
    setDiskFull: async (diskFull) => void (await tell({ diskFull })),
    liveBytes: async () => ((await tell({ liveBytes: true })) as { liveBytes: number }).liveBytes,
    remove: async () => {
      const running = [...children];
      for (const child of running) child.kill('SIGKILL');
      await waitFor('the daemons to end', () => children.size === 0);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function readLines(child: ChildProcess, read: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on('line', read);
  }
}

function parseLogLine(line: string): LogLine | null {
  try {
    const parsed: unknown = JSON.parse(line);
    return typeof parsed === 'object' && parsed !== null && 'msg' in parsed ? (parsed as LogLine) : null;
  } catch {
    return null;
  }
}

async function readAll(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = '';
  for await (const chunk of stream ?? []) text += String(chunk);
  return text;
}
