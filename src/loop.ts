import { setImmediate, setTimeout } from 'node:timers/promises';
import { doubled } from './core/backoff.ts';
import { DepositdError, RpcError } from './errors.ts';
import type { Logger } from './log.ts';
import { isStorageFault } from './storage/faults.ts';

/** Waits `ms`, or until `signal` aborts: in both cases it just returns. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

export type LoopOptions<T> = {
  /** Appears in the log as `loop`. */
  name: string;
  /**
   * One repeatable piece of work. `signal` aborts when the loop is asked to stop, or when the step has taken too long:
   * long waits inside should end then, what is being committed should be finished.
   */
  step: (signal: AbortSignal) => Promise<T>;
  /** Milliseconds from the end of a step to the start of the next, given what the step returned. */
  delay: (result: T) => number;
  log: Logger;
  /** How long a step may take, ms; null: as long as it likes. Default two minutes. */
  limitMs?: number | null;
  /** Told of every step that threw, for metrics. */
  failed?: (name: string) => void;
  sleep?: Sleep;
  /** Waits as long as a step may take. */
  watchdog?: Sleep;
};

export type Loop = {
  /** Starts the next step now, or right after the running one. Does not shorten the wait after a failure. */
  wake(): void;
  /** No further step begins; resolves when the running one has ended. May be called again. */
  stop(): Promise<void>;
};

const firstBackoffMs = 500;
const longestBackoffMs = 30_000;
/** Asking a database of our own costs nobody anything: what it missed while it was away should not wait for long. */
const longestStorageBackoffMs = 2_000;

const defaultLimitMs = 120_000;
/** How long an interrupted step may take to end before the loop goes on without it, ms. */
const graceMs = 15_000;

/** A step that did not end in time, though nothing should wait for so long. */
class StepHangs extends DepositdError {
  constructor(afterMs: number) {
    super('step_hangs', `the step did not end within ${Math.round(afterMs / 1000)} s`);
  }
}

/**
 * Runs `step` again and again until stopped. A step that throws is logged and tried again later, after
 * 0.5 s, 1 s, 2 s, … up to 30 s: a loop never ends by itself and never rejects. A step that hangs is interrupted and,
 * if that does not help, left behind: steps are repeatable, so that a late one does no harm beside the next.
 */
export function runLoop<T>(options: LoopOptions<T>): Loop {
  const {
    name,
    step,
    delay,
    limitMs = defaultLimitMs,
    sleep = systemSleep,
    watchdog = systemSleep,
  } = options;
  const log = options.log.child({ loop: name });
  const stopping = new AbortController();
  let interrupt = new AbortController();
  let resting = new AbortController();
  let woken = false;
  /** Steps in a row that hung: work that needs longer than we thought must be done some day. */
  let hangs = 0;

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      let pauseMs: number;
      woken = false;
      try {
        pauseMs = Math.max(0, delay(await watched()));
        failures = 0;
      } catch (error) {
        // Being interrupted is how a step ends when the loop stops.
        if (stopping.signal.aborted) return;
        const isStorage = isStorageFault(error);
        const longestMs = isStorage ? longestStorageBackoffMs : longestBackoffMs;
        pauseMs = doubled(firstBackoffMs, failures, longestMs);
        failures++;
        options.failed?.(name);
        // What a node, the disk or the database server does wrong is no bug of ours.
        const level = error instanceof RpcError || error instanceof StepHangs || isStorage ? 'warn' : 'error';
        log[level]({ err: error, failures, retry_in_ms: pauseMs }, 'loop step failed');
      }
      await rest(pauseMs, failures === 0);
    }
  }

  /** One step. One that hangs is interrupted; the loop goes on without it if that does not end it. */
  async function watched(): Promise<T> {
    interrupt = new AbortController();
    const running = step(interrupt.signal);
    const allowedMs = limitMs === null ? null : limitMs * 2 ** Math.min(hangs, 10);
    if (allowedMs === null || !(await outlasts(running, allowedMs))) {
      hangs = 0;
      return running;
    }
    hangs++;
    log.warn({ seconds: Math.round(allowedMs / 1000) }, 'loop step hangs');
    const hang = new StepHangs(allowedMs);
    interrupt.abort(hang);
    if (await outlasts(running, graceMs)) {
      running.catch((error) => log.warn({ err: error }, 'abandoned loop step failed'));
      throw hang;
    }
    return running.catch((error) => {
      throw isStorageFault(error) ? error : hang;
    });
  }

  /** Whether `running` has not ended, in whatever way, after `ms`. */
  async function outlasts(running: Promise<T>, ms: number): Promise<boolean> {
    const over = new AbortController();
    const ended = running.then(
      () => false,
      () => false,
    );
    const hung = await Promise.race([ended, watchdog(ms, over.signal).then(() => true)]);
    over.abort();
    return hung;
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
      interrupt.abort();
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
