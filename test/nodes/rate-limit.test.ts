import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRequestRate } from '../../src/nodes/rate-limit.ts';
import { testClock } from '../support/evm.ts';

const never = new AbortController().signal;

test('without a limit nothing waits', async () => {
  const rate = createRequestRate({ perSecond: null, clock: testClock(), sleep: refuseToSleep });
  for (let i = 0; i < 100; i++) await rate.take(never);
});

test('a second with more requests than allowed makes the next ones wait', async () => {
  const { take, sleeps } = measured(10);
  for (let i = 0; i < 10; i++) await take();
  expect(sleeps).toEqual([]);
  await take();
  await take();
  expect(sleeps).toEqual([100, 100]);
});

test('requests at the allowed pace never wait', async () => {
  const { take, clock, sleeps } = measured(4);
  for (let i = 0; i < 50; i++) {
    await take();
    clock.advance(250);
  }
  expect(sleeps).toEqual([]);
});

test('no stretch of time holds more than its share and one burst', () => {
  fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 50 }),
      fc.array(fc.integer({ min: 0, max: 2000 }), { minLength: 1, maxLength: 60 }),
      async (perSecond, pauses) => {
        const { take, clock } = measured(perSecond);
        const sent: number[] = [];
        for (const pause of pauses) {
          clock.advance(pause);
          await take();
          sent.push(clock());
        }
        for (const [i, from] of sent.entries()) {
          for (let j = i; j < sent.length; j++) {
            const seconds = ((sent[j] as number) - from) / 1000;
            expect(j - i + 1).toBeLessThanOrEqual(Math.ceil(seconds * perSecond + perSecond + 1e-6) + 1);
          }
        }
      },
    ),
  );
});

test('a clock that is set back makes nobody wait for as long', async () => {
  const { take, clock, sleeps } = measured(2);
  for (let i = 0; i < 3; i++) await take();
  clock.advance(-3_600_000);
  sleeps.length = 0;
  for (let i = 0; i < 3; i++) await take();
  expect(Math.max(...sleeps)).toBeLessThanOrEqual(1000);
});

test('waiting ends when the work is stopped', async () => {
  const stopping = new AbortController();
  const rate = createRequestRate({
    perSecond: 1,
    clock: testClock(),
    sleep: async () => stopping.abort(new Error('stopped')),
  });
  await rate.take(stopping.signal);
  await expect(rate.take(stopping.signal)).rejects.toThrow('stopped');
});

/** A rate whose waits pass at once on its clock, and are written down. */
function measured(perSecond: number) {
  const clock = testClock();
  const sleeps: number[] = [];
  const sleep = async (ms: number) => {
    sleeps.push(ms);
    clock.advance(ms);
  };
  const rate = createRequestRate({ perSecond, clock, sleep });
  return { take: () => rate.take(never), clock, sleeps };
}

async function refuseToSleep(): Promise<void> {
  throw new Error('nothing should wait');
}
