import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import type { BlockHash } from '../src/core/chain.ts';
import { createEndpoint } from '../src/notify/endpoints.ts';
import { createSecrets } from '../src/notify/secrets.ts';
import { insertChain } from '../src/storage/chains/chains.ts';
import { inTransaction, isPostgres, openDatabase } from '../src/storage/database.ts';
import { addApiKey, addMerchant } from '../src/storage/operators/merchants.ts';
import type { Db } from '../src/storage/schema.ts';
import { appendEvent } from '../src/storage/webhooks/events.ts';
import { startCluster } from '../test/support/cluster.ts';
import { type LoadResult, load } from './support/load.ts';
import type { ReceiverReport } from './support/receiver.ts';
import { writeResults } from './support/results.ts';
import { buildProgram, type Served, serve } from './support/serve.ts';

/*
 * What further processes on one PostgreSQL add: payments created and webhooks delivered a second by one, two and three, beside
 * one process on SQLite and a bare INSERT on the same PostgreSQL. All real daemons, durable commits; the server, the daemons
 * and who asks them share the machine's processors, which bounds all of it.
 */

const connections = 32;
const endpoints = 10;

type Shop = { folder: string; configPath: string; db: Db; merchantId: string; key: string };
type Row = { name: string; create: LoadResult | null; delivered: number | null };

export async function run(args: string[]): Promise<void> {
  const creates = Number(args[0] ?? 6_000);
  const deliveries = Number(args[1] ?? 20_000);
  buildProgram();
  const receiver = fork(join(import.meta.dirname, 'support/receiver.ts'));
  const [{ port }] = (await once(receiver, 'message')) as [{ port: number }];
  const cluster = await startCluster({ durable: true });
  const rows: Row[] = [];
  try {
    const bare = await cluster.lendDatabase(false);
    rows.push({
      name: 'bare INSERT, one row a commit',
      create: await insertBare(bare, creates),
      delivered: null,
    });
    const shops: { name: string; url: (folder: string) => Promise<string>; processes: number }[] = [
      {
        name: 'SQLite, 1 process',
        url: async (folder) => `sqlite:${join(folder, 'depositd.db')}`,
        processes: 1,
      },
      ...[1, 2, 3].map((processes) => ({
        name: `PostgreSQL, ${processes} ${processes === 1 ? 'process' : 'processes'}`,
        url: () => cluster.lendDatabase(false),
        processes,
      })),
    ];
    for (const { name, url, processes } of shops) {
      console.log(`${name}…`);
      const shop = await openShop(url, { addresses: creates, receiver: port });
      try {
        const create = await createBy(shop, processes, creates);
        const delivered = await deliverBy(shop, processes, { receiver, total: deliveries });
        rows.push({ name, create, delivered });
      } finally {
        await shop.db.destroy();
        rmSync(shop.folder, { recursive: true, force: true });
      }
    }
  } finally {
    receiver.kill();
    await cluster.stop();
  }
  report(rows, { creates, deliveries });
}

/** What the server's disk allows, by as many connections as the apps have. */
async function insertBare(url: string, total: number): Promise<LoadResult> {
  const pool = new pg.Pool({ connectionString: url, max: connections });
  // A database that goes away at the end.
  pool.on('error', () => {});
  await pool.query('create table bare (id bigserial primary key, text text not null)');
  const text = 'x'.repeat(500);
  const latencies: number[] = [];
  let next = 0;
  const begun = performance.now();
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (next++ < total) {
        const sent = performance.now();
        await pool.query('insert into bare (text) values ($1)', [text]);
        latencies.push(performance.now() - sent);
      }
    }),
  );
  const rate = (total / (performance.now() - begun)) * 1000;
  await pool.end();
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
  return { rate, p50: at(0.5), p99: at(0.99), max: at(1), statuses: {} };
}

/** A merchant with addresses and endpoints, and a chain that counts as read though nobody reads it. */
async function openShop(
  urlIn: (folder: string) => Promise<string>,
  { addresses, receiver }: { addresses: number; receiver: number },
): Promise<Shop> {
  const folder = mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  const database = await urlIn(folder);
  const secretKey = randomBytes(32);
  const configPath = join(folder, 'config.json');
  writeFileSync(
    configPath,
    JSON.stringify({
      publicUrl: 'https://pay.example.com',
      listen: { host: '127.0.0.1', port: 0 },
      database,
      adminToken: 'not-used-by-the-benchmark-0123456789',
      rates: { sources: ['fixed'], fixed: { usdt: '1', usdc: '1', busd: '1', bnb: '600' } },
      chains: { bsc: { rpc: ['http://127.0.0.1:1/'] } },
      webhooks: { allowHosts: ['127.0.0.1'], secretKey: secretKey.toString('base64') },
      api: { requestsPerSecond: 1_000_000 },
    }),
  );
  const db = await openDatabase(database);
  const now = Date.now();
  const secrets = createSecrets(secretKey, 'the benchmark');
  const { merchantId, key } = await inTransaction(db, async (trx) => {
    const { id } = await addMerchant(trx, { name: 'Bench', at: now });
    const { secret } = await addApiKey(trx, { merchantId: id, at: now });
    const block = { height: 1, hash: '0x1' as BlockHash, time: Math.floor(now / 1000) };
    await insertChain(trx, {
      network: 'bsc',
      cursor: block,
      head: block,
      time: { head: block, shownAt: now, watchedSince: null },
      finalizedHeight: 1,
      // Nobody reads it here, but it must count as read for as long as this runs.
      readAt: now + 3_600_000,
      stoppedReason: null,
    });
    const rules = { secrets, allowHosts: ['127.0.0.1'], headerPrefix: 'X-PayHook' };
    for (let n = 0; n < endpoints; n++) {
      const endpoint = { merchantId: id, url: `http://127.0.0.1:${receiver}/fast/${n}`, at: now };
      const made = await createEndpoint(trx, rules, endpoint);
      if (made.kind !== 'created') throw new Error(JSON.stringify(made.faults));
    }
    return { merchantId: id, key: secret };
  });
  await fillPool(db, merchantId, addresses);
  return { folder, configPath, db, merchantId, key };
}

async function fillPool(db: Db, merchantId: string, count: number): Promise<void> {
  const portion = 1_000;
  for (let done = 0; done < count; done += portion) {
    const keys = Array.from({ length: Math.min(portion, count - done) }, () =>
      randomBytes(20).toString('hex'),
    );
    const rows = keys.map((key) => sql`(${merchantId}, 'bsc', ${`0x${key}`}, ${key}, '', 'static', 0)`);
    await inTransaction(db, (trx) =>
      sql`insert into addresses (merchant_id, network, address, address_key, currency, source, created_at)
        values ${sql.join(rows)}`.execute(trx),
    );
  }
  await sql.raw('analyze').execute(db);
}

async function withProcesses<T>(
  { configPath, db }: Shop,
  count: number,
  role: 'api' | 'notify',
  work: (processes: readonly Served[]) => Promise<T>,
): Promise<T> {
  const args = isPostgres(db) ? ['--roles', role] : [];
  const processes: Served[] = [];
  try {
    for (let n = 0; n < count; n++) processes.push(await serve(configPath, args));
    return await work(processes);
  } finally {
    for (const one of processes) await one.stop();
  }
}

/** Each process gets its share of the connections, as from a balancer. */
async function createBy(shop: Shop, count: number, total: number): Promise<LoadResult> {
  return withProcesses(shop, count, 'api', async (processes) => {
    let n = 0;
    // Some for each process to become warm, before it counts.
    const warm = Math.floor(total / 10 / count);
    const share = Math.floor((total - warm * count) / count);
    const ask = (process: Served, many: number) =>
      load({
        port: Number(new URL(process.url).port),
        connections: Math.max(1, Math.floor(connections / count)),
        total: many,
        request: () => createRequest(shop.key, n++),
      });
    await Promise.all(processes.map((process) => ask(process, warm)));
    const begun = performance.now();
    const results = await Promise.all(processes.map((process) => ask(process, share)));
    const seconds = (performance.now() - begun) / 1000;
    for (const { statuses } of results)
      if (statuses[201] !== share) throw new Error(`not created: ${JSON.stringify(statuses)}`);
    const worst = (of: (one: LoadResult) => number) => Math.max(...results.map(of));
    return {
      rate: (share * count) / seconds,
      p50: worst((one) => one.p50),
      p99: worst((one) => one.p99),
      max: worst((one) => one.max),
      statuses: {},
    };
  });
}

/** Deliveries a second, from the commit by which all are due at once. */
async function deliverBy(
  shop: Shop,
  count: number,
  { receiver, total }: { receiver: ChildProcess; total: number },
): Promise<number> {
  return withProcesses(shop, count, 'notify', async () => {
    await ask(receiver, 'reset');
    await inTransaction(shop.db, async (trx) => {
      for (let n = 0; n < total / endpoints; n++)
        await appendEvent(trx, { ...event(shop.merchantId), at: Date.now() });
    });
    const begun = performance.now();
    for (let got = 0; got < total; got = (await ask(receiver, 'report')).counts.fast ?? 0) {
      if (performance.now() - begun > 300_000) throw new Error(`only ${got} of ${total} delivered`);
      await sleep(20);
    }
    return (total / (performance.now() - begun)) * 1000;
  });
}

async function ask(receiver: ChildProcess, what: 'reset' | 'report'): Promise<ReceiverReport> {
  const answered = once(receiver, 'message');
  receiver.send(what);
  return ((await answered) as [ReceiverReport])[0];
}

function event(merchantId: string) {
  const body = JSON.stringify({ at: Date.now(), event: 'payment.confirmed', text: 'x'.repeat(1_100) });
  return { merchantId, type: 'payment.confirmed', paymentId: null, body } as const;
}

function createRequest(key: string, n: number): Buffer {
  const body = JSON.stringify({
    amount_usd_cents: 5000 + (n % 1000),
    network: 'bsc',
    currency: 'usdt',
    external_order_id: `order-${n}`,
    metadata: { sku: 'GOLD-PLAN', quantity: 1 },
  });
  return Buffer.from(
    `POST /api/v1/payments/ HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nX-API-Key: ${key}\r\n` +
      `Idempotency-Key: scale-${process.pid}-${n}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function report(
  rows: readonly Row[],
  { creates, deliveries }: { creates: number; deliveries: number },
): void {
  const one = rows.find(({ name }) => name.startsWith('PostgreSQL, 1'));
  const ratio = (value: number | undefined, base: number | undefined) =>
    value === undefined || base === undefined ? '' : ` (${(value / base).toFixed(2)} ×)`;
  const lines = [
    `${creates} payments over ${connections} connections in all, and ${deliveries} deliveries to ${endpoints} endpoints in another process; durable commits. PostgreSQL, the daemons and who asks them share the processors. In brackets: of one process on PostgreSQL.`,
    '',
    '| | create/s | p50 ms | p99 ms | deliveries/s |',
    '|---|---|---|---|---|',
    ...rows.map(({ name, create, delivered }) => {
      const created =
        create === null ? '–' : `${create.rate.toFixed(0)}${ratio(create.rate, one?.create?.rate)}`;
      const sent =
        delivered === null ? '–' : `${delivered.toFixed(0)}${ratio(delivered, one?.delivered ?? undefined)}`;
      return `| ${name} | ${created} | ${create?.p50.toFixed(1) ?? '–'} | ${create?.p99.toFixed(1) ?? '–'} | ${sent} |`;
    }),
  ];
  console.log(lines.join('\n'));
  writeResults('scale', lines);
}
