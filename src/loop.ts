import { setImmediate, setTimeout } from 'node:timers/promises';
import { RpcError } from './errors.ts';
import type { Logger } from './log.ts';
import { isStorageFault } from './storage/faults.ts';

/** Waits `ms`, or until `signal` aborts: in both cases it just returns. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

export type LoopOptions<T> = {
  /** Appears in the log as `loop`. */
  name: string;
  /**
   * One repeatable piece of work. `signal` aborts when the loop is asked to stop: long waits inside should
   * end then, what is being committed should be finished.
   */
  step: (signal: AbortSignal) => Promise<T>;
  /** Milliseconds from the end of a step to the start of the next, given what the step returned. */
  delay: (result: T) => number;
  log: Logger;
  /** Told of every step that threw, for metrics. */
  failed?: (name: string) => void;
  sleep?: Sleep;
};

export type Loop = {
  /** Starts the next step now, or right after the running one. Does not shorten the wait after a failure. */
  wake(): void;
  /** No further step begins; resolves when the running one has ended. May be called again. */
  stop(): Promise<void>;
};

const firstBackoffMs = 500;
const longestBackoffMs = 30_000;

/**
 * Runs `step` again and again until stopped. A step that throws is logged and tried again later, after
 * 0.5 s, 1 s, 2 s, … up to 30 s: a loop never ends by itself and never rejects.
 */
export function runLoop<T>(options: LoopOptions<T>): Loop {
  const { name, step, delay, sleep = systemSleep } = options;
  const log = options.log.child({ loop: name });
  const stopping = new AbortController();
  let resting = new AbortController();
  let woken = false;

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      let pauseMs: number;
      woken = false;
      try {
        pauseMs = Math.max(0, delay(await step(stopping.signal)));
        failures = 0;
      } catch (error) {
        // Being interrupted is how a step ends when the loop stops.
        if (stopping.signal.aborted) return;
        pauseMs = Math.min(longestBackoffMs, firstBackoffMs * 2 ** failures);
        failures++;
        options.failed?.(name);
        // What a node, the disk or the database server does wrong is no bug of ours.
        const level = error instanceof RpcError || isStorageFault(error) ? 'warn' : 'error';
        log[level]({ err: error, failures, retry_in_ms: pauseMs }, 'loop step failed');
      }
      await rest(pauseMs, failures === 0);
    }
  }

  async function rest(ms: number, wakeable: boolean): Promise<void> {
    if (stopping.signal.aborted) return;
    resting = new AbortController();
    // Even a step that wants to go on at once lets timers and sockets have their turn first.
    await sleep(wakeable && woken ? 0 : ms, wakeable ? resting.signal : stopping.signal);
  }

  // Not before the caller holds the loop: its step may wake or stop it.
  const done = Promise.resolve().then(run);

  return {
    wake() {
      woken = true;
      resting.abort();
    },
    stop() {
      stopping.abort();
      resting.abort();
      return done;
    },
  };
}

export const systemSleep: Sleep = async (ms, signal) => {
  try {
    await (ms <= 0 ? setImmediate(undefined, { signal }) : setTimeout(ms, undefined, { signal }));
  } catch (error) {
    if (!signal.aborted) throw error;
  }
};
