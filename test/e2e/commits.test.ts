import { randomUUID } from 'node:crypto';
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

/**
 * A payment by itself, for the commits up to its own; then one that is chosen in a session, which has all the others too:
 * made in a session, chosen, seen, confirmed, and twice an attempt claimed and recorded.
 */
const ways = [
  { name: 'made', commits: 2 },
  { name: 'chosen', commits: 8 },
] as const;
const unharmed = { commit: 0, side: 'before' } as const;

function toldOfSession(id: string) {
  const { requests } = shop.receiver;
  return waitFor(`the webhook of ${id}`, () =>
    requests.some(({ body }) => body.includes('"checkout_session.completed"') && body.includes(id)),
  );
}

/** Everything that was told is recorded: its last commit comes after what a receiver can see. */
function untilRecorded() {
  return waitFor('the deliveries to be recorded', async () => {
    const answer = await shop.admin
      .get<{ data: unknown[] }>('/deliveries/?status=pending&limit=1')
      .catch(() => null);
    return answer?.status === 200 && answer.body.data.length === 0;
  });
}

test('a kill before or after any commit of a payment, or of a session that it is chosen in, loses nothing and doubles nothing', async () => {
  const payments: PaymentBody[] = [];
  const sessions: string[] = [];
  let [kills, over] = [0, false];
  // It is started again whenever it dies, and dies of nothing but what is asked of it.
  const run = async (): Promise<void> => {
    const { daemon, ready } = shop.home.launch(unharmed);
    await ready;
    void daemon.ended.then(async () => {
      if (over) return;
      kills += 1;
      // Past the wait before another attempt at what it may have been sending.
      again = shop.home.advanceClock(10).then(run);
    });
  };
  await shop.home.current().kill();
  let again = run();
  const attempt = randomUUID();
  for (const { name, commits } of ways) {
    // To the first run that died of nothing, for there may be more commits than we know; fewer where two go together.
    for (let [commit, last] = [1, -1]; commit <= commits || (name === 'chosen' && kills > last); commit++) {
      last = kills;
      for (const side of sidesOf(commit)) {
        await again;
        await shop.home.killAt({ commit, side });
        const key = `${attempt} ${name} ${commit} ${side}`;
        const { payment, session } =
          name === 'made'
            ? { payment: await createStubbornly(shop, 'bsc', 'usdt', key), session: null }
            : await chooseStubbornly(shop, 'bsc', 'usdt', key);
        await shop.payAndMine(payment, 15);
        await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
        await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number);
        if (session !== null) await toldOfSession(session);
        await untilRecorded();
        payments.push(payment);
        if (session !== null) sessions.push(session);
        // One that is dying just now is waited for at the top.
        await shop.home.killAt(unharmed).catch(() => {});
        await shop.untilPolled('bsc');
      }
    }
  }
  // Each commit that the two ways surely have; where payments are seen and confirmed at once, or told together, it is one.
  expect(kills).toBeGreaterThanOrEqual(sidesOf(1).length * (1 + 5));
  await again;
  over = true;
  await expectNothingLostOrDoubled(shop, payments);
  const ended = await Promise.all(sessions.map((id) => sessionOf(shop, id)));
  expect(ended.map(({ status, payments: own }) => [status, own.length])).toEqual(
    sessions.map(() => ['completed', 1]),
  );
}, 240_000);
