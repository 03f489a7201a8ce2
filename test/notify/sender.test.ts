import { expect, onTestFinished, test } from 'vitest';
import type { Envelope } from '../../src/notify/attempt.ts';
import { createLanes } from '../../src/notify/lanes.ts';
import { createSender } from '../../src/notify/sender.ts';
import { createOutbound } from '../../src/outbound.ts';

test('an attempt that a fault of ours breaks off is recorded as a failure and tried again, and takes nobody a place', async () => {
  const outbound = createOutbound({ allowHosts: [], userAgent: 'depositd/test' });
  onTestFinished(() => outbound.close());
  const lanes = createLanes({ perEndpoint: 1, total: 10 });
  const faults: unknown[] = [];
  const sender = createSender({
    outbound,
    lanes,
    headerPrefix: 'X-PayHook',
    clock: () => 1_000_000,
    random: () => 0,
    isClockKnownWrong: async () => false,
    onEnded: () => {},
    onFault: (_envelope, error) => faults.push(error),
  });
  const unreadable = (id: number) =>
    ({
      delivery: {
        id,
        endpointId: 'ep_1',
        eventType: 'payment.confirmed',
        attempt: 1,
        firstAttemptAt: 1_000_000,
        lane: 'fresh',
      },
      leaseUntil: 1_030_000,
      url: 'http://receiver.example/',
      keys: [],
      headers: {},
      rotatedAt: null,
      // No row of the database is like that.
      event: { id: 'evt_1', body: null as unknown as string, createdAt: 1_000_000 },
    }) as unknown as Envelope;
  sender.begin(unreadable(1), 1_000_000);
  sender.begin(unreadable(2), 1_000_000);
  await lanes.laneOf('ep_1', false, 1_000_000).queue.onIdle();
  await sender.settled();

  const ended = sender.ended(10);
  expect(ended.concluded.map(({ record }) => record)).toMatchObject([
    { deliveryId: 1, error: 'interrupted', next: { state: 'pending' } },
    { deliveryId: 2, error: 'interrupted', next: { state: 'pending' } },
  ]);
  expect(faults).toEqual([expect.any(TypeError), expect.any(TypeError)]);
  sender.done(ended);
  expect({ held: sender.held(), budget: lanes.budget().sound }).toEqual({ held: 0, budget: 10 });
});
