import { setTimeout } from 'node:timers/promises';
import { run } from '../../src/commands/program.ts';

/*
 * Runs commands one after the other in one process: loading the program takes far longer than what most of them do.
 * What a process of its own would show is kept: output by file descriptor, and that it ends.
 */

export type HostedCommand = { args: string[]; cwd: string; env: Record<string, string> };

/** `running`: what would keep a process of its own from ending. */
export type HostedResult = { code: number; running: string[] };

/** Follows a command's output on both streams. */
const endOfOutput = '\0';

/** Far longer than closing anything takes. */
const patienceMs = 10_000;

function countResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of process.getActiveResourcesInfo()) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

function addedTo(before: Map<string, number>): string[] {
  return [...countResources()].flatMap(([name, count]) => (count > (before.get(name) ?? 0) ? [name] : []));
}

async function host({ args, cwd, env }: HostedCommand): Promise<HostedResult> {
  process.chdir(cwd);
  process.env = env;
  const before = countResources();
  const code = await run(args);
  process.stdout.removeAllListeners('error');
  const deadline = performance.now() + patienceMs;
  // Once it was seen to have ended, it has: what is there a moment later is this process's own.
  let running = addedTo(before);
  while (running.length > 0 && performance.now() < deadline) {
    await setTimeout(2);
    running = addedTo(before);
  }
  return { code, running };
}

process.on('message', async (command: HostedCommand) => {
  const result = await host(command);
  for (const stream of [process.stdout, process.stderr]) stream.write(endOfOutput);
  process.send?.(result);
});
process.once('disconnect', () => process.exit());
