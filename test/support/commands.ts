import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { HostedCommand, HostedResult } from './command-host.ts';

const root = join(import.meta.dirname, '../..');
/** As the set-up of a test run bundled them; without one, a benchmark runs the sources. */
const bundled = process.env.DEPOSITD_TEST_PROGRAMS;

/** The program itself. */
export const cli = bundled === undefined ? join(root, 'src/cli.ts') : join(bundled, 'cli.mjs');
const commandHost = testProgram('command-host');

/** A program of this folder that tests start. */
export function testProgram(name: string): string {
  return bundled === undefined ? join(import.meta.dirname, `${name}.ts`) : join(bundled, `${name}.mjs`);
}

/** A process of the program starts in half the time where others have left what they compiled. */
export const compileCache = { NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/compile') };

export type CommandResult = { code: number | null; stdout: string; stderr: string };

/** For the commands of a test file, one after the other; see command-host.ts. */
let host: ChildProcess | undefined;
let busy = false;

/** Null while another command runs there: two at the same time need a process each. */
export async function runHosted(command: HostedCommand): Promise<CommandResult | null> {
  if (busy) return null;
  busy = true;
  const ended = new AbortController();
  const { signal } = ended;
  try {
    if (host === undefined || host.exitCode !== null || host.signalCode !== null) host = startHost();
    const answered = once(host, 'message', { signal });
    const died = once(host, 'exit', { signal }).then(() => {
      throw new Error(`the commands' process ended at ${command.args.join(' ')}`);
    });
    died.catch(() => {});
    const output = Promise.all([readOutput(host.stdout), readOutput(host.stderr)]);
    host.send(command);
    const [result] = (await Promise.race([answered, died])) as [HostedResult];
    const [stdout, stderr] = await output;
    if (result.running.length > 0) {
      throw new Error(`${command.args.join(' ')} would not end: it left ${result.running.join(', ')}`);
    }
    return { code: result.code, stdout, stderr };
  } finally {
    ended.abort();
    busy = false;
  }
}

function startHost(): ChildProcess {
  const child = fork(commandHost, [], {
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, ...compileCache },
  });
  // It ends with us, and we do not wait for it.
  child.unref();
  child.channel?.unref();
  for (const stream of [child.stdout, child.stderr]) (stream as Socket).unref();
  return child;
}

/** What a command wrote, up to the mark that follows it. */
function readOutput(stream: NodeJS.ReadableStream | null): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const read = (chunk: Buffer) => {
      chunks.push(chunk);
      if (chunk.at(-1) !== 0) return;
      stream?.off('data', read);
      resolve(Buffer.concat(chunks).toString().slice(0, -1));
    };
    stream?.on('data', read);
  });
}
