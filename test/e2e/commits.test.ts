import { beforeAll, expect, test } from 'vitest';
import type { PaymentBody } from '../support/api.ts';
import { type Scenario, startScenario } from '../support/scenario.ts';
import {
  chooseStubbornly,
  createStubbornly,
  expectNothingLostOrDoubled,
  sessionOf,
  sidesOf,
} from '../support/stubborn.ts';
import { waitFor } from '../support/wait.ts';

let shop: Scenario;
beforeAll(async () => {
  shop = await startScenario();
  return shop.stop;
});

/** A payment by itself, for the commits up to its own; then one that is chosen in a session, which has all the others too. */
const ways = [
  { name: 'made', commits: 2 },
  { name: 'chosen', commits: Number.POSITIVE_INFINITY },
] as const;

function toldOfSession(id: string) {
  const { requests } = shop.receiver;
  return waitFor(`the webhook of ${id}`, () =>
    requests.some(({ body }) => body.includes('"checkout_session.completed"') && body.includes(id)),
  );
}

test('a kill before or after any commit of a payment, or of a session that it is chosen in, loses nothing and doubles nothing', async () => {
  const payments: PaymentBody[] = [];
  const sessions: string[] = [];
  const unharmed = { commit: 0, side: 'before' } as const;
  await shop.home.current().kill();
  let running = shop.home.launch(unharmed);
  await running.ready;
  for (const { name, commits } of ways) {
    let died = true;
    for (let commit = 1; died && commit <= commits; commit++) {
      for (const side of sidesOf(commit)) {
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
        const key = `${name} ${commit} ${side}`;
        let payment: PaymentBody;
        if (name === 'made') payment = await createStubbornly(shop, 'bsc', 'usdt', key);
        else {
          const chosen = await chooseStubbornly(shop, 'bsc', 'usdt', key);
          payment = chosen.payment;
          sessions.push(chosen.session);
        }
        const [session] = name === 'made' ? [] : sessions.slice(-1);
        await shop.payAndMine(payment, 15);
        await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
        await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number);
        if (session !== undefined) await toldOfSession(session);
        payments.push(payment);
        // Its last commit comes after what a receiver can see.
        await shop.untilPolled('bsc');
        over = true;
        if (died) await startedAgain;
      }
    }
  }
  // Made in a session, chosen, seen, confirmed, and twice an attempt claimed and recorded; the last run died of nothing.
  expect(sessions.length).toBeGreaterThanOrEqual(sidesOf(1).length * (8 + 1));
  await shop.home.killAt(unharmed);
  await expectNothingLostOrDoubled(shop, payments);
  const ended = await Promise.all(sessions.map((id) => sessionOf(shop, id)));
  expect(ended.map(({ status, payments: own }) => [status, own.length])).toEqual(
    sessions.map(() => ['completed', 1]),
  );
}, 240_000);
