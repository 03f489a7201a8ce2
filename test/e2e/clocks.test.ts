import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../src/storage/database.ts';
import type { Db } from '../../src/storage/schema.ts';
import { createApi } from '../support/api.ts';
import { createDaemonHome, type DaemonHome } from '../support/daemon.ts';
import { type Scenario, startScenario } from '../support/scenario.ts';
import { waitFor } from '../support/wait.ts';

/*
 * Daemons on one PostgreSQL whose clocks are an hour apart, as machines without time service are. The tests build on
 * each other.
 */

const hourSeconds = 3600;

let shop: Scenario;
let db: Db;
let other: DaemonHome;
/** Another key of the merchant's, for whichever daemon. */
let key: string;

beforeAll(async () => {
  const webhooks = { allowHosts: ['127.0.0.1'], secretKey: randomBytes(32).toString('base64') };
  shop = await startScenario({ database: 'PostgreSQL', config: { webhooks } });
  const config = JSON.parse(readFileSync(shop.home.configPath, 'utf8'));
  db = await openDatabase(config.database);
  other = createDaemonHome(config);
  key = (await shop.admin.post<{ api_key: string }>(`/merchants/${shop.merchant.id}/api-keys/`)).body.api_key;
  return async () => {
    await db.destroy();
    await other.remove();
    await shop.stop();
  };
}, 60_000);

async function leaseOf(network: string): Promise<{ holder: string; until: number } | undefined> {
  return db
    .selectFrom('leases')
    .select(['holder', 'until'])
    .where('name', '=', `chain ${network}`)
    .executeTakeFirst();
}

test('a leader whose clock is an hour fast and that dies leaves its chain unread for seconds, and its webhooks are on time', async () => {
  await shop.home.current().stop();
  await other.advanceClock(hourSeconds);
  const fast = await other.start();
  const api = createApi(() => fast.url, key);
  const made = await waitFor('a payment', async () => {
    const answer = await api.create({ amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' });
    return answer.status === 201 && answer.body;
  });
  // By the database's clock, as everybody's payments.
  expect(Math.abs(Date.parse(made.created_at) - Date.now())).toBeLessThan(30_000);
  await shop.pay(made);
  await shop.bsc.anvil.mine(1);
  await waitFor('it to be seen', async () => (await api.retrieve(made.payment_number)).body.tx_hash !== '');
  await fast.kill();

  await shop.home.start();
  const start = performance.now();
  await shop.bsc.anvil.mine(14);
  await shop.until(made, 'confirmed', (body) => body.status === 'confirmed');
  await shop.receiver.waitForEvent('payment.confirmed', made.payment_number);
  expect(performance.now() - start).toBeLessThan(30_000);
}, 90_000);

test('a daemon whose clock is an hour slow does not become a second leader, and what it queues is sent at once', async () => {
  const before = await leaseOf('bsc');
  await other.advanceClock(-2 * hourSeconds);
  const slow = await other.start();
  const api = createApi(() => slow.url, key);
  const { body } = await api.create({ amount_usd_cents: 5000, network: 'ethereum', currency: 'usdt' });
  expect((await api.cancel(body.payment_number)).status).toBe(200);
  await shop.receiver.waitForEvent('payment.cancelled', body.payment_number);

  const renewed = await waitFor('the lease to be renewed', async () => {
    const lease = await leaseOf('bsc');
    return lease !== undefined && lease.until > (before?.until ?? 0) + 10_000 && lease;
  });
  expect(renewed.holder).toBe(before?.holder);
}, 90_000);

test("a payment made by a daemon whose clock is an hour slow is locked in the chain's time, which another one reads", async () => {
  const api = createApi(() => other.current().url, key);
  await shop.untilRead('bsc');
  const { body } = await api.create({ amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' });
  const lock = await db
    .selectFrom('onchain_payments')
    .innerJoin('payments', 'payments.id', 'onchain_payments.payment_id')
    .select(['lock_chain_time', 'block_time_limit', 'expires_at'])
    .where('payment_number', '=', body.payment_number)
    .executeTakeFirstOrThrow();
  // Blocks are dated by the machine, which is right.
  expect(Math.abs(Number(lock.lock_chain_time) - Date.now())).toBeLessThan(60_000);
  expect(Math.abs(Number(lock.block_time_limit) - Number(lock.expires_at) / 1000)).toBeLessThan(120);
  await shop.payAndMine(body, 15);
  await shop.until(body, 'confirmed', ({ status }) => status === 'confirmed');
  expect(await shop.eventsOf(body)).toEqual(['payment.detected', 'payment.confirmed']);
}, 90_000);
