import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** What an engine is told, as one JSON argument. */
export type EngineTask = {
  url: string;
  token: string;
  height: number;
  /** Addresses watched: the first so many of `watchedKey`. */
  watched: number;
  /** Blocks asked for at a time, where the engine does not choose itself. */
  range: number;
  /** A file with the bodies of requests to send, for the engine that only repeats. */
  recorded: string;
  /** A prepared SQLite file, for engines that use one. */
  database: string;
  /** Of a simulated chain. */
  chainId?: number;
};

/** How an engine did: from its first request to the last commit. */
export type EngineResult = {
  seconds: number;
  cpuSeconds: number;
  /** Most memory resident at any time. */
  rssMb: number;
  /** Transfers to watched addresses that it found, or committed. */
  found: number;
};

/** Runs an engine in a process of its own. */
export async function runEngine(file: string, task: EngineTask): Promise<EngineResult> {
  const child = fork(join(import.meta.dirname, '..', file), [JSON.stringify(task)]);
  let result: EngineResult | undefined;
  child.on('message', (message) => {
    result = message as EngineResult;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (result === undefined) throw new Error(`${file} ended with ${code} and no result`);
  return result;
}

export function readTask(): EngineTask {
  return JSON.parse(process.argv[2] ?? '') as EngineTask;
}

/** Measures `work`, which returns what it found, and reports to {@link runEngine}. */
export async function measure(work: () => Promise<number>): Promise<void> {
  const cpu = process.cpuUsage();
  const begun = performance.now();
  const found = await work();
  const seconds = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const result: EngineResult = {
    seconds,
    cpuSeconds: (user + system) / 1e6,
    rssMb: process.resourceUsage().maxRSS / 1024,
    found,
  };
  await new Promise((sent) => process.send?.(result, sent));
  process.exit(0);
}
