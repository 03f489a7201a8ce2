import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApi, type PaymentBody } from '../support/api.ts';
import { openBrowser } from '../support/browser.ts';
import { openWindow, signIn } from '../support/dashboard-page.ts';
import { goodPassword } from '../support/people.ts';
import { type Scenario, startScenario, testAddress } from '../support/scenario.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { transferToken } from '../support/tokens.ts';

/*
 * The dashboard over a real daemon, which reads real chains. The tests follow each other: the first makes the operator and
 * the shop that the others use.
 */

let shop: Scenario;
let browser: Browser;
beforeAll(async () => {
  [shop, browser] = await Promise.all([startScenario({ addresses: 2 }), openBrowser()]);
  return shop.stop;
}, 60_000);
afterAll(() => browser.close());

const usdt = (coins: number) => BigInt(coins) * 10n ** 18n;
const facts = (page: Page) => page.locator('.facts');

let key = '';

async function create(): Promise<PaymentBody> {
  const api = createApi(() => shop.home.current().url, key);
  const answer = await api.create({ amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.body;
}

test('from the first run to the first paid payment by clicking, followed live, and its refund until the chain shows it', async () => {
  const { page, faults } = await openWindow(browser);
  await page.goto(/http:\S+/.exec(shop.home.firstLinks[0] ?? '')?.[0] ?? '');
  await page.getByLabel('Your name').fill('ada');
  await page.getByLabel('Password', { exact: true }).fill(goodPassword);
  await page.getByLabel('The same again').fill(goodPassword);
  await page.getByRole('button', { name: 'Begin' }).click();
  await page.getByRole('heading', { name: 'Home' }).waitFor();
  await page.getByRole('link', { name: 'Merchants and keys' }).click();
  await page.getByLabel('Name of the shop').fill('Blue Fox Books');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  key = (await page.getByRole('status').locator('code').textContent()) ?? '';
  await page.getByRole('link', { name: 'Addresses' }).click();
  await page.getByLabel('Merchant').selectOption({ label: 'Blue Fox Books' });
  await page.getByLabel('Network').selectOption('bsc');
  const addresses = [testAddress('bsc', 900), testAddress('bsc', 901)];
  await page.getByLabel('Addresses of your own wallet').fill(addresses.join('\n'));
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByText('2 added').waitFor();

  const payment = await create();
  await page.getByRole('link', { name: 'Payments', exact: true }).click();
  await page.getByRole('link', { name: payment.payment_number }).click();
  await facts(page).getByText('pending').waitFor();
  const { anvil, tokens } = shop.bsc;
  await transferToken(anvil, tokens.usdt, payment.assigned_address, usdt(70));
  await anvil.mine(20);
  // Told by the stream: nobody touches the page.
  await facts(page).getByText('confirmed', { exact: true }).waitFor();
  await facts(page).getByText('overpaid').waitFor();

  const customer = testAddress('bsc', 5_000);
  const sent = await transferToken(anvil, tokens.usdt, customer, usdt(20));
  await page.getByText('Record a refund that you sent').click();
  const fill = async (label: string, text: string) => page.getByLabel(label).fill(text);
  await fill('Amount of usdt on bsc', '20');
  await fill('Sent to', '0xnone');
  await fill('Transaction', sent);
  await fill('Reason, for the audit log', 'paid too much');
  await page.getByRole('button', { name: 'Record', exact: true }).click();
  await page.getByText('not an address').waitFor();
  expect(await page.getByLabel('Reason, for the audit log').inputValue()).toBe('paid too much');
  await fill('Sent to', customer);
  await page.getByRole('button', { name: 'Record', exact: true }).click();
  await page.getByText('not found yet').waitFor();
  await anvil.mine(20);
  await page.getByRole('table').getByText('verified', { exact: true }).waitFor({ timeout: 20_000 });
  await page.getByText('20.000000 usdt sent back').waitFor();
  expect(faults).toEqual([]);
}, 90_000);

test('a page whose server is slow, or gone for a while, keeps what it shows, says so, and goes on by itself', async () => {
  const { port } = new URL(shop.home.current().url);
  const proxy = await startTcpProxy({ host: '127.0.0.1', port: Number(port) });
  try {
    const { page } = await openWindow(browser);
    await signIn({ url: `http://127.0.0.1:${proxy.port}` }, page);
    await page.getByRole('link', { name: 'Payments', exact: true }).click();
    await page.getByRole('table').getByText('confirmed').waitFor();
    // What is sent is swallowed: a page that loads says so, and shows no fault.
    proxy.blackHole();
    proxy.cut();
    await page.getByText('reconnecting…').waitFor();
    await page.getByRole('link', { name: 'Unmatched money' }).click();
    await page.getByText('Loading…').first().waitFor();
    proxy.heal();
    proxy.cut();
    await page.getByText('All that came is explained by a payment.').waitFor();
    await page.getByRole('link', { name: 'Payments', exact: true }).click();
    await page.getByRole('table').getByText('confirmed').waitFor();
    const payment = await create();
    // In a moment: the stream is there again.
    await page.getByRole('button', { name: '1 new payment – show' }).click();
    await page.getByRole('link', { name: payment.payment_number }).waitFor();
    expect(await page.getByText('reconnecting…').count()).toBe(0);
  } finally {
    await proxy.close();
  }
}, 60_000);

test('a shop’s own user sees that shop and nothing of others, and changes what belongs to it', async () => {
  const foreign = await shop.create('bsc', 'usdt');
  const merchants = await shop.admin.get<{ data: { id: string; name: string }[] }>('/merchants/');
  const own = merchants.body.data.find(({ name }) => name === 'Blue Fox Books')?.id ?? '';
  const json = { name: 'kim', role: 'merchant', merchant_id: own };
  const added = await shop.admin.post<{ link: string }>('/users/', json);
  const { page, faults } = await openWindow(browser);
  await page.goto(`${shop.home.current().url}/dashboard/#/password/${added.body.link.split('/').at(-1)}`);
  await page.getByLabel('Password', { exact: true }).fill(goodPassword);
  await page.getByLabel('The same again').fill(goodPassword);
  await page.getByRole('button', { name: 'Set the password' }).click();
  await page.getByRole('heading', { name: 'Home' }).waitFor();
  const links = await page.getByRole('navigation').getByRole('link').allTextContents();
  expect(links).toContain('Branding');
  for (const page of ['Chains', 'Providers', 'Rates', 'Users', 'Audit log', 'Settings'])
    expect(links).not.toContain(page);
  await page.getByRole('link', { name: 'Payments', exact: true }).click();
  await page.getByRole('table').getByText('confirmed').waitFor();
  expect(await page.getByText(foreign.payment_number).count()).toBe(0);
  await page.goto(`${shop.home.current().url}/dashboard/#/payments/${foreign.payment_number}`);
  await page.getByText('Not found').first().waitFor();
  await page.getByRole('link', { name: 'Branding' }).click();
  await page.getByLabel('Name at the checkout').fill('Blue Fox');
  await page.getByLabel('Colour').fill('#ffff00');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.locator('.fault').waitFor();
  await page.getByLabel('Colour').fill('#1f57c3');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').waitFor();
  const brand = await shop.admin.get<{ display_name: string }>(`/merchants/${own}/brand/`);
  expect(brand.body).toMatchObject({ display_name: 'Blue Fox', accent: '#1f57c3' });
  expect(faults).toEqual([]);
}, 60_000);

test('blocks are read again from the page, which shows how far it is, also after a reload, and what came of it', async () => {
  const { page, faults } = await openWindow(browser);
  const url = `${shop.home.current().url}/dashboard/#/chains`;
  await signIn({ url: shop.home.current().url }, page);
  await page.goto(url);
  const bsc = page.getByRole('region', { name: 'BNB Smart Chain' });
  // Its node is measured since the start.
  await bsc.getByText(/^\d+ \/ \d+ ms$/).waitFor();
  await bsc.locator('canvas').first().waitFor();
  await bsc.getByText('Read blocks again').click();
  await bsc.getByLabel('From block').fill('999990');
  await bsc.getByLabel('To block').fill('999999');
  await bsc.getByRole('button', { name: 'Read them again' }).click();
  await bsc.getByText('is not read yet').waitFor();
  const { body } = await shop.admin.get<{ data: { cursor: { height: number } }[] }>('/chains/');
  const to = String(body.data[0]?.cursor.height ?? 0);
  await bsc.getByLabel('From block').fill('1');
  await bsc.getByLabel('To block').fill(to);
  await bsc.getByRole('button', { name: 'Read them again' }).click();
  await page.reload();
  await bsc.getByText('Read blocks again').waitFor();
  const done = bsc.locator('tr').filter({ hasText: `1 to ${to}` });
  await done.waitFor({ state: 'attached' });
  // It is open by itself while one runs.
  if (!(await done.isVisible())) await bsc.getByText('Read blocks again').click();
  await done.getByText('done').waitFor();
  await done.getByText('user ada').waitFor();
  const folder = process.env.SCREENSHOTS;
  if (folder !== undefined) await page.screenshot({ path: `${folder}/dashboard-rescan.png`, fullPage: true });
  expect(faults).toEqual([]);
}, 60_000);
