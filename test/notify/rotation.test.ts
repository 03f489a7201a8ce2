import { expect, test } from 'vitest';
import { rotateSecret } from '../../src/notify/endpoints.ts';
import { inTransaction } from '../../src/storage/database.ts';
import type { Db } from '../../src/storage/schema.ts';
import { listAttempts, listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import { finishEndpointRotation } from '../../src/storage/webhooks/endpoints.ts';
import { describeDecisions } from '../support/databases.ts';
import { startLoopback } from '../support/loopback.ts';
import { verifyPayhookSignature } from '../support/seed-verifier.ts';
import { manualClock, openShop } from '../support/webhooks.ts';

/*
 * A receiver checks with the verifier that PayHook publishes, unchanged: it looks at the last `v1` alone and
 * answers 401. Whichever secret it has while a rotation is open, it gets every event.
 */

/** A shop whose receiver has one secret, which the test changes, and whose endpoint's secret is being rotated. */
async function openRotation(db: Db, refusal = 401) {
  const clock = manualClock();
  const taken: string[] = [];
  let has = '';
  let fault: number | null = null;
  const server = await startLoopback(({ headers, body }, response) => {
    const ok = verifyPayhookSignature(body, String(headers['x-payhook-signature']), has, 1e9);
    if (ok && fault === null) taken.push(JSON.parse(body.toString()).payment_id);
    response.writeHead(fault ?? (ok ? 200 : refusal)).end();
  });
  const shop = await openShop(db, clock.now);
  const { id, secret: old } = await shop.addEndpoint(server.url);
  const notifier = shop.notifier();
  const rotate = async () => {
    const rotation = { endpointId: id, at: clock.now() };
    return (await inTransaction(db, (trx) => rotateSecret(trx, shop.secrets, rotation)))?.secret ?? '';
  };
  has = old;
  const next = await rotate();
  return {
    clock,
    shop,
    id,
    old,
    next,
    taken,
    rotate,
    finish: () => inTransaction(db, (trx) => finishEndpointRotation(trx, id)),
    hold: (secret: string) => {
      has = secret;
    },
    fail: (status: number | null) => {
      fault = status;
    },
    /** Sends one event; answers how many requests that took. */
    async send(): Promise<number> {
      const before = server.requests.length;
      await shop.happen();
      await notifier.drain();
      return server.requests.length - before;
    },
    drain: () => notifier.drain(),
    state: async () => (await listDeliveries(db, { limit: 1 }))[0],
  };
}

describeDecisions('while a rotation is open', (openTestDb) => {
  test('a receiver that still has the old secret gets every event with one request each', async () => {
    const { send, taken } = await openRotation(await openTestDb());
    for (let n = 0; n < 3; n++) expect(await send()).toBe(1);
    expect(taken).toHaveLength(3);
  });

  test.each([400, 401, 403])(
    'one that has the new secret and refuses with %i gets every event, after the first with one request each',
    async (refusal) => {
      const { send, taken, hold, next, shop, state } = await openRotation(await openTestDb(), refusal);
      hold(next);
      expect(await send()).toBe(2);
      const delivery = await state();
      expect(delivery).toMatchObject({ state: 'delivered', attempts: 1, lastStatus: 200 });
      const [attempt] = await listAttempts(shop.db, delivery?.id ?? 0);
      expect(attempt?.detail).toBe(
        `${refusal} with the old secret's signature last; 200 with the new secret's signature last`,
      );
      for (let n = 0; n < 3; n++) expect(await send()).toBe(1);
      expect(taken).toHaveLength(4);
    },
  );

  test('one that switches in the middle, and back, loses nothing', async () => {
    const { send, taken, hold, old, next } = await openRotation(await openTestDb());
    const requests: number[] = [];
    for (const secret of [old, old, next, next, next, old, old, next]) {
      hold(secret);
      requests.push(await send());
    }
    expect(taken).toHaveLength(8);
    expect(requests).toEqual([1, 1, 2, 1, 1, 2, 1, 2]);
  });

  test('one that refuses both gives the delivery up after these two requests', async () => {
    const { send, hold, state, shop } = await openRotation(await openTestDb());
    hold('whsec_of somebody else');
    expect(await send()).toBe(2);
    const delivery = await state();
    expect(delivery).toMatchObject({ state: 'failed', attempts: 1, lastStatus: 401 });
    const [attempt] = await listAttempts(shop.db, delivery?.id ?? 0);
    expect(attempt?.detail).toBe(
      "answered 401; 401 with the old secret's signature last; 401 with the new secret's signature last",
    );
  });

  test('one that is down and comes back with the new secret is tried by the usual waits, and with both', async () => {
    const { send, hold, next, fail, clock, drain, state, taken } = await openRotation(await openTestDb());
    hold(next);
    fail(503);
    expect(await send()).toBe(1);
    fail(null);
    clock.advance(5_000);
    await drain();
    expect(await state()).toMatchObject({ state: 'delivered', attempts: 2 });
    expect(taken).toHaveLength(1);
  });

  test('what was learned ends with the rotation: the next one begins with the old secret again', async () => {
    const { send, hold, next, rotate, finish, taken } = await openRotation(await openTestDb());
    hold(next);
    expect([await send(), await send()]).toEqual([2, 1]);
    await finish();
    expect(await send()).toBe(1);
    const third = await rotate();
    expect(await send()).toBe(1);
    hold(third);
    expect([await send(), await send()]).toEqual([2, 1]);
    expect(taken).toHaveLength(6);
  });
});
