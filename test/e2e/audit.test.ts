import { expect, test } from 'vitest';
import type { PaymentBody } from '../support/api.ts';
import { type LoneChain, leaveOut, openLoneChain } from '../support/lone-chain.ts';
import { waitFor } from '../support/wait.ts';

/*
 * The real daemon against a node that proves itself and still leaves out one log in the middle of a list (L2).
 */

const paid = (body: PaymentBody) => body.status === 'confirmed';

/** Three payments, each paid in a block of its own; the first node shows all but the middle one. */
async function payThree(shop: LoneChain) {
  const payments = [await shop.create(), await shop.create(), await shop.create()] as const;
  const hashes: string[] = [];
  for (const payment of payments) {
    const txHash = await shop.pay(payment);
    if (payment === payments[1]) leaveOut(shop.proxy, txHash);
    hashes.push(txHash);
    await shop.anvil.mine();
  }
  await shop.anvil.mine(20);
  return { payments, hashes };
}

const missed = (shop: LoneChain) => shop.home.logs.filter(({ msg }) => msg === 'missed transfer found');

/** Where nothing waits for it, the nodes are asked once a minute what is final; the second reading goes that far. */
async function untilFinal(shop: LoneChain): Promise<void> {
  const height = await shop.anvil.height();
  await shop.home.advanceClock(61);
  await waitFor('the last blocks to be called final', async () => {
    type Chains = { data: { finalized: number | null }[] };
    const { body } = await shop.admin.get<Chains>('/chains/');
    return (body.data[0]?.finalized ?? 0) > height - 15;
  });
}

test('a second node’s second reading finds what the first leaves out, within a window, and it is paid', async () => {
  const shop = await openLoneChain({ others: 1 });
  const { payments, hashes } = await payThree(shop);
  for (const payment of payments) await shop.until(payment, 'confirmed', paid);
  const accused = () =>
    shop.home.logs.find(({ reason }) => String(reason).includes('it left out a transfer'));
  // The line may come a moment after what it tells of.
  expect(await waitFor('the accusation', accused)).toMatchObject({
    msg: 'rpc endpoint failed',
    host: new URL(shop.proxy.url).host,
  });
  expect(missed(shop)).toMatchObject([
    {
      level: 'warn',
      network: 'bsc',
      tx_hash: hashes[1],
      payment_number: payments[1].payment_number,
      agreed: true,
    },
  ]);
  for (const payment of payments) {
    expect(await shop.eventsOf(payment)).toEqual(['payment.detected', 'payment.confirmed']);
  }
  const { rechecked_to } = (await shop.coverage()) ?? {};
  expect(rechecked_to).toBeGreaterThan(20);
}, 60_000);

test('a single node that lied once is asked again later', async () => {
  // The second reading begins when the lie is over.
  const shop = await openLoneChain({ chain: { recheckSeconds: 3600 } });
  const { payments } = await payThree(shop);
  await shop.until(payments[0], 'confirmed', paid);
  await shop.until(payments[2], 'confirmed', paid);
  await shop.untilRead();
  expect((await shop.api.retrieve(payments[1].payment_number)).body).toMatchObject({
    status: 'pending',
    tx_hash: '',
  });
  shop.proxy.clear();
  await shop.home.current().stop();
  await shop.home.start();
  await shop.until(payments[1], 'confirmed', paid);
  expect(await shop.eventsOf(payments[1])).toEqual(['payment.detected', 'payment.confirmed']);
  await waitFor('the alarm', () => missed(shop).length > 0);
  expect(missed(shop)).toHaveLength(1);
}, 60_000);

test('a payment that expired because its transfer was left out is confirmed after all', async () => {
  const shop = await openLoneChain({
    chain: { recheckSeconds: 3600 },
    payments: { lifetimeSeconds: 60 },
    others: 1,
  });
  const payment = await shop.create();
  leaveOut(shop.proxy, await shop.pay(payment));
  await shop.anvil.mine(1);
  // The chain before the clock: a node that is asked a moment later must not show a minute more.
  await shop.anvil.increaseTime(61);
  await shop.anvil.mine(20);
  await shop.home.advanceClock(61);
  await shop.until(payment, 'expired', ({ status }) => status === 'expired');
  await untilFinal(shop);
  await shop.home.current().stop();
  await shop.home.start();
  await shop.until(payment, 'confirmed', paid);
  expect(await shop.eventsOf(payment)).toEqual(['payment.expired', 'payment.detected', 'payment.confirmed']);
}, 60_000);

test('killed between what it read and what it writes, an audit finds it again', async () => {
  const shop = await openLoneChain({ chain: { recheckSeconds: 3600 }, others: 1 });
  const payment = await shop.create();
  leaveOut(shop.proxy, await shop.pay(payment));
  await shop.anvil.mine();
  const height = await shop.anvil.height();
  await shop.anvil.mine(20);
  await shop.untilRead();
  await untilFinal(shop);
  await shop.home.current().stop();
  for (const side of ['before', 'after'] as const) {
    const { daemon } = shop.home.launch({ commit: 1, side });
    // Nothing else happens on this chain: the first commit that tells is the audit's.
    expect(await daemon.ended).toBeNull();
    if (side === 'before') expect(missed(shop)).toEqual([]);
  }
  await shop.home.start();
  await shop.until(payment, 'confirmed', paid);
  expect(await shop.eventsOf(payment)).toEqual(['payment.detected', 'payment.confirmed']);
  expect((await shop.coverage())?.rechecked_to).toBeGreaterThanOrEqual(height);
}, 60_000);
