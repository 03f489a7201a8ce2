import { beforeAll, expect, test } from 'vitest';
import { expectedAmount, type Scenario, startScenario } from '../support/scenario.ts';
import { batchTokens } from '../support/tokens.ts';
import { waitFor } from '../support/wait.ts';

let shop: Scenario;
beforeAll(async () => {
  shop = await startScenario();
  return shop.stop;
});

/** More rows than the pages of a small database have room for. */
const pieces = 100n;

test('a full disk stops what has to be written, says so, and loses nothing', async () => {
  const payment = await shop.create('bsc', 'usdt');
  await shop.home.setDiskFull(true);
  const { anvil, tokens } = shop.bsc;
  const piece = { to: payment.assigned_address, amount: expectedAmount(payment) / pieces };
  const txHash = await batchTokens(anvil, tokens.usdt, Array(Number(pieces)).fill(piece));
  await anvil.mine(15);
  await shop.untilPolled('bsc');

  expect(await shop.retrieve(payment)).toMatchObject({ status: 'pending', tx_hash: '', deposits: [] });
  const order = { amount_usd_cents: 5000, network: 'ethereum', currency: 'usdt' };
  const refused = await shop.api.create({ ...order, metadata: { text: 'x'.repeat(15_000) } });
  expect([refused.status, refused.body]).toMatchObject([503, { code: 'storage_unavailable' }]);
  const said = shop.home.logs.filter((line) => JSON.stringify(line).includes('disk is full'));
  expect(said.length).toBeGreaterThan(0);

  const readiness = async () => (await fetch(`${shop.home.current().url}/readyz`)).json();
  expect(await readiness()).toMatchObject({
    ready: false,
    reasons: [{ part: 'database', reason: 'its disk is full' }],
  });

  await shop.home.setDiskFull(false);
  const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
  expect(confirmed).toMatchObject({ tx_hash: txHash, actual_crypto_amount: '50.000000', reason: null });
  expect(confirmed).toMatchObject({ deposits_total: Number(pieces) });
  expect(confirmed.deposits).toHaveLength(50);
  await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number);
  expect(await shop.eventsOf(payment)).toEqual(['payment.detected', 'payment.confirmed']);
  await waitFor(
    'the daemon to be ready again',
    async () => {
      await anvil.mine(1);
      return ((await readiness()) as { ready: boolean }).ready;
    },
    { timeoutMs: 40_000 },
  );
}, 90_000);
