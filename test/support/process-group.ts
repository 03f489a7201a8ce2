import { setTimeout } from 'node:timers/promises';
import type { Role } from '../../src/core/roles.ts';
import { createDaemonHome, type Daemon, type DaemonHome } from './daemon.ts';
import type { LogLine } from './log.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

/** What may happen to a process: it dies, it stands still, or its way to the database swallows everything. */
export const disturbances = ['kill', 'pause', 'partition'] as const;

export type Disturbance = (typeof disturbances)[number];

export type Member = {
  role: Role;
  pid(): number;
  url(): string;
  /** Whether nothing is done to it just now. */
  isSound(): boolean;
  logs: readonly LogLine[];
  /** Whether it is behind the pooler and listens beside it. */
  listensBeside: boolean;
  /** Resolves when it goes on. `until`: how long it stands still, or is cut off. */
  disturb(how: Disturbance, until: Promise<unknown>): Promise<void>;
};

/** Several daemons on one PostgreSQL, as on several machines: each with a folder and a way to the database of its own. */
export type ProcessGroup = { members: readonly Member[]; stop(): Promise<void> };

/** Every other process reaches the database through `pooler`, and every other one of these listens beside it. */
export async function startProcessGroup(
  config: { database: string } & Record<string, unknown>,
  roles: readonly string[],
  pooler: { port: number },
): Promise<ProcessGroup> {
  const closers: (() => Promise<unknown>)[] = [];
  const stopping = new AbortController();
  const direct = Number(new URL(config.database).port);

  async function startMember(names: string, index: number): Promise<Member> {
    const proxy = await startTcpProxy({ host: '127.0.0.1', port: index % 2 === 0 ? direct : pooler.port });
    closers.push(proxy.close);
    const database = config.database.replace(`:${direct}`, `:${proxy.port}`);
    const listensBeside = index % 4 === 1;
    const beside = listensBeside ? { databaseDirect: config.database } : {};
    const home = createDaemonHome({ ...config, database, ...beside }, { roles: names });
    closers.push(home.remove);
    const role = names.split(',')[0] as Role;
    return memberOf({ home, proxy, role, listensBeside, signal: stopping.signal }, await home.start());
  }

  async function stop(): Promise<void> {
    stopping.abort();
    for (const close of closers.reverse()) await close();
  }

  try {
    return { members: await Promise.all(roles.map(startMember)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function memberOf(
  {
    home,
    proxy,
    role,
    listensBeside,
    signal,
  }: Pick<Member, 'role' | 'listensBeside'> & { home: DaemonHome; proxy: TcpProxy; signal: AbortSignal },
  started: Daemon,
): Member {
  let daemon = started;
  let sound = true;
  const disturb: Record<Disturbance, (until: Promise<unknown>) => Promise<void>> = {
    kill: async () => {
      await daemon.kill();
      daemon = await startAgain();
    },
    pause: async (until) => {
      process.kill(daemon.pid, 'SIGSTOP');
      await until;
      process.kill(daemon.pid, 'SIGCONT');
    },
    partition: async (until) => {
      proxy.blackHole();
      await until;
      proxy.heal();
    },
  };
  /** As systemd does: where the database cannot be used just now a start ends. */
  async function startAgain(): Promise<Daemon> {
    for (;;) {
      try {
        return await home.start();
      } catch (error) {
        if (signal.aborted) throw error;
        await setTimeout(500);
      }
    }
  }

  async function untilReady(): Promise<boolean> {
    while (!signal.aborted) {
      if ((await readiness(daemon.url)) === 200) return true;
      await setTimeout(100);
    }
    return false;
  }

  return {
    role,
    pid: () => daemon.pid,
    url: () => daemon.url,
    isSound: () => sound,
    logs: home.logs,
    listensBeside,
    async disturb(how, until) {
      sound = false;
      await disturb[how](until);
      // A balancer sends it nothing before it is ready, some half a minute after its database was away.
      void untilReady().then((ready) => {
        sound = ready;
      });
    },
  };
}

async function readiness(url: string): Promise<number> {
  try {
    return (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) })).status;
  } catch {
    return 0;
  }
}
