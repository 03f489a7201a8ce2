import { expect, test } from 'vitest';
import { listAttempts, listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import { findNextDueAt } from '../../src/storage/webhooks/queue.ts';
import { describeDecisions } from '../support/databases.ts';
import { captureLog } from '../support/log.ts';
import { startLoopback } from '../support/loopback.ts';
import { verifyPayhookSignature } from '../support/seed-verifier.ts';
import { manualClock, openShop } from '../support/webhooks.ts';

const behindMs = 10 * 60_000;

describeDecisions('a webhook from a host whose clock is ten minutes behind', (openTestDb) => {
  test('is not given up on 401 while that is known, however long it lasts, and delivered once the clock is right', async () => {
    let wrong = true;
    const clock = manualClock(Date.now() - behindMs);
    let secret = '';
    const server = await startLoopback(({ body, headers }, response) => {
      // The receiver's clock is right: it refuses what was signed more than five minutes ago.
      const signedAt = Number(/t=(\d+)/.exec(String(headers['x-payhook-signature']))?.[1]) * 1000;
      const late = wrong && signedAt > 0;
      const ok = !late && verifyPayhookSignature(body, String(headers['x-payhook-signature']), secret, 1e9);
      response.writeHead(ok ? 200 : 401).end();
    });
    const shop = await openShop(await openTestDb(), clock.now);
    ({ secret } = await shop.addEndpoint(server.url));
    await shop.happen();
    const notifier = shop.notifier({ isClockKnownWrong: async () => wrong });
    const rounds = async (count: number) => {
      for (let n = 0; n < count; n++) {
        await notifier.drain();
        clock.set((await findNextDueAt(shop.db, clock.now())) ?? clock.now());
      }
    };
    await rounds(25);
    const [waiting] = await listDeliveries(shop.db, { limit: 1 });
    expect(waiting).toMatchObject({ state: 'pending', lastStatus: 401, attempts: 9 });
    const [attempt] = await listAttempts(shop.db, waiting?.id ?? 0);
    expect(attempt?.detail).toBe('answered 401; our clock is known to be wrong, so this is sent again');
    wrong = false;
    await rounds(2);
    expect(await listDeliveries(shop.db, { limit: 2 })).toMatchObject([{ state: 'delivered', attempts: 10 }]);
  });

  test('is given up on 401 while nobody knows, and the line in the log says how far the clocks differ', async () => {
    const clock = manualClock(Date.now() - behindMs);
    const server = await startLoopback((_request, response) => response.writeHead(401).end());
    const { log, lines } = captureLog();
    const shop = await openShop(await openTestDb(), clock.now);
    await shop.addEndpoint(server.url);
    await shop.happen();
    await shop.notifier({ log }).drain();
    const [line] = lines.filter(({ msg }) => msg === 'webhook given up');
    expect(line?.detail).toMatch(/^answered 401; our clock is (59\d|60\d) seconds behind the receiver's$/);
  });
});
