import { readFileSync } from 'node:fs';
import { sql } from 'kysely';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inTransaction } from '../../src/storage/database.ts';
import { evmAddress } from '../support/addresses.ts';
import { type ApiServer, openApiServer } from '../support/api-server.ts';
import { openBrowser } from '../support/browser.ts';
import { openWindow, signIn } from '../support/dashboard-page.ts';
import { openTestSqlite } from '../support/databases.ts';
import { fillDatabase } from '../support/filled-database.ts';
import { firstOperator } from '../support/people.ts';

/*
 * The pages over a database that has been in use for long. `DEPOSITD_TEST_ROWS=100000` has them show as many rows as were
 * promised; fewer find the same faults sooner.
 */

const many = Number(process.env.DEPOSITD_TEST_ROWS ?? 10_000);

/** A page is there within this, on whatever machine, ms. */
const slowestMs = 5_000;

let browser: Browser;
beforeAll(async () => {
  browser = await openBrowser();
}, 60_000);
afterAll(() => browser.close());

/** So many payments, addresses, deliveries, unmatched deposits and entries of the audit log; of many, merchants and users too. */
async function openFilled(rows: number): Promise<ApiServer> {
  const api = await openApiServer(await openTestSqlite());
  await firstOperator(api);
  if (rows === 0) return api;
  await api.db.deleteFrom('chain_cursors').where('network', '=', 'bsc').execute();
  await fillDatabase(api.db, { payments: rows, now: api.now(), everyMs: 6_000, addresses: rows });
  const n = `with recursive n(i) as (select 1 union all select i + 1 from n where i < ${rows})`;
  await inTransaction(api.db, async (trx) => {
    for (const statement of [
      `${n} insert into deposits (network, tx_hash, token, currency, decimals, recipient, ordinal, amount, height, block_hash,
        block_time, log_index, status, role, unmatched_reason, merchant_id, address_id, seen_at)
        select 'bsc', '0xu' || i, '55d398326f99059ff775485246999027b3197955', 'usdt', 18, printf('%040x', i), 0, '7000',
        1000 + i, '0xb', 0, 1, 'confirmed', 'unmatched', 'no_payment', 'mer_1', i, 0 from n`,
      `${n} insert into merchants (id, name, created_at) select 'mer_x' || i, 'Shop ' || i, i from n where ${rows} > 1`,
      `${n} insert into users (id, name, name_key, role, merchant_id, created_at)
        select 'usr_x' || i, 'clerk ' || i, 'clerk ' || i, 'merchant', 'mer_1', i from n where ${rows} > 1`,
      `${n} insert into audit_log (at, actor, action, subject, detail) select i, 'cli', 'key.added', 'mer_1', '{}' from n`,
    ])
      await sql.raw(statement).execute(trx);
  });
  return api;
}

/** Each with its list, whose rows are of what grows. */
const lists = ['payments', 'unmatched', 'addresses', 'webhooks', 'audit'] as const;
const others = ['', 'chains', 'reports', 'providers', 'rates', 'merchants', 'branding', 'users', 'settings'];
const oldestFirst: readonly string[] = ['addresses', 'merchants', 'users'];
type ListName = (typeof lists)[number] | 'merchants' | 'users';
const tables: Record<ListName, string> = {
  merchants: 'Merchants',
  users: 'Users',
  payments: 'Payments',
  unmatched: 'Unmatched deposits',
  addresses: 'Addresses',
  webhooks: 'Deliveries',
  audit: 'Audit log',
};

const rowsOf = (page: Page, list: ListName) =>
  page.getByRole('table', { name: tables[list], exact: true }).locator('tbody tr');

async function open(page: Page, api: ApiServer, name: string): Promise<number> {
  const begun = performance.now();
  await page.goto(`${api.url}/dashboard/#/${name}`);
  await page.locator('main h1').waitFor();
  await expect.poll(() => page.locator('.loading').count(), { timeout: 20_000 }).toBe(0);
  return performance.now() - begun;
}

test('every page shows nothing, and one row', async () => {
  for (const rows of [0, 1]) {
    const api = await openFilled(rows);
    const { page, faults } = await openWindow(browser);
    await signIn(api, page);
    for (const name of [...others, ...lists]) {
      await open(page, api, name);
      expect([name, rows, await page.locator('.notice.bad').allTextContents()]).toEqual([name, rows, []]);
    }
    for (const list of lists) {
      await open(page, api, list);
      // That the operator became one and signed in is in the log.
      const expected = list === 'audit' ? rows + 2 : rows;
      await expect.poll(() => rowsOf(page, list).count(), { message: list }).toBe(expected);
      expect(await page.getByRole('button', { name: /^(Older|Next)$/ }).count()).toBe(0);
    }
    expect(faults).toEqual([]);
  }
}, 60_000);

test(`every page shows the first of ${many} rows at once and goes on to older ones, and its export is what the API says`, async () => {
  const api = await openFilled(many);
  const { page, faults } = await openWindow(browser);
  await signIn(api, page);
  for (const name of [...others, ...lists]) {
    const ms = await open(page, api, name);
    expect([name, ms < slowestMs]).toEqual([name, true]);
    expect([name, await page.locator('.notice.bad').allTextContents()]).toEqual([name, []]);
  }
  for (const list of [...lists, 'merchants', 'users'] as const) {
    await open(page, api, list);
    const rows = rowsOf(page, list);
    await expect.poll(() => rows.count(), { timeout: 10_000, message: list }).toBe(50);
    const first = await rows.first().textContent();
    const [back, on] = oldestFirst.includes(list) ? ['First', 'Next'] : ['Newest', 'Older'];
    await page.getByRole('button', { name: on, exact: true }).click();
    await expect.poll(() => rows.first().textContent()).not.toBe(first);
    expect([list, await rows.count()]).toEqual([list, 50]);
    await page.getByRole('button', { name: back, exact: true }).click();
    await expect.poll(() => rows.first().textContent()).toBe(first);
  }

  // A part of them, row by row.
  await open(page, api, 'payments?status=cancelled');
  const part = await exported(page);
  const paid: Payment[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query: string = `status=cancelled&limit=100${cursor === '' ? '' : `&cursor=${cursor}`}`;
    const { body: list } = await api.send<Payments>('GET', `/admin/v1/payments/?${query}`, {
      admin: true,
    });
    paid.push(...list.data);
    cursor = list.next_cursor;
  }
  expect(part).toEqual(
    paid.map((one) => ({
      payment_number: one.payment_number,
      order_id: one.external_order_id,
      created_at: one.created_at,
      amount_usd: (one.amount_usd_cents / 100).toFixed(2),
      expected_amount: one.expected_crypto_amount,
      received_amount: one.actual_crypto_amount ?? '',
    })),
  );
  expect(part.length).toBeGreaterThan(many / 200);
  // And all of them, each once.
  await open(page, api, 'payments');
  const all = await exported(page);
  expect(new Set(all.map((row) => row.payment_number)).size).toBe(many);
  expect(all.length).toBe(many);
  expect(faults).toEqual([]);
}, 120_000);

type Payment = {
  payment_number: string;
  external_order_id: string;
  created_at: string;
  amount_usd_cents: number;
  expected_crypto_amount: string;
  actual_crypto_amount: string | null;
};
type Payments = { data: Payment[]; next_cursor: string | null };

const compared = [
  'payment_number',
  'order_id',
  'created_at',
  'amount_usd',
  'expected_amount',
  'received_amount',
] as const;

/** What a spreadsheet reads of the file that the page gives. */
async function exported(page: Page): Promise<Record<string, string>[]> {
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'with commas' }).click(),
  ]);
  const text = readFileSync(await download.path(), 'utf8');
  expect(text.startsWith('\ufeff')).toBe(true);
  const [titles = [], ...rows] = text
    .slice(1)
    .trimEnd()
    .split('\r\n')
    .map((line) => line.slice(1, -1).split('","'));
  const at = compared.map((title) => [title, titles.indexOf(title)] as const);
  return rows.map((cells) => Object.fromEntries(at.map(([title, index]) => [title, cells[index] ?? ''])));
}

test(`of a file of ${many} rows, half of them wrong, each is answered before anything is added, and the right half gets in`, async () => {
  const api = await openApiServer(await openTestSqlite());
  await firstOperator(api);
  await api.addMerchant();
  const { page, faults } = await openWindow(browser);
  await signIn(api, page);
  await open(page, api, 'addresses');
  const wrong = ['0xnone', '', `0x${'1'.repeat(39)}`, 'x'.repeat(300), '=cmd|1', evmAddress(1)];
  const lines = Array.from({ length: many }, (_, at) =>
    at % 2 === 0 ? evmAddress(1 + at / 2) : (wrong[((at - 1) / 2) % wrong.length] ?? ''),
  );
  const right = many / 2;
  const file = `Label,Address\r\n${lines.map((address) => `mine,${address}`).join('\r\n')}\r\n`;
  const network = page.getByLabel('Network');
  await network.selectOption('bsc');
  // How long the page is deaf at most while it works.
  await page.evaluate(() => {
    const all = globalThis as unknown as { deaf: number };
    all.deaf = 0;
    let last = performance.now();
    setInterval(() => {
      const now = performance.now();
      all.deaf = Math.max(all.deaf, now - last);
      last = now;
    }, 20);
  });
  await page
    .getByLabel('Or from a file')
    .setInputFiles({ name: 'addresses.csv', mimeType: 'text/csv', buffer: Buffer.from(file) });
  await page.getByText(`${many.toLocaleString('en-US')} addresses.`).waitFor();
  await page.getByText('Only the column “address” is read here, and not label').waitFor();
  await page.getByRole('button', { name: 'Check first' }).click();
  const summary = (what: string) =>
    page.getByText(
      `${right.toLocaleString('en-US')} ${what}, ${(many - right).toLocaleString('en-US')} refused.`,
    );
  await summary('can be added').waitFor({ timeout: 60_000 });
  const count = async () => {
    const query = api.db.selectFrom('addresses').select((eb) => eb.fn.countAll<number>().as('n'));
    return Number((await query.executeTakeFirstOrThrow()).n);
  };
  expect(await count()).toBe(0);
  const reasons = page.locator('form.card li');
  expect(await reasons.count()).toBe(50);
  expect((await reasons.allTextContents()).slice(0, 6)).toEqual([
    expect.stringMatching(/^Line 3: 0xnone .+/),
    expect.stringMatching(/^Line 5: {2}is empty$/),
    expect.stringMatching(/^Line 7: 0x1{39} .+/),
    expect.stringMatching(/^Line 9: x{12}… is longer than any address$/),
    expect.stringMatching(/^Line 11: =cmd\|1 .+/),
    expect.stringMatching(/^Line 13: 0x\w{40} stands in line 2 already$/),
  ]);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Save all that were refused' }).click(),
  ]);
  const saved = readFileSync(await download.path(), 'utf8')
    .trimEnd()
    .split('\r\n');
  expect(saved.length).toBe(1 + many - right);
  expect(saved[5]).toMatch(/^"'=cmd\|1",11,/);

  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await summary('added').waitFor({ timeout: 60_000 });
  expect(await count()).toBe(right);
  expect(await page.evaluate(() => (globalThis as unknown as { deaf: number }).deaf)).toBeLessThan(2_000);
  expect(faults).toEqual([]);
}, 120_000);
