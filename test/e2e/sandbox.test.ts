import { beforeAll, expect, test } from 'vitest';
import type { SandboxAct } from '../../src/checkout/sandbox.ts';
import type { PaymentBody } from '../support/api.ts';
import { openPayerPages, type PayerPages } from '../support/payer-page.ts';
import { type Scenario, startScenario } from '../support/scenario.ts';

/* The wallet of a sandbox, on real chains: what each of its buttons makes of a payment. */

let shop: Scenario;
let pages: PayerPages;
beforeAll(async () => {
  shop = await startScenario({ config: { sandbox: true } });
  pages = openPayerPages(shop);
  return shop.stop;
});

/** Presses a button below the page, and makes a block of what was sent. */
async function press(payment: PaymentBody, act: SandboxAct): Promise<Response> {
  const body = new URLSearchParams({ act });
  const answer = await fetch(`${pages.url(payment)}/sandbox`, { method: 'POST', body, redirect: 'manual' });
  if (act !== 'reorg') await Promise.all([shop.bsc.anvil.mine(1), shop.ethereum.anvil.mine(1)]);
  return answer;
}

test('pays exactly what is missing, and the payment is confirmed as one without value', async () => {
  const payment = await shop.create('bsc', 'usdt');
  const answer = await press(payment, 'exact');
  expect([answer.status, answer.headers.get('location')]).toEqual([303, `/pay/${payment.payment_token}`]);
  await pages.untilState(payment, 'seen');
  await shop.bsc.anvil.mine(16);
  await pages.untilState(payment, 'paid', ({ received }) => received === '50.000000 USDT');
  const [webhook] = await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number);
  expect(String(webhook?.body)).toContain('"livemode":false');
  // The daemon would stop at a chain that takes back what it called final.
  const final = await press(payment, 'reorg');
  expect([final.status, await final.text()]).toEqual([409, expect.stringContaining('The transfer is final')]);
});

test('pays too little, then the rest', async () => {
  const payment = await shop.create('ethereum', 'usdt');
  await press(payment, 'less');
  await pages.untilState(payment, 'partly_paid', ({ amount }) => amount === '25.000000');
  await press(payment, 'exact');
  await shop.ethereum.anvil.mine(12);
  await pages.untilState(payment, 'paid', ({ received }) => received === '50.000000 USDT');
});

test('pays too much, in the chain’s own coin too', async () => {
  const [token, coin] = [await shop.create('bsc', 'usdc'), await shop.create('bsc', 'native')];
  await press(token, 'more');
  await press(coin, 'more');
  await shop.bsc.anvil.mine(16);
  await pages.untilState(token, 'overpaid', ({ received }) => received === '55.000000 USDC');
  await pages.untilState(coin, 'overpaid');
});

test('pays twice', async () => {
  const payment = await shop.create('bsc', 'busd');
  await press(payment, 'twice');
  await shop.bsc.anvil.mine(16);
  await pages.untilState(payment, 'overpaid', ({ received }) => received === '100.000000 BUSD');
});

test('pays in another token, and on another network', async () => {
  const [token, network] = [await shop.create('bsc', 'usdt'), await shop.create('bsc', 'usdt')];
  await press(token, 'wrong_token');
  await press(network, 'wrong_network');
  await pages.untilState(token, 'wrong_asset', ({ instead }) => /USD Coin|USDC|BUSD|BNB/.test(instead));
  await pages.untilState(
    network,
    'wrong_asset',
    ({ instead }) => instead === '10.000000 USDT · Ethereum (ERC20)',
  );
});

test('pays late', async () => {
  const payment = await shop.create('bsc', 'usdt');
  await shop.passTime(1801);
  await shop.bsc.anvil.mine(17);
  await pages.untilState(payment, 'expired');
  expect(await (await fetch(pages.url(payment))).text()).toContain('Pay late');
  await press(payment, 'exact');
  await pages.untilState(payment, 'late', ({ received }) => received === '50.000000 USDT');
});

test('takes the last transfer off its chain again: before it is confirmed, after it, and where it was of another kind', async () => {
  const [early, done, other] = [
    await shop.create('bsc', 'usdt'),
    await shop.create('ethereum', 'usdc'),
    await shop.create('bsc', 'usdc'),
  ];
  const empty = await press(early, 'reorg');
  expect([empty.status, await empty.text()]).toEqual([
    409,
    expect.stringContaining('Nothing was received yet'),
  ]);

  await press(early, 'exact');
  await pages.untilState(early, 'seen');
  await press(early, 'reorg');
  await pages.untilState(early, 'waiting', ({ received }) => received === '0.000000 USDT');

  await press(other, 'wrong_network');
  await pages.untilState(other, 'wrong_asset');
  await press(other, 'reorg');
  await pages.untilState(other, 'waiting');

  await press(done, 'exact');
  await shop.ethereum.anvil.mine(12);
  await pages.untilState(done, 'paid');
  await press(done, 'reorg');
  await shop.ethereum.anvil.mine(2);
  await pages.untilState(done, 'reverted');
});

test('is pressed by its own page alone, and does what it names and nothing else', async () => {
  const payment = await shop.create('bsc', 'usdt');
  const post = async (body: string, headers: Record<string, string> = {}, token = payment.payment_token) => {
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    const url = `${shop.home.current().url}/pay/${token}/sandbox`;
    const answer = await fetch(url, { method: 'POST', body, headers: { ...type, ...headers } });
    return answer.status;
  };
  expect(await post('')).toBe(404);
  expect(await post('act=everything')).toBe(404);
  expect(await post('act=exact&act=less')).toBe(400);
  expect(await post(`act=${'x'.repeat(1024 * 1024)}`)).toBe(413);
  expect(await post('act=exact', { 'content-type': 'application/json' })).toBe(415);
  expect(await post('act=exact', { 'sec-fetch-site': 'cross-site' })).toBe(403);
  expect(await post('act=exact', { origin: 'https://evil.example' })).toBe(403);
  expect(await post('act=exact', {}, 'A'.repeat(43))).toBe(404);
  await shop.bsc.anvil.mine(1);
  await shop.untilRead('bsc');
  expect(await pages.statusOf(payment)).toMatchObject({ state: 'waiting', received: '0.000000 USDT' });
});
