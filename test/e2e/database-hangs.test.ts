import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import pg from 'pg';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { messagesIn } from '../../src/checkout/languages/languages.ts';
import type { LogLine } from '../support/log.ts';
import { openPayerPages } from '../support/payer-page.ts';
import { createPostgresDatabase } from '../support/postgres-desk.ts';
import { type Scenario, startScenario } from '../support/scenario.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { waitFor } from '../support/wait.ts';

/* A daemon on a PostgreSQL that hangs in every way: what is not touched goes on, and all of it soon after. */

let shop: Scenario;
let databaseUrl: string;
let proxy: TcpProxy;

beforeAll(async () => {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const one of closers.reverse()) await one();
  };
  try {
    const postgres = await createPostgresDatabase(false);
    closers.push(postgres.remove);
    databaseUrl = postgres.url;
    const { hostname, port } = new URL(databaseUrl);
    proxy = await startTcpProxy({ host: hostname, port: Number(port) });
    closers.push(proxy.close);
    const database = databaseUrl.replace(`:${port}`, `:${proxy.port}`);
    shop = await startScenario({ config: { database } });
    closers.push(shop.stop);
    return close;
  } catch (error) {
    await close();
    throw error;
  }
}, 60_000);

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

async function confirmOn(network: 'bsc' | 'ethereum'): Promise<void> {
  const payment = await shop.create(network, 'usdt');
  await shop.payAndMine(payment, shop.chain(network).requiredConfirmations);
  await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
}

function codesSince(from: number): Set<unknown> {
  const lines = shop.home.logs.slice(from).filter(({ level }) => level === 'warn');
  return new Set(lines.map((line: LogLine) => (line.err as { code?: unknown } | undefined)?.code));
}

test('a process that is paused within a transaction is cut off: creations, cancels and every chain go on', async () => {
  const open = await shop.create('ethereum', 'usdt');
  const holder = fork(join(import.meta.dirname, '../support/lock-holder.ts'), [databaseUrl]);
  onTestFinished(() => void holder.kill('SIGKILL'));
  await once(holder, 'message');
  holder.kill('SIGSTOP');

  expect(await seconds(() => shop.create('bsc', 'usdt'))).toBeLessThan(15);
  expect((await shop.api.cancel(open.payment_number)).status).toBe(200);
  await confirmOn('ethereum');
  await confirmOn('bsc');
}, 90_000);

test('a session of another program that keeps a chain locked holds up that chain alone, which says so', async () => {
  const other = new pg.Client({ connectionString: databaseUrl });
  await other.connect();
  onTestFinished(() => other.end());
  await other.query('begin');
  await other.query("select height from chain_cursors where network = 'bsc' for update");
  const from = shop.home.logs.length;
  await confirmOn('ethereum');
  await waitFor('the chain to say so', () => codesSince(from).has('55P03'));
  await other.query('rollback');
  expect(await seconds(() => confirmOn('bsc'))).toBeLessThan(15);
}, 90_000);

test('a database that is read-only after a failover is named by readyz, and goes on by itself when it can be written', async () => {
  const payment = await shop.create('bsc', 'usdt');
  const name = new URL(databaseUrl).pathname.slice(1);
  const operator = new pg.Client({ connectionString: databaseUrl.replace(name, 'postgres') });
  await operator.connect();
  onTestFinished(() => operator.end());
  const failOver = async (readOnly: string) => {
    await operator.query(`alter database ${name} set default_transaction_read_only = ${readOnly}`);
    await operator.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name]);
  };
  const ready = async () => (await fetch(`${shop.home.current().url}/readyz`)).json();

  await failOver('on');
  const order = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' };
  await waitFor('readyz to name it', async () => {
    expect((await shop.api.create(order)).status).toBe(503);
    const { reasons } = (await ready()) as { reasons?: { part: string; reason: string }[] };
    return reasons?.some(({ part, reason }) => part === 'database' && reason === 'it is read-only');
  });
  expect((await shop.retrieve(payment)).status).toBe('pending');

  await failOver('off');
  await waitFor('readyz', async () => ((await ready()) as { ready: boolean }).ready, { timeoutMs: 40_000 });
  await shop.payAndMine(payment, 15);
  await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
}, 90_000);

test('the page of a payment waits while a table is locked for a moment, and is shown then', async () => {
  const payment = await shop.create('bsc', 'usdt');
  const other = new pg.Client({ connectionString: databaseUrl });
  await other.connect();
  onTestFinished(() => other.end());
  await other.query('begin');
  // One table: two are locked one after the other, and a transaction of the daemon's may have them the other way round.
  await other.query('lock table payments in access exclusive mode');
  const page = fetch(openPayerPages(shop).url(payment));
  await waitFor('the page to wait for the lock', async () => {
    const { rows } = await other.query('select 1 from pg_locks where not granted');
    return rows.length > 0;
  });
  await other.query('rollback');
  expect([(await page).status, await (await page).text()]).toEqual([
    200,
    expect.stringContaining(payment.assigned_address.slice(-6)),
  ]);
}, 30_000);

test('connections on which nothing comes any more are given up, and seconds later everything goes on', async () => {
  const open = await shop.create('bsc', 'usdt');
  const pages = openPayerPages(shop);
  const stream = await fetch(`${pages.url(open)}/events`);
  const told = stream.text();
  const from = shop.home.logs.length;
  proxy.blackHole();
  await waitFor('the loops to say so', () => {
    const said = shop.home.logs.slice(from).filter(({ msg }) => msg === 'loop step failed');
    return said.length >= 3;
  });
  const ready = await fetch(`${shop.home.current().url}/readyz`);
  expect(ready.status).toBe(503);
  expect((await fetch(`${shop.home.current().url}/healthz`)).status).toBe(200);
  const page = await fetch(pages.url(open), { headers: { accept: 'text/html', 'accept-language': 'fr' } });
  expect([page.status, page.headers.get('retry-after')]).toEqual([503, '5']);
  expect(await page.text()).toContain(messagesIn('fr').unavailable.title);

  proxy.heal();
  const back = await seconds(() =>
    waitFor('creations to be served', async () => {
      const answer = await shop.api.create({ amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' });
      return answer.status === 201;
    }),
  );
  expect(back).toBeLessThan(15);
  expect(await seconds(() => shop.payAndMine(open, 15))).toBeLessThan(15);
  await shop.until(open, 'confirmed', (body) => body.status === 'confirmed');
  // The stream that was open all the while.
  expect(await told).toContain('"state":"paid"');
  await confirmOn('ethereum');
}, 120_000);
