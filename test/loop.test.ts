import { afterEach, describe, expect, test } from 'vitest';
import { RpcError } from '../src/errors.ts';
import { type Loop, runLoop, type Sleep } from '../src/loop.ts';
import { captureLog, silentLog } from './support/log.ts';

/** A sleep that lasts until the test says so; the waits asked for are in `asked`. */
function handSleep() {
  const asked: number[] = [];
  let arrived = Promise.withResolvers<void>();
  let elapse: () => void = () => {};
  const sleep: Sleep = (ms, signal) => {
    asked.push(ms);
    const waiting = Promise.withResolvers<void>();
    elapse = () => waiting.resolve();
    if (signal.aborted) waiting.resolve();
    signal.addEventListener('abort', () => waiting.resolve());
    arrived.resolve();
    arrived = Promise.withResolvers<void>();
    return waiting.promise;
  };
  return {
    sleep,
    asked,
    /** Resolves when the loop next goes to sleep. */
    nextRest: () => arrived.promise,
    /** Lets the time of the present wait pass. */
    elapse: () => elapse(),
  };
}

const running: Loop[] = [];
function tracked(loop: Loop): Loop {
  running.push(loop);
  return loop;
}
afterEach(async () => {
  await Promise.all(running.splice(0).map((loop) => loop.stop()));
});

describe('a loop', () => {
  test('runs its step, waits as long as the result of the step asks, and runs it again', async () => {
    const time = handSleep();
    let steps = 0;
    const step = async () => ++steps;
    tracked(runLoop({ name: 'bsc', step, delay: (n) => n * 100, log: silentLog, sleep: time.sleep }));

    await time.nextRest();
    expect([steps, time.asked]).toEqual([1, [100]]);

    const second = time.nextRest();
    time.elapse();
    await second;
    expect([steps, time.asked]).toEqual([2, [100, 200]]);
  });

  test('woken while it waits runs the next step at once', async () => {
    const time = handSleep();
    let steps = 0;
    const step = async () => ++steps;
    const loop = tracked(
      runLoop({ name: 'bsc', step, delay: () => 15_000, log: silentLog, sleep: time.sleep }),
    );
    await time.nextRest();

    const second = time.nextRest();
    loop.wake();
    await second;
    expect(steps).toBe(2);
  });

  test('woken while a step runs does not wait after that step, and waits again after the next', async () => {
    const time = handSleep();
    const step = async () => {
      if (time.asked.length === 0) loop.wake();
    };
    const loop = tracked(
      runLoop({ name: 'bsc', step, delay: () => 15_000, log: silentLog, sleep: time.sleep }),
    );

    await time.nextRest();
    const second = time.nextRest();
    time.elapse();
    await second;
    expect(time.asked).toEqual([0, 15_000]);
  });

  test('whose step throws logs it, goes on, and waits twice as long after each further failure, 30 s at most', async () => {
    const { log, lines } = captureLog();
    const time = handSleep();
    const failed: string[] = [];
    let steps = 0;
    const step = async () => {
      steps++;
      if (steps <= 8) throw new Error('broken');
      if (steps === 10) throw new RpcError('timeout', 'node.example did not answer');
    };
    tracked(
      runLoop({
        name: 'bsc',
        step,
        delay: () => 7,
        log,
        sleep: time.sleep,
        failed: (name) => failed.push(name),
      }),
    );

    for (let rests = 0; rests < 10; rests++) {
      const rest = time.nextRest();
      time.elapse();
      await rest;
    }
    expect(time.asked).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 7, 500]);
    expect(failed).toHaveLength(9);
    expect(lines[0]).toMatchObject({
      level: 'error',
      loop: 'bsc',
      failures: 1,
      retry_in_ms: 500,
      err: { message: 'broken' },
      msg: 'loop step failed',
    });
    // A node's failure is no bug of ours, and the count begins anew after a success.
    expect(lines[8]).toMatchObject({ level: 'warn', failures: 1 });
  });

  test('whose step fails for want of a disk or a database says so without calling it a bug', async () => {
    const { log, lines } = captureLog();
    const time = handSleep();
    const step = async () => {
      throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
    };
    tracked(runLoop({ name: 'bsc', step, delay: () => 7, log, sleep: time.sleep }));
    await time.nextRest();
    expect(lines[0]).toMatchObject({ level: 'warn', err: { message: 'database or disk is full' } });
  });

  test('woken after a failure still waits: a failing node is not asked faster by new payments', async () => {
    const time = handSleep();
    let steps = 0;
    const step = async () => {
      steps++;
      throw new Error('broken');
    };
    const loop = tracked(runLoop({ name: 'bsc', step, delay: () => 0, log: silentLog, sleep: time.sleep }));
    await time.nextRest();
    loop.wake();
    await new Promise(setImmediate);
    expect(steps).toBe(1);
  });

  test('asked to stop while a step runs tells the step, and has stopped only when the step has ended', async () => {
    const begun = Promise.withResolvers<AbortSignal>();
    const end = Promise.withResolvers<void>();
    const events: string[] = [];
    const step = async (signal: AbortSignal) => {
      begun.resolve(signal);
      await end.promise;
      events.push('step ended');
    };
    const loop = tracked(runLoop({ name: 'bsc', step, delay: () => 0, log: silentLog }));
    const signal = await begun.promise;

    const stopped = loop.stop().then(() => events.push('stopped'));
    expect(signal.aborted).toBe(true);
    end.resolve();
    await stopped;
    expect(events).toEqual(['step ended', 'stopped']);
  });

  test('asked to stop while it waits, or waits after a failure, stops without another step', async () => {
    for (const outcome of ['success', 'failure']) {
      const time = handSleep();
      let steps = 0;
      const step = async () => {
        steps++;
        if (outcome === 'failure') throw new Error('broken');
      };
      const loop = runLoop({ name: 'bsc', step, delay: () => 15_000, log: silentLog, sleep: time.sleep });
      await time.nextRest();
      await loop.stop();
      expect(steps).toBe(1);
    }
  });

  test('whose step fails because it was told to stop logs nothing', async () => {
    const { log, lines } = captureLog();
    const begun = Promise.withResolvers<void>();
    const step = (signal: AbortSignal) =>
      new Promise<void>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
        begun.resolve();
      });
    const loop = runLoop({ name: 'bsc', step, delay: () => 0, log });
    await begun.promise;
    await loop.stop();
    expect(lines).toEqual([]);
  });

  test('whose step hangs says so, interrupts it, and goes on; the next may take twice as long', async () => {
    const { log, lines } = captureLog();
    const time = handSleep();
    const watch = handSleep();
    let steps = 0;
    const step = async (signal: AbortSignal) => {
      steps++;
      if (steps === 3) return;
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const options = { name: 'bsc', step, delay: () => 7, limitMs: 60_000, log };
    tracked(runLoop({ ...options, sleep: time.sleep, watchdog: watch.sleep }));
    for (let hangs = 0; hangs < 2; hangs++) {
      const rest = time.nextRest();
      time.elapse();
      await new Promise(setImmediate);
      watch.elapse();
      await rest;
    }
    const rest = time.nextRest();
    time.elapse();
    await rest;
    expect(watch.asked.slice(0, 5)).toEqual([60_000, 15_000, 120_000, 15_000, 240_000]);
    expect(lines.map(({ level, msg, seconds }) => [level, msg, seconds])).toEqual([
      ['warn', 'loop step hangs', 60],
      ['warn', 'loop step failed', undefined],
      ['warn', 'loop step hangs', 120],
      ['warn', 'loop step failed', undefined],
    ]);
    expect(time.asked).toEqual([500, 1000, 7]);
  });

  test('whose step ignores that it is interrupted goes on without it, and what it throws in the end is one line', async () => {
    const { log, lines } = captureLog();
    const time = handSleep();
    const watch = handSleep();
    const end = Promise.withResolvers<void>();
    let steps = 0;
    const step = async () => {
      steps++;
      if (steps === 1) await end.promise;
    };
    const options = { name: 'bsc', step, delay: () => 7, limitMs: 60_000, log };
    tracked(runLoop({ ...options, sleep: time.sleep, watchdog: watch.sleep }));
    await new Promise(setImmediate);
    watch.elapse();
    await new Promise(setImmediate);
    const failure = time.nextRest();
    watch.elapse();
    await failure;
    const next = time.nextRest();
    time.elapse();
    await next;
    expect(steps).toBe(2);
    end.reject(new Error('too late'));
    await new Promise(setImmediate);
    expect(lines.map(({ msg, err }) => [msg, (err as Error | undefined)?.message])).toEqual([
      ['loop step hangs', undefined],
      ['loop step failed', 'the step did not end within 60 s'],
      ['abandoned loop step failed', 'too late'],
    ]);
  });

  test('that the database fails asks it again within two seconds, however long it was away', async () => {
    const time = handSleep();
    const step = async () => {
      throw Object.assign(new Error('canceling statement due to lock timeout'), { code: '55P03' });
    };
    tracked(runLoop({ name: 'bsc', step, delay: () => 7, log: silentLog, sleep: time.sleep }));
    for (let rests = 0; rests < 5; rests++) {
      const rest = time.nextRest();
      time.elapse();
      await rest;
    }
    expect(time.asked).toEqual([500, 1000, 2000, 2000, 2000]);
  });

  test('that is always busy still lets timers and sockets have their turn', async () => {
    let steps = 0;
    const step = async () => {
      steps++;
    };
    const loop = tracked(runLoop({ name: 'deliver', step, delay: () => 0, log: silentLog }));
    await new Promise((resolve) => setTimeout(resolve, 1));
    await loop.stop();
    expect(steps).toBeGreaterThan(0);
  });
});
