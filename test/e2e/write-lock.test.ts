import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Scenario, startScenario } from '../support/scenario.ts';
import { waitFor } from '../support/wait.ts';

/* A daemon on SQLite while another process, a backup script or a person, holds the write lock of its database. */

let shop: Scenario;
beforeAll(async () => {
  shop = await startScenario();
  return shop.stop;
});

async function takeWriteLock(): Promise<{ release(): Promise<void> }> {
  const file = join(shop.home.folder, 'depositd.db');
  const holder = fork(join(import.meta.dirname, '../support/write-lock-holder.ts'), [file]);
  onTestFinished(() => void holder.kill('SIGKILL'));
  await once(holder, 'message');
  return {
    release: async () => {
      holder.send('release');
      await once(holder, 'exit');
    },
  };
}

/** How long `/healthz` took to answer, ms, asked again and again until `ended`. */
async function probe(ended: Promise<unknown>): Promise<number[]> {
  let over = false;
  const watching = ended.finally(() => {
    over = true;
  });
  const took: number[] = [];
  while (!over) {
    const start = performance.now();
    expect((await fetch(`${shop.home.current().url}/healthz`)).status).toBe(200);
    took.push(performance.now() - start);
    await setTimeout(20);
  }
  await watching;
  return took.sort((a, b) => a - b);
}

test('a write lock held for a while delays what has to be written, and nothing else', async () => {
  const lock = await takeWriteLock();
  let created = false;
  const creation = shop.create('bsc', 'usdt').then((payment) => {
    created = true;
    return payment;
  });
  const took = await probe(
    (async () => {
      for (let reads = 0; reads < 100; reads++) {
        const list = await shop.api.get('/api/v1/payments/');
        expect(list.status).toBe(200);
      }
    })(),
  );
  expect(created).toBe(false);
  // A busy machine may hold up one probe in twenty; before, all of them waited ten seconds.
  expect(took[Math.floor(took.length * 0.95)]).toBeLessThan(200);
  await lock.release();
  const payment = await creation;
  await shop.payAndMine(payment, 15);
  await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
});

test('a write lock that is held for too long is said, to the app and in the log, and what waited goes on afterwards', async () => {
  const open = await shop.create('ethereum', 'usdt');
  const lock = await takeWriteLock();
  const from = shop.home.logs.length;
  const refused = shop.api.create({ amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' });
  const took = await probe(refused);
  expect((await refused).body).toMatchObject({ code: 'storage_unavailable' });
  expect(took[Math.floor(took.length * 0.95)]).toBeLessThan(200);
  await waitFor('a loop to say so', () =>
    shop.home.logs
      .slice(from)
      .some(({ msg, err }) => msg === 'loop step failed' && JSON.stringify(err).includes('SQLITE_BUSY')),
  );
  await shop.payAndMine(open, 12);
  await lock.release();
  await shop.until(open, 'confirmed', (body) => body.status === 'confirmed');
}, 60_000);
