import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLogger } from '../../src/log.ts';
import { createNotifier } from '../../src/notify/deliver.ts';
import { createEndpoint } from '../../src/notify/endpoints.ts';
import { createSecrets } from '../../src/notify/secrets.ts';
import { createOutbound } from '../../src/outbound.ts';
import { inTransaction, openDatabase } from '../../src/storage/database.ts';
import type { Db } from '../../src/storage/schema.ts';
import { listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import { appendEvent } from '../../src/storage/webhooks/events.ts';
import { openWorld, type WorldOptions } from '../../test/support/chain-world.ts';
import { liveIn } from '../../test/support/living-chain.ts';
import { addTestMerchant } from '../../test/support/payments.ts';
import { percentiles } from './load.ts';

/*
 * Where other gateways did better once: what becomes of it here. Time is passed in, as much as it takes.
 */

const times = 20;

/** A table: what happens, what follows, and what should. */
export async function showPromises(): Promise<string[]> {
  const rows: (readonly [what: string, follows: string, target: string])[] = [
    ['a receiver answers 500 ten times, then 200', await withDb(answerTenTimes), 'delivered'],
    ['the payer pays again after `payment.reverted`', await withDb(payAgain), 'counts'],
    ['something less than the amount has come', await withDb(payPart), 'an event of its own'],
  ];
  for (const confirmations of [1, 2, null]) {
    const tier = confirmations === null ? 'no tier' : `a tier of ${confirmations}`;
    const target = confirmations === null ? '' : `≤ ${confirmations} s`;
    rows.push([
      `a coffee is paid, blocks and poll of 1 s, ${tier}`,
      await withDb((db) => payCoffees(db, confirmations)),
      target,
    ]);
  }
  return [
    '| what happens | what follows | target |',
    '|---|---|---|',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
  ];
}

async function withDb(work: (db: Db) => Promise<string>): Promise<string> {
  const db = await openDatabase('sqlite::memory:');
  return work(db).finally(() => db.destroy());
}

const quiet = createLogger({ level: 'fatal', write: () => {} });

async function answerTenTimes(db: Db): Promise<string> {
  let [now, asked] = [Date.now(), 0];
  const clock = () => now;
  const begun = now;
  const server = createServer((request, response) => {
    request.resume();
    asked += 1;
    response.writeHead(asked <= 10 ? 500 : 200).end();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const merchantId = await addTestMerchant(db);
  const secrets = createSecrets(randomBytes(32), 'the key of the benchmark');
  const rules = { allowHosts: ['127.0.0.1'], headerPrefix: 'X-PayHook' };
  const input = { merchantId, url, headers: {}, at: now };
  await inTransaction(db, (trx) => createEndpoint(trx, { secrets, ...rules }, input));
  const event = { merchantId, type: 'payment.confirmed', paymentId: null, body: '{}', at: now } as const;
  await inTransaction(db, (trx) => appendEvent(trx, event));
  const outbound = createOutbound({ allowHosts: rules.allowHosts, userAgent: 'depositd/bench' });
  const { headerPrefix } = rules;
  const notifier = createNotifier({
    db,
    outbound,
    secrets,
    headerPrefix,
    clock,
    log: quiet,
    exclusive: true,
  });
  const isDelivered = async () =>
    (await listDeliveries(db, { limit: 9 })).some(({ state }) => state === 'delivered');
  while (!(await isDelivered()) && now - begun < 24 * 3_600_000) {
    await notifier.drain();
    now += 1_000;
  }
  await notifier.stop(0);
  await outbound.close();
  server.close();
  const minutes = Math.round((now - begun) / 60_000);
  return (await isDelivered())
    ? `delivered at try ${asked}, after ${minutes} minutes`
    : `lost after ${asked} tries`;
}

/** A living chain with blocks of a second, read every second. */
async function openLife(db: Db, options: WorldOptions = {}) {
  const world = await openWorld(db, {
    addresses: 2 * times,
    policy: { lifetimeSeconds: 1_800 },
    chain: { requiredConfirmations: 15, finality: 'depth', ...options.chain },
    scripted: { height: 12, finalityLag: 2 },
  });
  await world.read();
  return world;
}

async function payAgain(db: Db): Promise<string> {
  const world = await openLife(db, { chain: { requiredConfirmations: 3 } });
  const { live, wake } = liveIn(world, { blockMs: 1_000 });
  let counted = 0;
  for (let n = 0; n < times; n++) {
    const payment = await world.create();
    wake();
    await live(1);
    world.pay(payment);
    await live(5);
    world.chain.reorg({ depth: 6, blocks: 7, place: () => null });
    // Nobody else pays: the chain is read at its idle pace.
    await live(20);
    const { status } = await world.status(payment);
    if (status !== 'failed') return `not reverted: ${status}`;
    world.pay(payment);
    await live(6);
    if ((await world.status(payment)).status === 'confirmed') counted += 1;
  }
  return `${counted} of ${times} confirmed`;
}

async function payPart(db: Db): Promise<string> {
  const world = await openLife(db);
  const { live } = liveIn(world, { blockMs: 1_000 });
  const payment = await world.create();
  await live(1);
  world.pay(payment, 6);
  await live(3);
  return (await world.events(payment)).map((event) => `\`${event}\``).join(', ');
}

async function payCoffees(db: Db, confirmations: number | null): Promise<string> {
  const confirmationTiers = confirmations === null ? [] : [{ upToUsdCents: 2_000, confirmations }];
  const world = await openLife(db, { chain: { confirmationTiers } });
  let waiting: Awaited<ReturnType<typeof world.create>> | null = null;
  let paidAt = 0;
  const seconds: number[] = [];
  const { live, wake } = liveIn(world, {
    blockMs: 1_000,
    read: async () => {
      if (waiting === null || (await world.status(waiting)).status !== 'confirmed') return;
      seconds.push((world.clock() - paidAt) / 1_000);
      waiting = null;
    },
  });
  for (let coffee = 0; coffee < times; coffee++) {
    // The step keeps its pace, and where it lies between two blocks moves on from one coffee to the next.
    waiting = await world.create('usdt', 450);
    wake();
    await live(1 + (coffee % 3));
    world.pay(waiting);
    await live(1);
    paidAt = world.clock();
    await live(20);
  }
  const { p50, max } = percentiles(seconds);
  return `paid after ${p50.toFixed(1)} s, at most ${max.toFixed(1)} s, of its block (${seconds.length} of ${times})`;
}
