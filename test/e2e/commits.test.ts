import { beforeAll, expect, test } from 'vitest';
import type { PaymentBody } from '../support/api.ts';
import { type Scenario, startScenario } from '../support/scenario.ts';
import { createStubbornly, expectNothingLostOrDoubled } from '../support/stubborn.ts';

let shop: Scenario;
beforeAll(async () => {
  shop = await startScenario();
  return shop.stop;
});

test('a kill before or after any commit of a payment loses nothing and doubles nothing', async () => {
  const payments: PaymentBody[] = [];
  const unharmed = { commit: 0, side: 'before' } as const;
  await shop.home.current().kill();
  let running = shop.home.launch(unharmed);
  await running.ready;
  let died = true;
  for (let commit = 1; died; commit++) {
    for (const side of ['before', 'after'] as const) {
      died = false;
      let over = false;
      await shop.home.killAt({ commit, side });
      const startedAgain = running.daemon.ended.then(async () => {
        if (over) return;
        died = true;
        // Past the wait before another attempt at what it may have been sending.
        await shop.home.advanceClock(10);
        running = shop.home.launch(unharmed);
        await running.ready;
      });
      const payment = await createStubbornly(shop, 'bsc', 'usdt', `commit ${commit} ${side}`);
      await shop.payAndMine(payment, 15);
      await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
      await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number);
      payments.push(payment);
      // Its last commit comes after what a receiver can see.
      await shop.untilPolled('bsc');
      over = true;
      if (died) await startedAgain;
    }
  }
  // Created, seen, confirmed, and twice an attempt claimed and recorded; the last run died of nothing.
  expect(payments.length).toBeGreaterThanOrEqual(2 * (7 + 1));
  await expectNothingLostOrDoubled(shop, payments);
}, 240_000);
