import { request } from 'node:http';
import { isIPv6 } from 'node:net';
import { loadConfig } from '../config/load.ts';
import { CommandError, reasonOf } from '../errors.ts';
import { print } from './output.ts';
import type { CommandOptions } from './workplace.ts';

/** How long the daemon may take to answer, ms. */
const patienceMs = 4_000;

/** Asks the daemon of this configuration whether it answers, for the checks of containers. */
export async function health({ config }: CommandOptions): Promise<void> {
  const { host, port } = loadConfig(config, process.env, { adminToken: 'unused' }).listen;
  // An address that stands for all is none to call.
  const local = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host;
  const status = await askHealth(local, port);
  const name = isIPv6(local) ? `[${local}]:${port}` : `${local}:${port}`;
  if (status !== 200) throw new CommandError(`the daemon on ${name} answered ${status}`);
  print(`the daemon on ${name} answers`);
}

function askHealth(hostname: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { hostname, port, path: '/healthz', signal: AbortSignal.timeout(patienceMs) },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    asked.once('error', (error) => {
      reject(new CommandError(`the daemon does not answer: ${reasonOf(error)}`, { cause: error }));
    });
    asked.end();
  });
}
