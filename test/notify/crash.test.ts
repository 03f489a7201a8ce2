import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../src/storage/database.ts';
import { listAttempts, listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import { compileCache, testProgram } from '../support/commands.ts';
import { type DatabaseKind, freshDatabaseUrl } from '../support/databases.ts';
import { respond, startLoopback } from '../support/loopback.ts';
import type { NotifierProcessArguments } from '../support/notifier-process.ts';
import { waitFor } from '../support/wait.ts';
import { openShop } from '../support/webhooks.ts';

const program = testProgram('notifier-process');

async function openCrashSite(kind: DatabaseKind) {
  const databaseUrl = await freshDatabaseUrl(kind, { migrated: true });
  const db = await openDatabase(databaseUrl);
  onTestFinished(() => db.destroy());
  // The time after the crash, when every lease is over.
  const time = { aheadMs: 0 };
  const shop = await openShop(db, () => Date.now() + time.aheadMs);
  const start = (standStill: NotifierProcessArguments['standStill'], exclusive = false): ChildProcess => {
    const given: NotifierProcessArguments = { databaseUrl, key: shop.key, standStill, exclusive };
    const child = fork(program, [JSON.stringify(given)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, ...compileCache },
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    return child;
  };
  const only = async () => {
    const [delivery] = await listDeliveries(db, { limit: 1 });
    if (delivery === undefined) throw new Error('there is no delivery');
    return { ...delivery, log: await listAttempts(db, delivery.id) };
  };
  return { db, shop, time, start, only };
}

async function standsStill(child: ChildProcess): Promise<void> {
  for (;;) {
    const [message] = await once(child, 'message');
    if (message === 'standing') return;
  }
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

for (const kind of ['SQLite', 'PostgreSQL'] as const) {
  describe(`a notifier killed on ${kind}`, () => {
    test('after the claim and before sending: the delivery returns and is sent', async () => {
      const server = await startLoopback(respond(200));
      const { shop, time, start, only } = await openCrashSite(kind);
      await shop.addEndpoint(server.url);
      await shop.happen();
      const child = start('before');
      await standsStill(child);
      await kill(child);
      expect(server.requests).toHaveLength(0);
      expect(await only()).toMatchObject({ state: 'sending', attempts: 1, log: [] });

      // Within the lease nobody touches it.
      await shop.notifier().drain();
      expect(server.requests).toHaveLength(0);
      time.aheadMs = 40_000;
      await shop.notifier().drain();
      expect(server.requests).toHaveLength(1);
      const delivery = await only();
      expect(delivery).toMatchObject({ state: 'delivered', attempts: 2 });
      expect(delivery.log).toMatchObject([
        { attempt: 1, error: 'interrupted' },
        { attempt: 2, status: 200 },
      ]);
    });

    test('while the receiver works on it: it is sent again', async () => {
      const server = await startLoopback((_request, response, nth) => {
        if (nth > 1) response.end('ok');
      });
      const { shop, time, start, only } = await openCrashSite(kind);
      await shop.addEndpoint(server.url);
      await shop.happen();
      const child = start(null);
      await server.arrived(1);
      await kill(child);
      expect(await only()).toMatchObject({ state: 'sending', attempts: 1 });
      time.aheadMs = 40_000;
      await shop.notifier().drain();
      expect(server.requests).toHaveLength(2);
      expect(server.requests[1]?.body).toEqual(server.requests[0]?.body);
      expect(server.requests[1]?.headers['webhook-id']).toBe(server.requests[0]?.headers['webhook-id']);
      expect(await only()).toMatchObject({ state: 'delivered', attempts: 2 });
    });

    test('after the answer and before recording it: it is sent again', async () => {
      const server = await startLoopback(respond(200));
      const { shop, time, start, only } = await openCrashSite(kind);
      await shop.addEndpoint(server.url);
      await shop.happen();
      const child = start('after');
      await standsStill(child);
      await kill(child);
      expect(server.requests).toHaveLength(1);
      expect(await only()).toMatchObject({ state: 'sending', attempts: 1 });
      time.aheadMs = 40_000;
      await shop.notifier().drain();
      expect(server.requests).toHaveLength(2);
      expect(await only()).toMatchObject({ state: 'delivered', attempts: 2 });
    });

    test('after recording it: it is never sent again', async () => {
      const server = await startLoopback(respond(200));
      const { shop, time, start, only } = await openCrashSite(kind);
      await shop.addEndpoint(server.url);
      await shop.happen();
      const child = start(null);
      await waitFor('the delivery to be recorded', async () => (await only()).state === 'delivered');
      await kill(child);
      time.aheadMs = 40_000;
      await shop.notifier().drain();
      expect(server.requests).toHaveLength(1);
    });

    test('again and again at any moment: every event arrives at least once, with the same bytes each time', async () => {
      const server = await startLoopback(respond(200));
      const { db, shop, time, start } = await openCrashSite(kind);
      for (const path of ['a', 'b', 'c']) await shop.addEndpoint(`${server.url}/${path}`);
      for (const moment of [1, 10, 25, 60]) {
        await shop.happen(25);
        const child = start(null);
        await server.arrived(server.requests.length + moment);
        await kill(child);
      }
      time.aheadMs = 40_000;
      await shop.notifier().drain();
      time.aheadMs = 60 * 60_000;
      await shop.notifier().drain();
      const rows = await db.selectFrom('deliveries').select(['state']).execute();
      expect(rows.map(({ state }) => state)).toEqual(Array(300).fill('delivered'));
      const bodies = new Map<string, Set<string>>();
      for (const { path, headers, body } of server.requests) {
        const what = `${path} ${headers['webhook-id']}`;
        bodies.set(what, (bodies.get(what) ?? new Set()).add(body.toString()));
      }
      expect(bodies.size).toBe(300);
      expect([...bodies.values()].every((different) => different.size === 1)).toBe(true);
    });
  });
}

describe('a notifier that is alone on its database', () => {
  test('takes up what its dead predecessor had under way at once, not when the leases end', async () => {
    const server = await startLoopback((_request, response, nth) => {
      if (nth > 1) response.end('ok');
    });
    const { shop, time, start, only } = await openCrashSite('SQLite');
    await shop.addEndpoint(server.url);
    await shop.happen();
    const child = start(null, true);
    await server.arrived(1);
    await kill(child);
    // Long before the lease ends; the next attempt keeps its wait.
    time.aheadMs = 4_000;
    await shop.notifier({ exclusive: true }).drain();
    expect(server.requests).toHaveLength(2);
    expect(await only()).toMatchObject({ state: 'delivered', attempts: 2 });
  });
});
