import { createHmac } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { type Shop, startShop } from '../../src/demo/shop.ts';

const secret = 'whsec_of-the-demo';

async function openShop(): Promise<Shop> {
  const shop = await startShop(async () => '0x1');
  onTestFinished(shop.stop);
  shop.trust(secret);
  return shop;
}

async function send(shop: Shop, body: object | string, signedWith = secret): Promise<number> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const time = Math.floor(Date.now() / 1000);
  const mac = createHmac('sha256', signedWith).update(`${time}.${text}`).digest('hex');
  const headers = { 'x-payhook-signature': `t=${time},v1=${mac}` };
  return (await fetch(`${shop.url}/webhooks`, { method: 'POST', body: text, headers })).status;
}

const confirmed = {
  event: 'payment.confirmed',
  payment_id: 'PAY-2026-7K2M9QXW4T',
  external_order_id: 'a-scarf',
  amount: '25.000000',
  currency: 'USDT',
  chain: 'TRON',
};

test('the page of the shop lists the webhooks that were verified, newest first, and believes no other', async () => {
  const shop = await openShop();
  const page = async () => (await fetch(`${shop.url}/`)).text();
  expect(await page()).toContain('Nothing has come yet.');
  expect(await send(shop, confirmed)).toBe(200);
  expect(await send(shop, { event: 'deposit.unmatched', payment_id: null })).toBe(200);
  expect(await send(shop, { ...confirmed, payment_id: 'PAY-FORGED' }, 'another secret')).toBe(401);
  const html = await page();
  const rows = [...html.matchAll(/<tr.*?<\/tr>/gs)].slice(1).map(([row]) => row.replace(/<[^>]+>/g, ' '));
  expect(rows).toEqual([
    expect.stringMatching(/wrong: refused/),
    expect.stringMatching(/deposit\.unmatched .*verified/),
    expect.stringMatching(
      /payment\.confirmed .*verified .*PAY-2026-7K2M9QXW4T .*a-scarf .*25\.000000 USDT on TRON/,
    ),
  ]);
  expect(html).not.toContain('PAY-FORGED');
});

test('what a webhook says is text on the page of the shop, and no more than 200 are kept', async () => {
  const shop = await openShop();
  await send(shop, { ...confirmed, external_order_id: '<script>alert(1)</script>' });
  const answer = await fetch(`${shop.url}/`);
  expect(await answer.text()).not.toContain('<script');
  expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(await send(shop, 'no JSON')).toBe(400);
  for (let n = 0; n < 201; n++) await send(shop, { ...confirmed, external_order_id: `order-${n}.` });
  const rows = (await (await fetch(`${shop.url}/`)).text()).match(/order-\d+\./g) ?? [];
  expect([rows.length, rows[0], rows.at(-1)]).toEqual([200, 'order-200.', 'order-1.']);
});
