import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { noTransaction } from '../../src/core/chain.ts';
import { recordScan } from '../../src/storage/chains/scans.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { forgetOnce } from '../../src/storage/retention.ts';
import type { Db } from '../../src/storage/schema.ts';
import { pruneDeliveries } from '../../src/storage/webhooks/upkeep.ts';
import { openApiServer } from '../support/api-server.ts';
import { describeDatabases } from '../support/databases.ts';
import { fillDatabase } from '../support/filled-database.ts';

const dayMs = 24 * 60 * 60 * 1000;
const now = Date.UTC(2026, 4, 24, 12, 0, 0);
const keptMs = 90 * dayMs;

/** Ten a day. A thousand a day are the same with `DEPOSITD_TEST_PAYMENTS=365000`, which takes minutes. */
const payments = Number(process.env.DEPOSITD_TEST_PAYMENTS ?? 3_650);
const everyMs = (365 * dayMs) / payments;

async function forgetAll(db: Db): Promise<void> {
  const before = now - keptMs;
  while ((await inTransaction(db, (trx) => pruneDeliveries(trx, before, 500))) > 0);
  while (await forgetOnce(db, { now, eventRetentionMs: keptMs }));
}

async function count(db: Db, table: string, where = 'true'): Promise<number> {
  const { rows } = await sql
    .raw<{ n: number }>(`select count(*) as n from ${table} where ${where}`)
    .execute(db);
  return Number(rows[0]?.n);
}

describeDatabases('what is forgotten', (openTestDb) => {
  test(
    'of a year of payments: events, deliveries and marks are kept for their time, and all that money needs for ever',
    async () => {
      const db = await openTestDb();
      await fillDatabase(db, { payments, now, everyMs });
      const books = ['payments', 'onchain_payments', 'deposits', 'addresses', 'merchants', 'audit_log'];
      const rows = async () =>
        Object.fromEntries(await Promise.all(books.map(async (table) => [table, await count(db, table)])));
      const before = await rows();
      await forgetAll(db);
      expect(await rows()).toEqual(before);

      const perDay = payments / 365;
      const kept = async (table: string, days: number, perPayment: number) => {
        const left = (await count(db, table)) / (days * perDay * perPayment);
        expect(left, table).toBeGreaterThan(0.9);
        expect(left, table).toBeLessThan(1.1);
      };
      await kept('events', 90, 2);
      await kept('deliveries', 90, 1);
      await kept('delivery_attempts', 90, 1);
      await kept('balance_marks', 30, 0.1);
      expect(await count(db, 'idempotency_keys')).toBeLessThanOrEqual(Math.ceil(perDay));
      expect(await count(db, 'events', `created_at < ${now - keptMs - dayMs}`)).toBe(0);
    },
    Math.max(240_000, 5 * payments),
  );

  test('is no event of which a delivery is kept', async () => {
    const db = await openTestDb();
    await fillDatabase(db, { payments: 100, now: now - 200 * dayMs });
    while (await forgetOnce(db, { now, eventRetentionMs: keptMs }));
    expect(await count(db, 'events')).toBe(100);
    expect(await count(db, 'deliveries')).toBe(100);
  });

  test('is no balance mark over which a surplus was found: what is found later must be known as a part of it', async () => {
    const db = await openTestDb();
    await fillDatabase(db, { payments: 100, now: now - 200 * dayMs });
    await sql`
      insert into deposits (network, tx_hash, token, currency, decimals, recipient, ordinal, amount, height, block_hash,
        block_time, status, role, unmatched_reason, merchant_id, address_id, payment_id, seen_at)
      values ('bsc', ${noTransaction}, 'native', 'native', 18, 'r', 20, '1', 1, '0xb', 1, 'confirmed', 'unmatched', null,
        'mer_1', 1, null, 1)`.execute(db);
    while (await forgetOnce(db, { now, eventRetentionMs: keptMs }));
    const left = await db.selectFrom('balance_marks').select('payment_id').orderBy('payment_id').execute();
    // The last two are of payments that are still pending, however old.
    expect(left.map((row) => row.payment_id)).toEqual([20, 90, 100]);
  });

  test('is who read which old block: such scans are joined, and no gap between them is closed', async () => {
    const db = await openTestDb();
    await fillDatabase(db, { payments: 50, now });
    await inTransaction(db, async (trx) => {
      for (let height = 1; height <= 1_500; height++) {
        if (height === 100) continue;
        const host = height % 2 === 0 ? 'even.example' : 'odd.example';
        const at = now - 40 * dayMs;
        await recordScan(trx, { network: 'bsc', from: height, to: height, host, native: false, at });
      }
    });
    while (await forgetOnce(db, { now, eventRetentionMs: keptMs }));
    expect(await count(db, 'chain_scans')).toBeLessThan(600);
    expect(await count(db, 'chain_scans', 'from_height <= 100 and to_height >= 100')).toBe(0);
  });

  test('is told to whoever follows the events from a cursor before it; from the oldest that is kept they go on', async () => {
    const db = await openTestDb();
    const api = await openApiServer(db);
    const [shop, quiet] = [await api.addMerchant(), await api.addMerchant('Quiet')];
    const eventId = (n: number) => `evt_${String(n).padStart(32, '0')}`;
    const add = (merchantId: string, n: number, at: number) =>
      sql`insert into events (id, merchant_id, type, payment_id, body, created_at)
        values (${eventId(n)}, ${merchantId}, 'payment.confirmed', null, '{}', ${at})`.execute(db);
    await add(quiet.id, 1, now - 200 * dayMs);
    for (let n = 2; n <= 5; n++) await add(shop.id, n, now - 100 * dayMs);
    await add(shop.id, 6, now);
    type Page = { data: { id: string }[]; next_cursor: string };
    // Not through the check of every answer against its schema: these bodies are none.
    const feed = async (key: string, after: string) => {
      const answer = await fetch(`${api.url}/api/v1/events/${after}`, { headers: { 'x-api-key': key } });
      return { status: answer.status, body: (await answer.json()) as Page };
    };
    const first = (await feed(shop.key, '?limit=1')).body.next_cursor;
    const third = (await feed(shop.key, '?limit=3')).body.next_cursor;
    const last = (await feed(shop.key, '?limit=4')).body.next_cursor;
    while (await forgetOnce(db, { now, eventRetentionMs: keptMs }));

    for (const cursor of [first, third]) {
      const answer = await feed(shop.key, `?after=${cursor}`);
      expect([answer.status, answer.body]).toMatchObject([410, { code: 'cursor_expired' }]);
    }
    for (const from of ['', `?after=${last}`]) {
      expect((await feed(shop.key, from)).body.data.map(({ id }) => id)).toEqual([eventId(6)]);
    }
    // What others forgot is no gap of this one's.
    const own = (await feed(quiet.key, '')).body;
    expect([own.data, own.next_cursor]).toEqual([[], null]);
  });
});

describe('the table of retention in the docs', () => {
  test('names every table', () => {
    const root = join(import.meta.dirname, '../..');
    const migration = readFileSync(join(root, 'migrations/0001_initial.ts'), 'utf8');
    const docs = readFileSync(join(root, 'docs/operations.md'), 'utf8');
    const section = docs.slice(
      docs.indexOf('## What is kept'),
      docs.indexOf('\n## ', docs.indexOf('## What is kept') + 1),
    );
    const tables = [...migration.matchAll(/create table (\w+)/g)].map(([, table]) => table as string);
    expect(tables.length).toBeGreaterThan(20);
    expect(tables.filter((table) => !section.includes(`\`${table}\``))).toEqual([]);
  });
});
