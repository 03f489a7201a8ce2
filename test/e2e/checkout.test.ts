import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { openPayerPages, type PayerPages } from '../support/payer-page.ts';
import { amountOf, expectedAmount, type Scenario, startScenario } from '../support/scenario.ts';
import { transferToken } from '../support/tokens.ts';

/* What payers see of what happens on real chains: the page's status, which a page is made of. */

let shop: Scenario;
let pages: PayerPages;
beforeAll(async () => {
  shop = await startScenario();
  pages = openPayerPages(shop);
  return shop.stop;
});

test('waiting, then found, then confirming block by block, then paid', async () => {
  const payment = await shop.create('bsc', 'usdt');
  const asked = await pages.statusOf(payment);
  expect(asked).toMatchObject({
    state: 'waiting',
    address: payment.assigned_address,
    amount: '50.000000',
    final: false,
  });
  await shop.payAndMine(payment, 1);
  await pages.untilState(
    payment,
    'seen',
    ({ confirmations, address }) => confirmations === 1 && address === null,
  );
  await shop.bsc.anvil.mine(4);
  await pages.untilState(payment, 'confirming', ({ confirmations }) => confirmations === 5);
  await shop.bsc.anvil.mine(12);
  const paid = await pages.untilState(payment, 'paid');
  expect(paid).toMatchObject({ status: 'confirmed', final: true, received: '50.000000 USDT' });
  expect(paid.tx_hash).toMatch(/^0x[0-9a-f]{64}$/);
});

test('partly paid names the rest, and the rest completes it; more than that is overpaid', async () => {
  const payment = await shop.create('ethereum', 'usdt');
  await shop.payAndMine(payment, 1, amountOf(payment, '20'));
  const part = await pages.untilState(payment, 'partly_paid');
  expect(part).toMatchObject({
    amount: '30.000000',
    received: '20.000000 USDT',
    remaining: '30.000000 USDT',
  });
  await shop.payAndMine(payment, 12, amountOf(payment, '31'));
  await pages.untilState(payment, 'overpaid', ({ received }) => received === '51.000000 USDT');
});

test('another token, and another network, are named to the payer who sent them', async () => {
  const payment = await shop.create('bsc', 'usdt');
  const { anvil, tokens } = shop.ethereum;
  await transferToken(anvil, tokens.usdc, payment.assigned_address, 25_000_000n);
  await anvil.mine(1);
  await pages.untilState(
    payment,
    'wrong_asset',
    ({ instead }) => instead === '25.000000 USDC · Ethereum (ERC20)',
  );
  await transferToken(shop.bsc.anvil, shop.bsc.tokens.usdc, payment.assigned_address, 10n ** 18n);
  await shop.bsc.anvil.mine(1);
  await pages.untilState(payment, 'wrong_asset', ({ instead }) =>
    instead.startsWith('1.000000 USDC · BNB Smart Chain'),
  );
  const page = await (await fetch(`${pages.url(payment)}?lang=tr`)).text();
  expect(page).toContain('25.000000 USDC · Ethereum (ERC20)');
  // Who pays what was asked for after all is done.
  await shop.payAndMine(payment, 17);
  await pages.untilState(payment, 'paid');
});

test('a transfer that the network takes back after it was confirmed is told as that', async () => {
  const payment = await shop.create('ethereum', 'usdc');
  await shop.payAndMine(payment, 12);
  await pages.untilState(payment, 'paid');
  await shop.ethereum.anvil.reorg(13);
  await shop.ethereum.anvil.mine(2);
  const reverted = await pages.untilState(payment, 'reverted');
  expect(reverted).toMatchObject({ status: 'failed', final: false, address: null });
});

test('a stream goes on over a restart of the daemon, as a page takes it up again', async () => {
  const payment = await shop.create('bsc', 'usdc');
  const stream = await fetch(`${pages.url(payment)}/events`);
  const ended = stream.text();
  await shop.home.current().stop();
  expect(await ended).toContain('"state":"waiting"');
  await shop.home.start();
  const again = await fetch(`${pages.url(payment)}/events`);
  await shop.payAndMine(payment, 1);
  let text = '';
  let mined = false;
  for await (const part of again.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part;
    // A state that lasts no longer than a stream takes to look is in none.
    if (!mined && /"state":"(seen|confirming)"/.test(text)) {
      mined = true;
      await shop.bsc.anvil.mine(16);
    }
  }
  expect(text).toMatch(/"state":"waiting"[\s\S]*"state":"(seen|confirming)"[\s\S]*"state":"paid"/);
});

test('while another process holds the write lock a page is shown, a stream told, and a choice waits; while its chain is not read a page goes on', async () => {
  const payment = await shop.create('bsc', 'usdt');
  const order = { amount_usd_cents: 5000 };
  const session = await shop.api.post<{ checkout_url: string }>('/api/v1/checkout-sessions/', order);
  const holder = fork(join(import.meta.dirname, '../support/write-lock-holder.ts'), [
    join(shop.home.folder, 'depositd.db'),
  ]);
  onTestFinished(() => void holder.kill('SIGKILL'));
  await once(holder, 'message');
  const page = await fetch(pages.url(payment));
  expect([page.status, await page.text()]).toEqual([
    200,
    expect.stringContaining(payment.assigned_address.slice(-6)),
  ]);
  const stream = await fetch(`${pages.url(payment)}/events`);
  const chosen = fetch(`${shop.home.current().url}${new URL(session.body.checkout_url).pathname}`, {
    method: 'POST',
    body: new URLSearchParams({ method: 'bsc/usdt' }),
    redirect: 'manual',
  });
  const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
  let told = '';
  while (!told.includes('"state":"waiting"')) told += (await reader?.read())?.value ?? '';
  await reader?.cancel();
  holder.send('release');
  await once(holder, 'exit');
  expect([(await chosen).status, (await chosen).headers.get('location')]).toEqual([
    303,
    expect.stringMatching(/^\/pay\//),
  ]);

  shop.bsc.node.setReachable(false);
  await shop.passTime(150);
  await pages.untilState(payment, 'waiting', ({ chain_available: isRead }) => !isRead);
  expect(await (await fetch(pages.url(payment))).text()).toContain(
    'The network answers slowly at the moment.',
  );
  shop.bsc.node.setReachable(true);
  await pages.untilState(payment, 'waiting', ({ chain_available: isRead }) => isRead);
});

test('cancelled, over, expired, late and too little are told apart, and none asks for money any more', async () => {
  const [cancelled, unpaid, late, part] = [
    await shop.create('bsc', 'usdt'),
    await shop.create('bsc', 'usdt'),
    await shop.create('bsc', 'busd'),
    await shop.create('bsc', 'usdc'),
  ];
  await shop.api.cancel(cancelled.payment_number);
  expect(await pages.statusOf(cancelled)).toMatchObject({ state: 'cancelled', final: true });
  await shop.payAndMine(part, 1, expectedAmount(part) - 1n);
  await pages.untilState(part, 'partly_paid');

  // Blocks that were mined all at once are dated ahead of the clock, and those that come now need not be.
  await shop.passTime(1900);
  expect(await pages.statusOf(unpaid)).toMatchObject({ state: 'closing', final: false, address: null });
  await shop.bsc.anvil.mine(17);
  await pages.untilState(unpaid, 'expired');
  await pages.untilState(late, 'expired');
  expect(await pages.untilState(part, 'underpaid', ({ final }) => final)).toMatchObject({
    received: '49.999999999999999999 USDC',
  });
  await shop.payAndMine(late, 1);
  expect(await pages.untilState(late, 'late')).toMatchObject({ received: '50.000000 BUSD', amount: null });
});
