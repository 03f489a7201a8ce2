import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import type { AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { emptyHistogram, withValue } from '../../src/core/histogram.ts';
import { intervalOf, measurementMs, type NodeMeasurement } from '../../src/core/measurement.ts';
import { addNodeMeasurements } from '../../src/storage/chains/node-measurements.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { insertDeposit } from '../../src/storage/deposits/deposits.ts';
import { findPaymentId } from '../../src/storage/payments/numbers.ts';
import { insertPoolMeasurements } from '../../src/storage/pool/measurements.ts';
import { addEndpointMeasurements } from '../../src/storage/webhooks/measurements.ts';
import { makeFirstLink } from '../../src/users/accounts.ts';
import { totpCode } from '../../src/users/totp.ts';
import { evmAddress } from '../support/addresses.ts';
import { type ApiServer, openApiServer } from '../support/api-server.ts';
import { openBrowser } from '../support/browser.ts';
import { desktop, openWindow, phone, signIn } from '../support/dashboard-page.ts';
import { openTestSqlite } from '../support/databases.ts';
import { testDeposit } from '../support/payments.ts';
import { firstOperator, goodPassword } from '../support/people.ts';
import { readQr } from '../support/read-qr.ts';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser: Browser;
beforeAll(async () => {
  browser = await openBrowser();
}, 60_000);
afterAll(() => browser.close());

const soon = (look: () => unknown) => expect.poll(look, { timeout: 15_000 });
const order = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' };

async function makePayment(api: ApiServer, key: string, more: object = {}): Promise<string> {
  const json = { ...order, ...more };
  const made = await api.send<{ payment_number: string }>('POST', '/api/v1/payments/', { key, json });
  if (made.status !== 201) throw new Error(made.text);
  return made.body.payment_number;
}

/** Half of what was asked for has come, and is final. */
async function payHalf(api: ApiServer, merchantId: string, number: string): Promise<void> {
  const paymentId = await findPaymentId(api.db, number);
  await inTransaction(api.db, (trx) =>
    insertDeposit(trx, {
      ...testDeposit({ amount: 25n * 10n ** 18n, status: 'confirmed' }),
      merchantId,
      addressId: 1,
      paymentId,
    }),
  );
}

const pages = [
  '',
  'payments',
  'unmatched',
  'addresses',
  'chains',
  'webhooks',
  'reports',
  'providers',
  'rates',
  'merchants',
  'branding',
  'users',
  'audit',
  'settings',
  'account',
];

async function violations(page: Page, within = 'html'): Promise<string[]> {
  // The pages of one window are one document.
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axeSource);
  const results = await page.evaluate(
    (part) => (globalThis as unknown as { axe: { run(part: string): Promise<AxeResults> } }).axe.run(part),
    within,
  );
  return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
}

async function screenshot(page: Page, name: string): Promise<void> {
  const folder = process.env.SCREENSHOTS;
  if (folder !== undefined)
    await page.screenshot({ path: `${folder}/dashboard-${name}.png`, fullPage: true });
}

test('from the first run to the first paid payment by clicking only', async () => {
  const api = await openApiServer(await openTestSqlite());
  const { page, faults } = await openWindow(browser);
  const link = await makeFirstLink({ db: api.db, clock: api.now });
  await page.goto(`${api.url}/dashboard/#/setup/${link}`);
  await page.getByLabel('Your name').fill('ada');
  await page.getByLabel('Password', { exact: true }).fill(goodPassword);
  await page.getByLabel('The same again').fill(goodPassword);
  await page.getByRole('button', { name: 'Begin' }).click();
  await page.getByRole('heading', { name: 'Home' }).waitFor();

  await page.getByRole('link', { name: 'A merchant, with an API key' }).click();
  await page.getByLabel('Name of the shop').fill('Blue Fox Books');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  const shown = page.getByRole('status').locator('code');
  await shown.waitFor();
  const key = (await shown.textContent()) ?? '';
  expect(key).toMatch(/^pk_/);

  await page.getByRole('link', { name: 'Addresses' }).click();
  await page.getByLabel('Network').selectOption('bsc');
  await page.getByLabel('Addresses of your own wallet').fill(`${evmAddress(1)}\n0xnone\n${evmAddress(2)}`);
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByText('2 added, 1 refused.').waitFor();
  expect(await page.getByLabel('Addresses of your own wallet').inputValue()).toBe('0xnone');

  await page.getByRole('link', { name: 'Webhooks' }).click();
  await page.getByLabel('URL of your shop').fill('https://shop.example/hooks');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByText('whsec_').waitFor();

  const number = await makePayment(api, key);
  const merchant = await api.db.selectFrom('merchants').select('id').executeTakeFirstOrThrow();
  await payHalf(api, merchant.id, number);
  await page.getByRole('link', { name: 'Payments', exact: true }).click();
  await page.getByRole('link', { name: number }).click();
  await page.getByText('25.000000 usdt confirmed').waitFor();
  await page.getByRole('button', { name: 'Accept what came' }).click();
  await page.getByRole('dialog').getByLabel('Reason').fill('a good customer');
  await page.getByRole('dialog').getByRole('button', { name: 'Accept what came' }).click();
  await page.locator('.facts').getByText('confirmed', { exact: true }).waitFor();
  await page.getByText('by user ada').waitFor();
  await screenshot(page, 'payment');

  await page.getByRole('link', { name: 'Home' }).click();
  await page.getByText('$50.00').first().waitFor();
  await expect(page.getByText('To begin').count()).resolves.toBe(0);
  await screenshot(page, 'home');
  expect(faults).toEqual([]);
}, 90_000);

test('every page is readable by everybody, light and dark, and fits a phone, with nothing, one and many rows', async () => {
  const api = await openApiServer(await openTestSqlite());
  await firstOperator(api);
  for (const [rows, options] of [
    ['no', { ...phone, colorScheme: 'dark' as const }],
    ['many', { ...phone, colorScheme: 'light' as const }],
    ['many', { ...desktop, colorScheme: 'dark' as const }],
  ] as const) {
    if (rows === 'many' && (await api.db.selectFrom('merchants').select('id').execute()).length === 0) {
      const shop = await api.addMerchant('A shop with a rather long name');
      await api.addAddresses(shop, 'bsc', 60);
      for (let n = 0; n < 55; n++) await makePayment(api, shop.key, { external_order_id: `order-${n}` });
      const path = `/admin/v1/merchants/${shop.id}/webhooks/`;
      const json = { url: `https://shop.example/${'long/'.repeat(30)}` };
      const hook = await api.send<{ id: string }>('POST', path, { admin: true, json });
      await api.send('POST', `${path}${hook.body.id}/test/`, { admin: true });
    }
    const { page, faults } = await openWindow(browser, options);
    await signIn(api, page);
    for (const name of pages) {
      await page.goto(`${api.url}/dashboard/#/${name}`);
      await page.locator('main h1').waitFor();
      await soon(() => page.locator('.loading').count()).toBe(0);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      expect([name, rows, width]).toEqual([name, rows, options.viewport.width]);
      expect([name, rows, await violations(page)]).toEqual([name, rows, []]);
      await screenshot(page, `${name || 'home'}-${rows}-${options.viewport.width}-${options.colorScheme}`);
    }
    expect(faults).toEqual([]);
  }
}, 180_000);

test('new rows announce themselves and move nothing until they are asked for, by the keyboard too', async () => {
  const api = await openApiServer(await openTestSqlite());
  await firstOperator(api);
  const shop = await api.addMerchant();
  await api.addAddresses(shop, 'bsc', 8);
  const first = await makePayment(api, shop.key);
  const { page, faults } = await openWindow(browser);
  await signIn(api, page);
  await page.goto(`${api.url}/dashboard/#/payments`);
  const numbers = () => page.locator('tbody tr td:first-child').allTextContents();
  await soon(numbers).toEqual([first]);
  const place = () => page.getByRole('link', { name: first }).boundingBox();
  const before = await place();
  const second = await makePayment(api, shop.key);
  const announced = page.locator('[role=status]').getByRole('button');
  await soon(() => announced.allTextContents()).toEqual(['1 new payment – show']);
  const third = await makePayment(api, shop.key);
  await soon(() => announced.allTextContents()).toEqual(['2 new payments – show']);
  // What is read stands where it stood, and is kept up to date.
  expect(await numbers()).toEqual([first]);
  expect(await place()).toEqual(before);
  expect(await violations(page)).toEqual([]);
  await screenshot(page, 'new-rows');
  await payHalf(api, shop.id, first);
  await api.send('POST', `/admin/v1/payments/${first}/accept/`, { admin: true, json: { reason: 'known' } });
  await page.locator('tbody').getByText('confirmed').waitFor();
  expect(await numbers()).toEqual([first]);

  await announced.focus();
  await page.keyboard.press('Enter');
  await soon(numbers).toEqual([third, second, first]);
  await soon(() => announced.count()).toBe(0);
  await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe(third);

  const search = async (text: string) => {
    await page.getByRole('searchbox').fill(text);
    await page.keyboard.press('Enter');
  };
  await search('50,00');
  await soon(numbers).toEqual([third, second, first]);
  await search('1,250');
  await page.getByText('This amount may be 1250 or 1.250: write the one that is meant').waitFor();
  expect(faults).toEqual([]);
}, 60_000);

test('a session that ends in the middle of a form is begun again over it, and nothing typed is lost', async () => {
  const api = await openApiServer(await openTestSqlite());
  await firstOperator(api);
  const { page, faults } = await openWindow(browser);
  await signIn(api, page);
  await page.goto(`${api.url}/dashboard/#/merchants`);
  await page.getByLabel('Name of the shop').fill('Typed before');
  await api.db.deleteFrom('user_sessions').execute();
  // The page may have noticed by itself, and stand behind the question already.
  await page.evaluate(() => document.querySelector('form')?.requestSubmit());
  const asked = page.getByRole('dialog', { name: 'Sign in again' });
  await asked.waitFor();
  expect(await page.getByLabel('Name of the shop').inputValue()).toBe('Typed before');
  await asked.getByLabel('Password').fill(goodPassword);
  await asked.getByRole('button', { name: 'Sign in' }).click();
  // What was asked for is done, once.
  await page.getByText('pk_').first().waitFor();
  const merchants = await api.db.selectFrom('merchants').select('name').execute();
  expect(merchants).toEqual([{ name: 'Typed before' }]);
  expect(faults).toEqual([]);
}, 60_000);

test('an authenticator app reads its key from the QR code, and the code that it shows turns it on', async () => {
  const api = await openApiServer(await openTestSqlite());
  await firstOperator(api);
  const { page, faults } = await openWindow(browser, { ...desktop, colorScheme: 'dark' });
  await signIn(api, page);
  await page.goto(`${api.url}/dashboard/#/account`);
  await page.getByRole('button', { name: 'Set one up' }).click();
  const code = page.getByRole('img', { name: 'QR code for your authenticator app' });
  await code.waitFor();
  const read = new URL(await readQr(page.context(), await code.screenshot()));
  expect([read.protocol, read.host]).toEqual(['otpauth:', 'totp']);
  const secret = read.searchParams.get('secret') ?? '';
  await page.getByLabel('The code that it shows now').fill(totpCode(secret, Math.floor(api.now() / 30_000)));
  await page.getByLabel('Your password').fill(goodPassword);
  await page.getByRole('button', { name: 'Use it from now on' }).click();
  await page.getByText('Keep these codes').waitFor();
  expect(await page.locator('.codes li').count()).toBe(10);
  expect(faults).toEqual([]);
}, 60_000);

test('texts of merchants and payers are shown as texts, whatever is in them', async () => {
  const api = await openApiServer(await openTestSqlite());
  await firstOperator(api);
  const hostile = '<img src=x onerror=alert(1)>"\'><script>alert(2)</script>\u202e';
  const shop = await api.addMerchant(hostile);
  await api.addAddresses(shop, 'bsc', 1);
  const number = await makePayment(api, shop.key, {
    // A payment's own texts are refused where they turn their direction.
    external_order_id: hostile.replace('\u202e', ''),
    metadata: { note: hostile },
  });
  const { page, faults } = await openWindow(browser);
  await signIn(api, page);
  for (const name of [...pages, `payments/${number}`]) {
    await page.goto(`${api.url}/dashboard/#/${name}`);
    await page.locator('main h1').waitFor();
    await soon(() => page.locator('.loading').count()).toBe(0);
    expect([name, await page.locator('main img, main script').count()]).toEqual([name, 0]);
  }
  await page.getByText('<img src=x').first().waitFor();
  expect(faults).toEqual([]);
}, 60_000);

test('everything is reached by the keyboard alone', async () => {
  const api = await openApiServer(await openTestSqlite());
  await firstOperator(api);
  const { page } = await openWindow(browser);
  await page.goto(`${api.url}/dashboard/`);
  await page.getByLabel('Name').waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.type('ada');
  await page.keyboard.press('Tab');
  await page.keyboard.type(goodPassword);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Home' }).waitFor();
  const focused = () => page.evaluate(() => document.activeElement?.closest('a, button')?.textContent ?? '');
  const tabTo = async (text: string) => {
    for (let n = 0; n < 60 && !(await focused()).includes(text); n++) await page.keyboard.press('Tab');
    expect(await focused()).toContain(text);
  };
  await tabTo('Merchants and keys');
  await page.keyboard.press('Enter');
  await page.getByLabel('Name of the shop').waitFor();
  await soon(() => page.evaluate(() => document.activeElement?.tagName)).toBe('MAIN');
  await page.keyboard.press('Tab');
  await page.keyboard.type('Typed');
  await page.keyboard.press('Enter');
  await page.getByText('pk_').first().waitFor();
  await page.getByRole('button', { name: 'Revoke' }).waitFor();
  await tabTo('Revoke');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await soon(() => page.getByRole('dialog').count()).toBe(0);
}, 60_000);

/** Hours of measurements with a bad one, and payments of some days. */
async function measureHours(api: ApiServer): Promise<void> {
  const shop = await api.addMerchant();
  await api.addAddresses(shop, 'bsc', 60);
  const path = `/admin/v1/merchants/${shop.id}/webhooks/`;
  const json = { url: 'https://shop.example/hook' };
  const hook = await api.send<{ id: string }>('POST', path, { admin: true, json });
  const last = intervalOf(api.now());
  await inTransaction(api.db, async (trx) => {
    for (let n = 59; n >= 0; n--) {
      const at = last - n * measurementMs;
      // It was not running for a while.
      if (n > 40 && n < 46) continue;
      const slow = n > 20 && n < 27 ? 12 : 1;
      const latencyOf = (ms: number) =>
        [1, 1, 1, 1.2, 1.4, 2.5].map((times) => times * ms * slow).reduce(withValue, emptyHistogram);
      const failures: NodeMeasurement['failures'] = slow > 1 ? { timeout: 9 - (n % 3), behind: n % 4 } : {};
      await addNodeMeasurements(trx, 'bsc', [
        { host: 'node.example', at, latency: latencyOf(60 + 20 * Math.sin(n / 9)), failures },
        { host: 'other.example', at, latency: latencyOf(150 + n), failures: {} },
      ]);
      const held = Math.round(25 + 20 * Math.sin(n / 23));
      const pool = { merchantId: shop.id, network: 'bsc', currency: null, retired: 2 } as const;
      await insertPoolMeasurements(trx, [{ ...pool, at, held, quarantined: 5, free: 55 - held }]);
      const succeeded = 40 + Math.round(30 * Math.sin(n / 23));
      const counts = { succeeded, failed: slow > 1 ? 17 : 0, oldestPendingMs: slow > 1 ? n * 60_000 : 0 };
      await addEndpointMeasurements(trx, [{ endpointId: hook.body.id, at, ...counts }]);
    }
  });
  const day = 24 * 3_600_000;
  for (let n = 0; n < 20; n++) {
    const number = await makePayment(api, shop.key);
    const created_at = api.now() - n * day - n * 3_600_000;
    const paid = { status: 'confirmed', created_at, confirmed_at: created_at + (40 + 17 * (n % 7)) * 1000 };
    await api.db.updateTable('payments').set(paid).where('payment_number', '=', number).execute();
  }
}

test('plots are drawn under the policy, from colours of the page, and are told as tables', async () => {
  const api = await openApiServer(await openTestSqlite());
  await firstOperator(api);
  await measureHours(api);
  const month = '?since=2026-05-01&until=2026-05-24';
  const plots: [page: string, label: string, row: RegExp][] = [
    ['', 'Received in the last 30 days', /\$\d+\.\d\d/],
    ['chains', 'How long nodes of BNB Smart Chain took to answer', /\d ms.*\d ms/],
    ['addresses', 'Addresses of bsc', /\d/],
    ['webhooks', 'Attempts to send webhooks', /\d/],
    [`reports${month}`, 'How long payments took from being made to being confirmed', /\d+ s/],
  ];
  for (const options of [
    { ...phone, colorScheme: 'dark' as const },
    { ...desktop, colorScheme: 'light' as const },
  ]) {
    const { page, faults } = await openWindow(browser, options);
    await page.clock.setFixedTime(api.now());
    await signIn(api, page);
    const isPhone = options.viewport.width === phone.viewport.width;
    for (const [path, label, row] of isPhone ? plots : plots.slice(0, 2)) {
      await page.goto(`${api.url}/dashboard/#/${path}`);
      const plot = page.locator('.plot', { hasText: label });
      await plot.locator('canvas').waitFor();
      // As many points of another colour than the ground's as a line has.
      await soon(() => plot.locator('canvas').evaluate(countColoured)).toBeGreaterThan(200);
      const { width } = options.viewport;
      await screenshot(page, `plot-${plots.findIndex((one) => one[1] === label)}-${width}`);
      if (!isPhone) continue;
      if (path === 'chains') await page.locator('.plot', { hasText: 'How often nodes' }).waitFor();
      await plot.getByText('As a table').click();
      await plot.locator('tbody tr', { hasText: row }).first().waitFor();
      expect([path, await page.evaluate(() => document.documentElement.scrollWidth)]).toEqual([path, width]);
      expect([path, await violations(page, '.plot')]).toEqual([path, []]);
    }
    expect(faults).toEqual([]);
  }
}, 90_000);

function countColoured(canvas: Element): number {
  const drawn = canvas as HTMLCanvasElement;
  const pixels = drawn.getContext('2d')?.getImageData(0, 0, drawn.width, drawn.height).data ?? [];
  let count = 0;
  for (let i = 0; i < pixels.length; i += 4) {
    const [red = 0, green = 0, blue = 0, seen = 0] = pixels.slice(i, i + 4);
    if (seen > 0 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) count += 1;
  }
  return count;
}

test('the pages are small, are in nobody’s frame, and load nothing from elsewhere', async () => {
  const api = await openApiServer(await openTestSqlite());
  const { page, faults } = await openWindow(browser);
  const answer = await page.goto(`${api.url}/dashboard/`);
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  const html = (await answer?.text()) ?? '';
  const files = [...html.matchAll(/(?:src|href)="(\/dashboard\/assets\/[^"]+)"/g)].map(([, path]) => path);
  expect(files).toHaveLength(2);
  const texts = await Promise.all(files.map(async (path) => (await fetch(api.url + path)).text()));
  const bytes = [html, ...texts].reduce((sum, text) => sum + gzipSync(text).length, 0);
  expect(bytes).toBeGreaterThan(10_000);
  expect(bytes).toBeLessThan(70 * 1024);
  const headers = answer?.headers() ?? {};
  expect(headers['content-security-policy']).toMatch(
    /frame-ancestors 'none'; require-trusted-types-for 'script'/,
  );
  expect(headers['x-frame-options']).toBe('DENY');
  expect(headers['content-security-policy']).not.toContain('unsafe');
  expect(faults).toEqual([]);

  const closed = await openApiServer(await openTestSqlite(), { dashboard: false });
  expect((await fetch(`${closed.url}/dashboard/`)).status).toBe(404);
}, 60_000);
