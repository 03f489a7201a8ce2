import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import { beforeAll, expect, test } from 'vitest';
import { openPostgres, runningLimits } from '../../src/storage/postgres.ts';
import type { Db } from '../../src/storage/schema.ts';
import type { PaymentBody } from '../support/api.ts';
import { createPostgresDatabase } from '../support/databases.ts';
import { expectPaidOnce, untilConfirmed } from '../support/paid-once.ts';
import { type Disturbance, disturbances, type Member, startProcessGroup } from '../support/process-group.ts';
import { createRandom } from '../support/random.ts';
import { type EvmNetwork, type Scenario, startScenario } from '../support/scenario.ts';
import { createStubbornly } from '../support/stubborn.ts';
import { startTransactionPooler } from '../support/transaction-pooler.ts';
import { waitFor } from '../support/wait.ts';

/*
 * Three processes for the API, two that read the chains and two that deliver, on one PostgreSQL, every other one behind a pooler
 * in transaction mode. `DEPOSITD_CLUSTER_MINUTES=10` disturbs them for so long.
 */

const minutes = Number(process.env.DEPOSITD_CLUSTER_MINUTES ?? 0);
const seed = Number(process.env.DEPOSITD_CLUSTER_SEED ?? Date.now() % 1_000_000);
const random = createRandom(seed);
const networks = ['bsc', 'ethereum'] as const;

/** No chain is left unread for longer, ms. */
const takeoverMs = 15_000;
const patience = { timeoutMs: 60_000 };

let shop: Scenario;
let db: Db;
let members: readonly Member[] = [];
let configPath: string;
const payments: PaymentBody[] = [];

beforeAll(async () => {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const one of closers.reverse()) await one();
  };
  try {
    const database = await createPostgresDatabase(false);
    closers.push(database.remove);
    const secretKey = randomBytes(32).toString('base64');
    const webhooks = { allowHosts: ['127.0.0.1'], secretKey };
    const url = () => pick(apis())?.url() ?? null;
    shop = await startScenario({ config: { database: database.url, webhooks }, addresses: 200, url });
    closers.push(shop.stop);
    configPath = shop.home.configPath;
    const config = JSON.parse(readFileSync(configPath, 'utf8'));
    await shop.home.current().stop();
    await limitSessions(database.url);
    const { hostname, port } = new URL(database.url);
    const pooler = await startTransactionPooler({ host: hostname, port: Number(port) });
    closers.push(pooler.close);
    const roles = ['api', 'api', 'api', 'watch', 'watch', 'notify', 'notify,providers'];
    const group = await startProcessGroup(config, roles, pooler);
    closers.push(group.stop);
    members = group.members;
    db = openPostgres(database.url, runningLimits);
    closers.push(() => db.destroy());
    return close;
  } catch (error) {
    await close();
    throw error;
  }
}, 120_000);

/** Behind a pooler in transaction mode no session has the limits that we set at its beginning (docs/operations.md). */
async function limitSessions(url: string): Promise<void> {
  const operator = new pg.Client({ connectionString: url });
  await operator.connect();
  const { lock, statement, idleInTransaction } = runningLimits;
  const name = pg.escapeIdentifier(new URL(url).pathname.slice(1));
  await operator.query(`alter database ${name} set lock_timeout = ${lock}`);
  await operator.query(`alter database ${name} set statement_timeout = ${statement}`);
  await operator.query(
    `alter database ${name} set idle_in_transaction_session_timeout = ${idleInTransaction}`,
  );
  await operator.end();
}

function pick<T>(list: readonly T[]): T | undefined {
  return list[Math.floor(random() * list.length)];
}

function apis(): Member[] {
  return members.filter((member) => member.role === 'api' && member.isSound());
}

/** Who reads a chain, by the word of the database. */
async function leaderOf(network: EvmNetwork): Promise<Member> {
  return waitFor(`a leader of ${network}`, async () => {
    const row = await db
      .selectFrom('leases')
      .innerJoin('daemons', 'daemons.id', 'leases.holder')
      .select('daemons.pid')
      .where('leases.name', '=', `chain ${network}`)
      .executeTakeFirst();
    return members.find((member) => member.pid() === row?.pid);
  });
}

async function holderOf(network: EvmNetwork): Promise<string | undefined> {
  const query = db.selectFrom('leases').select('holder').where('name', '=', `chain ${network}`);
  return (await query.executeTakeFirst())?.holder;
}

/** Payments on both chains, paid at once and mined until they can be confirmed. */
async function buy(count: number): Promise<PaymentBody[]> {
  const orders = Array.from({ length: count }, (_, n) => ({
    network: networks[n % 2] as EvmNetwork,
    currency: pick(['usdt', 'usdc', 'native'] as const) ?? 'usdt',
    key: `order ${payments.length + n}`,
  }));
  const made = await Promise.all(
    orders.map(({ network, currency, key }) => createStubbornly(shop, network, currency, key)),
  );
  payments.push(...made);
  for (const payment of made) await shop.pay(payment);
  for (const network of networks) await shop.chain(network).anvil.mine(16);
  return made;
}

async function expectSums(): Promise<void> {
  await expectPaidOnce(shop, db, payments);
  const bugs = members.flatMap(({ logs }) =>
    logs.filter(({ level }) => level === 'error' || level === 'fatal'),
  );
  expect(bugs).toEqual([]);
}

/** Lets the time pass that the claims of a process last which delivers no more. */
async function passClaims(): Promise<void> {
  await sql`update deliveries set lease_until = 0 where state = 'sending'`.execute(db);
}

test('each process does its own part, and status tells who does what and whose configuration differs', async () => {
  await untilConfirmed(db, await buy(2));
  const [bsc, ethereum] = await Promise.all(networks.map(leaderOf));
  expect([bsc?.role, ethereum?.role]).toEqual(['watch', 'watch']);
  const { daemon } = await shop.home.runJson<{
    daemon: { processes: number; unserved_roles: string[]; list: StatusProcess[] };
  }>('status');
  expect(daemon).toMatchObject({ processes: 7, unserved_roles: [] });
  const roles = daemon.list.map((one) => one.roles.join(','));
  expect(roles.toSorted()).toEqual(['api', 'api', 'api', 'notify', 'notify,providers', 'watch', 'watch']);
  expect(daemon.list.flatMap(({ leads }) => leads).toSorted()).toEqual(['bsc', 'ethereum']);
  expect(daemon.list.every((one) => one.differing_configuration.length === 0)).toBe(true);
  const missing = members.filter(({ logs }) => logs.some(({ msg }) => msg === 'database signals missing'));
  expect(missing.filter(({ listensBeside }) => listensBeside)).toEqual([]);
  // What does not answer shops tells how it is, and nothing else.
  const watcher = members.find(({ role }) => role === 'watch')?.url();
  const answers = await Promise.all(
    ['/healthz', '/readyz', '/metrics', '/api/v1/methods/'].map((path) => fetch(`${watcher}${path}`)),
  );
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 404]);
});

type StatusProcess = { roles: string[]; leads: string[]; differing_configuration: string[] };

test(`one killed, one paused and one cut off lose nothing and double nothing (DEPOSITD_CLUSTER_SEED=${seed})`, async () => {
  const hows = disturbances.toSorted(() => random() - 0.5);
  const victims = [
    await leaderOf('bsc'),
    pick(apis()),
    pick(members.filter(({ role }) => role === 'notify')),
  ];
  const over = Promise.withResolvers<void>();
  const holder = await holderOf('bsc');
  const since = performance.now();
  const disturbed = victims.map((victim, n) => victim?.disturb(hows[n] as Disturbance, over.promise));
  const takenOver = waitFor('another leader', async () => (await holderOf('bsc')) !== holder, patience).then(
    () => performance.now() - since,
  );
  await untilConfirmed(db, await buy(6));
  expect(await takenOver).toBeLessThan(takeoverMs);
  over.resolve();
  // Who was paused wakes up in the middle of what it did.
  await untilConfirmed(db, await buy(4));
  await Promise.all(disturbed);
  await passClaims();
  await expectSums();
}, 120_000);

test('a rescan that is asked of a process for shops is done by one that reads the chain, also when that one is killed', async () => {
  const { height } = await db
    .selectFrom('chain_cursors')
    .select('height')
    .where('network', '=', 'bsc')
    .executeTakeFirstOrThrow();
  const leader = await leaderOf('bsc');
  const asked = await shop.admin.post<{ id: number }>('/chains/bsc/rescans/', { from: 1, to: height });
  expect(asked.status).toBe(201);
  const over = Promise.withResolvers<void>();
  const disturbed = leader.disturb('kill', over.promise);
  const path = `/chains/bsc/rescans/${asked.body.id}/`;
  type Rescan = { status: string; blocks_read: number; transfers: { known: number; new: number } };
  const done = await waitFor(
    'the end of the rescan',
    async () => {
      const { body } = await shop.admin.get<Rescan>(path);
      return body.status === 'done' ? body : undefined;
    },
    patience,
  );
  expect(done).toMatchObject({ blocks_read: height, transfers: { new: 0, taken_back: 0 } });
  expect(done.transfers.known).toBeGreaterThan(0);
  over.resolve();
  await disturbed;
  await passClaims();
  await expectSums();
}, 120_000);

test.runIf(minutes > 0)(
  `of processes that are disturbed for ${minutes} minutes nothing is lost and nothing doubled (DEPOSITD_CLUSTER_SEED=${seed})`,
  async () => {
    const until = performance.now() + minutes * 60_000;
    while (performance.now() < until) {
      const sound = members.filter((member) => member.isSound());
      const victims = sound
        .filter(({ role }) => role !== 'api' || apis().length > 1)
        .filter(() => random() < 0.3);
      const disturbed = victims.map((victim) =>
        victim.disturb(pick(disturbances) ?? 'kill', setTimeout(random() * 20_000)),
      );
      const bought = buy(4);
      await Promise.all(disturbed);
      await untilConfirmed(db, await bought);
    }
    await passClaims();
    await expectSums();
  },
  minutes * 60_000 + 300_000,
);
