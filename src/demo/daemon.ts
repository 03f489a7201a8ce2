import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { CommandError } from '../errors.ts';

export type DemoDaemon = {
  pid: number;
  /** SIGTERM, as an operator would stop it. */
  stop(): Promise<void>;
};

/** Longer than a daemon takes to stop by itself. */
const patienceMs = 12_000;

/** Starts the real daemon, `depositd serve`, and waits until it says that it is ready. */
export async function startDemoDaemon(configPath: string, env: Record<string, string>): Promise<DemoDaemon> {
  // As this file itself: unbuilt from src/, built from dist/src/.
  const cli = join(import.meta.dirname, `../cli${extname(import.meta.filename)}`);
  const child = spawn(process.execPath, [cli, 'serve', '-c', configPath], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env, DEPOSITD_END_WITH_STDIN: '1' },
    // A group of its own: Ctrl-C reaches the demo, which then stops the daemon as an operator would.
    detached: true,
  });
  const killNow = () => child.kill('SIGKILL');
  process.once('exit', killNow);
  const ended = once(child, 'close').finally(() => process.removeListener('exit', killNow));
  ended.catch(() => {});

  const lastLines: string[] = [];
  const ready = new Promise<void>((resolve, reject) => {
    const read = (line: string) => {
      lastLines.push(line);
      if (lastLines.length > 10) lastLines.shift();
      if (line.includes('"msg":"ready"')) resolve();
    };
    createInterface({ input: child.stdout }).on('line', read);
    createInterface({ input: child.stderr }).on('line', read);
    ended.then(
      () => reject(new CommandError(`the daemon ended before it was ready:\n${lastLines.join('\n')}`)),
      (error) => reject(new CommandError(`the daemon did not start: ${String(error)}`)),
    );
  });
  await ready;

  return {
    pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGTERM');
      const late = setTimeout(killNow, patienceMs);
      await ended;
      clearTimeout(late);
    },
  };
}

/** A port that nobody listens on now; the configuration must name it before the daemon starts. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new CommandError('no port is free');
  return address.port;
}
