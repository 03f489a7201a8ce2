import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listMigrations } from '../../src/storage/migrate.ts';
import { openPostgres, runningLimits } from '../../src/storage/postgres.ts';
import type { Db } from '../../src/storage/schema.ts';
import type { PaymentBody } from '../support/api.ts';
import { createDaemonHome, type DaemonHome, type HomeOptions } from '../support/daemon.ts';
import { expectPaidOnce, untilConfirmed } from '../support/paid-once.ts';
import { type Scenario, startScenario } from '../support/scenario.ts';
import { createStubbornly } from '../support/stubborn.ts';

/*
 * This version and the next one on one PostgreSQL. The next one's database has a column and a table more. A shop goes on buying, at
 * whichever process answers it.
 */

const ours = ['0001_initial'];
const theirs = [...ours, '0002_labels_from_0001'];

let shop: Scenario;
let db: Db;
let config: object;
let apiUrl: string | null = null;
const homes: DaemonHome[] = [];
const payments: PaymentBody[] = [];

beforeAll(async () => {
  const webhooks = { allowHosts: ['127.0.0.1'], secretKey: randomBytes(32).toString('base64') };
  const url = () => apiUrl;
  shop = await startScenario({ database: 'PostgreSQL', config: { webhooks }, addresses: 100, url });
  config = JSON.parse(readFileSync(shop.home.configPath, 'utf8'));
  db = openPostgres((config as { database: string }).database, runningLimits);
}, 60_000);

afterAll(async () => {
  await db?.destroy();
  for (const home of homes) await home.remove();
  await shop?.stop();
});

function anotherHome(options: HomeOptions): DaemonHome {
  const home = createDaemonHome(config, options);
  homes.push(home);
  return home;
}

/** One payment, made and paid on a chain that goes on. */
async function buy(): Promise<PaymentBody> {
  const payment = await createStubbornly(shop, 'bsc', 'usdt', `order ${payments.length}`);
  payments.push(payment);
  await shop.payAndMine(payment, 3);
  return payment;
}

/** Buys one after the other for as long as `work` takes, and twice at least. */
async function buyDuring<T>(work: Promise<T>): Promise<T> {
  let over = false;
  const end = () => {
    over = true;
  };
  work.then(end, end);
  for (let bought = 0; !over || bought < 2; bought++) await buy();
  return work;
}

async function untilPaid(bought: readonly PaymentBody[]): Promise<void> {
  await shop.bsc.anvil.mine(16);
  await untilConfirmed(db, bought);
}

const said = (home: DaemonHome, msg: string) => home.logs.filter((line) => line.msg === msg);

test('a newer process that is killed in the middle of its migration leaves nothing of it, while the older one works', async () => {
  const newer = anotherHome({ newer: true });
  const { daemon } = newer.launch(undefined, { DEPOSITD_TEST_KILL_IN_MIGRATION: '1' });
  expect(await buyDuring(daemon.ended)).toBeNull();
  expect(said(newer, 'ready')).toEqual([]);
  expect(await listMigrations(db)).toEqual(ours);
  const { columns = [] } = (await db.introspection.getTables()).find(({ name }) => name === 'payments') ?? {};
  expect(columns.map(({ name }) => name)).not.toContain('label');
}, 60_000);

test('two newer ones that start at once migrate once, beside the older one, which goes on', async () => {
  const newer = [anotherHome({ newer: true }), anotherHome({ newer: true })];
  await buyDuring(Promise.all(newer.map((home) => home.start())));
  expect(await listMigrations(db)).toEqual(theirs);
  await untilPaid([await buy()]);
  expect(newer.flatMap((home) => said(home, 'database is newer'))).toEqual([]);
}, 60_000);

test('an older one that starts beside them says that the database is newer, and works', async () => {
  const older = anotherHome({ roles: 'api' });
  const { url } = await older.start();
  expect(said(older, 'database is newer')).toMatchObject([
    { level: 'warn', migrations: ['0002_labels_from_0001'] },
  ]);
  apiUrl = url;
  await untilPaid([await buy()]);
});

test('the older ones are stopped, and no payment was lost or doubled', async () => {
  const [, newer] = homes;
  apiUrl = newer?.current().url ?? null;
  await buyDuring(Promise.all([shop.home.current().stop(), homes.at(-1)?.current().stop()]));
  await untilPaid(payments);
  await expectPaidOnce(shop, db, payments);
  const bugs = [shop.home, ...homes].flatMap(({ logs }) =>
    logs.filter(({ level }) => level === 'error' || level === 'fatal'),
  );
  expect(bugs).toEqual([]);
}, 90_000);

test('an older one that still runs when a newer version changes what it uses ends, and does not start again', async () => {
  const older = anotherHome({ roles: 'notify' });
  const { ended } = await older.start();
  await db
    .withTables<{ depositd_migrations: { name: string; timestamp: string } }>()
    .insertInto('depositd_migrations')
    .values({ name: '0003_less_from_0002', timestamp: 'now' })
    .execute();
  expect(await ended).toBe(1);
  expect(said(older, 'database is too new')).toMatchObject([
    { level: 'fatal', reason: expect.stringContaining('a newer depositd (it has 0003_less_from_0002)') },
  ]);
  await expect(older.start()).rejects.toThrow(/the database was written by a newer depositd/);
}, 30_000);
