import type { ChildProcess } from 'node:child_process';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';

/* What a server that runs in a process of its own tells of itself to the benchmark that has forked it. */

export type Memory = { heapUsed: number; rss: number };

/** Of the time since the last one. `loopP99` and `loopMax`: how much later than it should the event loop came, ms. */
export type Effort = { cpuMs: number; loopP99: number; loopMax: number };

type Told = { of: string; value: unknown };

/** Answers the questions of {@link askServer} until it disconnects; `more` are those that this server alone answers. */
export function answerQuestions(more: Record<string, (given: unknown) => unknown> = {}): void {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  let cpu = process.cpuUsage();
  const answers: typeof more = {
    memory: readMemory,
    effort: () => {
      const { user, system } = process.cpuUsage(cpu);
      const effort = {
        cpuMs: (user + system) / 1000,
        // The resolution is what a timer waits anyway.
        loopP99: delay.percentile(99) / 1e6 - 1,
        loopMax: delay.max / 1e6 - 1,
      };
      delay.reset();
      cpu = process.cpuUsage();
      return effort satisfies Effort;
    },
    ...more,
  };
  process.once('disconnect', () => process.exit());
  process.on('message', async ({ of, value }: Told) => tell(of, await answers[of]?.(value)));
}

/** From the server, asked or not. */
export function tell(of: string, value: unknown): void {
  process.send?.({ of, value } satisfies Told);
}

async function readMemory(): Promise<Memory> {
  // What was let go in one round is found by the next.
  for (let round = 0; round < 5; round++) {
    (globalThis as { gc?: () => void }).gc?.();
    await setTimeout(50);
  }
  const { heapUsed, rss } = process.memoryUsage();
  return { heapUsed, rss };
}

export async function askServer<T>(server: ChildProcess, of: string, value: unknown = null): Promise<T> {
  const answer = heard<T>(server, of);
  server.send({ of, value } satisfies Told);
  return answer;
}

/** What the server tells next under this name. Rejects when it ends before. */
export function heard<T>(server: ChildProcess, of: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => {
      server.off('message', hear);
      server.off('exit', died);
    };
    const hear = (told: Told) => {
      if (told.of !== of) return;
      leave();
      resolve(told.value as T);
    };
    const died = (code: number | null) => {
      leave();
      reject(new Error(`the server ended with ${code}`));
    };
    server.on('message', hear);
    server.on('exit', died);
  });
}
