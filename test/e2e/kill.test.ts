import { setTimeout } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import type { List, PaymentBody } from '../support/api.ts';
import { createRandom } from '../support/random.ts';
import { type Scenario, startScenario } from '../support/scenario.ts';
import { createStubbornly, expectNothingLostOrDoubled } from '../support/stubborn.ts';

let shop: Scenario;
beforeAll(async () => {
  shop = await startScenario();
  return shop.stop;
});

/** `KILL_RUNS=300` looks for rarer moments. */
const runs = Number(process.env.KILL_RUNS ?? 8);
const seed = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000);

async function countPayments(): Promise<number> {
  let count = 0;
  for (let cursor = ''; ; ) {
    const page = await shop.api.get<List<PaymentBody>>(`/api/v1/payments/?limit=100${cursor}`);
    count += page.body.data.length;
    if (page.body.next_cursor === null) return count;
    cursor = `&cursor=${encodeURIComponent(page.body.next_cursor)}`;
  }
}

test(
  `${runs} kills at random moments lose no payment and no webhook (KILL_SEED=${seed})`,
  async () => {
    const random = createRandom(seed);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    const payments: PaymentBody[] = [];

    for (let run = 0; run < runs; run++) {
      const killAfterMs = random() * 500;
      const pauseMs = random() * 100;
      const orders = (['bsc', 'ethereum'] as const).map((network) => ({
        network,
        currency: pick(['usdt', 'usdc', 'busd', 'native'] as const),
      }));

      const disturb = async () => {
        await setTimeout(killAfterMs);
        await shop.home.current().kill();
        await shop.home.start();
      };
      const buy = async () => {
        const created = await Promise.all(
          orders.map(({ network, currency }) =>
            createStubbornly(shop, network, currency, `${run} ${network}`),
          ),
        );
        for (const payment of created) await shop.payAndMine(payment, 1);
        await setTimeout(pauseMs);
        for (const { network } of created) await shop.chain(network).anvil.mine(14);
        return created;
      };
      const [created] = await Promise.all([buy(), disturb()]);
      for (const payment of created) {
        await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
      }
      payments.push(...created);
    }

    await expectNothingLostOrDoubled(shop, payments);
    expect(await countPayments()).toBe(payments.length);
  },
  runs * 30_000,
);
