import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import { beforeAll, expect, test } from 'vitest';
import { openPostgres, runningLimits } from '../../src/storage/postgres.ts';
import type { Db } from '../../src/storage/schema.ts';
import type { PaymentBody } from '../support/api.ts';
import { type Cluster, startCluster } from '../support/cluster.ts';
import { expectPaidOnce, untilConfirmed } from '../support/paid-once.ts';
import { pgBouncer, startPgBouncer } from '../support/pgbouncer.ts';
import { type Disturbance, disturbances, type Member, startProcessGroup } from '../support/process-group.ts';
import { createRandom } from '../support/random.ts';
import { type EvmNetwork, type Scenario, startScenario } from '../support/scenario.ts';
import { createStubbornly } from '../support/stubborn.ts';
import { startTransactionPooler } from '../support/transaction-pooler.ts';
import { waitFor } from '../support/wait.ts';

/*
 * Three processes for the API, two that read the chains and two that deliver, on one PostgreSQL, every other one behind a pooler
 * in transaction mode. `DEPOSITD_CLUSTER_MINUTES=10` disturbs them for so long, behind PgBouncer itself where this machine has it.
 */

const minutes = Number(process.env.DEPOSITD_CLUSTER_MINUTES ?? 0);
const seed = Number(process.env.DEPOSITD_CLUSTER_SEED ?? Date.now() % 1_000_000);
const random = createRandom(seed);
const networks = ['bsc', 'ethereum'] as const;

/** No chain is left unread for longer, ms. */
const takeoverMs = 15_000;
const patience = { timeoutMs: 60_000 };

let cluster: Cluster;
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
    // One of its own, that may crash.
    cluster = await startCluster();
    closers.push(cluster.stop);
    const database = await cluster.lendDatabase(false);
    const secretKey = randomBytes(32).toString('base64');
    const webhooks = { allowHosts: ['127.0.0.1'], secretKey };
    const url = () => pick(apis())?.url() ?? null;
    shop = await startScenario({ config: { database, webhooks }, addresses: 200, url });
    closers.push(shop.stop);
    configPath = shop.home.configPath;
    const file = JSON.parse(readFileSync(configPath, 'utf8'));
    await shop.home.current().stop();
    // Whoever reads a quiet chain hears of a payment from the process that makes it, or too late.
    for (const network of networks) file.chains[network].idlePollSeconds = 3600;
    writeFileSync(configPath, JSON.stringify(file));
    await setUp(database);
    const { hostname, port } = new URL(database);
    const startPooler = minutes > 0 && pgBouncer !== null ? startPgBouncer : startTransactionPooler;
    const pooler = await startPooler({ host: hostname, port: Number(port) });
    closers.push(pooler.close);
    const roles = ['api', 'api', 'api', 'watch', 'watch', 'notify', 'notify,providers'];
    const group = await startProcessGroup(file, roles, pooler);
    closers.push(group.stop);
    members = group.members;
    db = openPostgres(database, runningLimits);
    closers.push(() => db.destroy());
    return close;
  } catch (error) {
    await close();
    throw error;
  }
}, 120_000);

/**
 * Behind a pooler in transaction mode no session has the limits that we set at its beginning (docs/operations.md). What is committed
 * outlives a crash.
 */
async function setUp(url: string): Promise<void> {
  const operator = new pg.Client({ connectionString: url });
  await operator.connect();
  const { lock, statement, idleInTransaction } = runningLimits;
  const name = pg.escapeIdentifier(new URL(url).pathname.slice(1));
  await operator.query(`alter database ${name} set synchronous_commit = on`);
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

/** Payments on both chains. */
async function order(count: number): Promise<PaymentBody[]> {
  const orders = Array.from({ length: count }, (_, n) => ({
    network: networks[n % 2] as EvmNetwork,
    currency: pick(['usdt', 'usdc', 'native'] as const) ?? 'usdt',
    key: `order ${payments.length + n}`,
  }));
  const made = await Promise.all(
    orders.map(({ network, currency, key }) => createStubbornly(shop, network, currency, key)),
  );
  payments.push(...made);
  return made;
}

/** And mines until they can be confirmed. */
async function pay(made: readonly PaymentBody[]): Promise<void> {
  for (const payment of made) await shop.pay(payment);
  for (const network of networks) await shop.chain(network).anvil.mine(16);
}

async function buy(count: number): Promise<PaymentBody[]> {
  const made = await order(count);
  await pay(made);
  return made;
}

/** Does `work` meanwhile, and lets nobody wait longer for another leader of `network`. */
async function disturbLeader(
  network: EvmNetwork,
  how: Disturbance,
  work: () => Promise<void>,
): Promise<void> {
  const leader = await leaderOf(network);
  const over = Promise.withResolvers<void>();
  const holder = await holderOf(network);
  const since = performance.now();
  const disturbed = leader.disturb(how, over.promise);
  const takenOver = waitFor(
    'another leader',
    async () => (await holderOf(network)) !== holder,
    patience,
  ).then(() => performance.now() - since);
  await work();
  expect(await takenOver).toBeLessThan(takeoverMs);
  over.resolve();
  await disturbed;
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

test(`a leader that stands still and wakes up, another process that is killed and one that is cut off lose nothing and double nothing (DEPOSITD_CLUSTER_SEED=${seed})`, async () => {
  const others: Disturbance[] = random() < 0.5 ? ['kill', 'partition'] : ['partition', 'kill'];
  const victims = [pick(apis()), pick(members.filter(({ role }) => role === 'notify'))];
  const over = Promise.withResolvers<void>();
  const disturbed = victims.map((victim, n) => victim?.disturb(others[n] as Disturbance, over.promise));
  await disturbLeader('bsc', 'pause', async () => untilConfirmed(db, await buy(6)));
  over.resolve();
  // Who was paused believes that it leads, and goes on in the middle of what it did.
  await untilConfirmed(db, await buy(4));
  await Promise.all(disturbed);
  await passClaims();
  await expectSums();
}, 120_000);

test(`a rescan that is asked of a process for shops is done by one that reads the chain, also when that one is killed or cut off (DEPOSITD_CLUSTER_SEED=${seed})`, async () => {
  const { height } = await db
    .selectFrom('chain_cursors')
    .select('height')
    .where('network', '=', 'bsc')
    .executeTakeFirstOrThrow();
  type Rescan = {
    id: number;
    status: string;
    blocks_read: number;
    transfers: { known: number; new: number };
  };
  const asked = await shop.admin.post<Rescan>('/chains/bsc/rescans/', { from: 1, to: height });
  expect(asked.status).toBe(201);
  await disturbLeader('bsc', random() < 0.5 ? 'kill' : 'partition', async () => {
    const done = await waitFor(
      'the end of the rescan',
      async () => {
        const { body } = await shop.admin.get<Rescan>(`/chains/bsc/rescans/${asked.body.id}/`);
        return body.status === 'done' ? body : undefined;
      },
      patience,
    );
    expect(done).toMatchObject({ blocks_read: height, transfers: { new: 0, taken_back: 0 } });
    expect(done.transfers.known).toBeGreaterThan(0);
  });
  await passClaims();
  await expectSums();
}, 120_000);

async function untilReadyAgain(member: Member): Promise<void> {
  const ready = async () => (await fetch(`${member.url()}/readyz`)).ok;
  await waitFor(`a process for ${member.role} to be ready again`, ready, patience);
}

test('a PostgreSQL that is gone for a while ends no process, is named by readyz of each, and what is paid meanwhile is confirmed when it is back', async () => {
  const made = await order(4);
  const pids = members.map((member) => member.pid());
  const resume = await cluster.crash();
  await pay(made);
  await Promise.all(
    members.map((member) =>
      waitFor(
        `readyz of a process for ${member.role} to say so`,
        async () => {
          const answer = await fetch(`${member.url()}/readyz`);
          const { reasons = [] } = (await answer.json()) as { reasons?: { part: string }[] };
          return answer.status === 503 && reasons.some(({ part }) => part === 'database');
        },
        patience,
      ),
    ),
  );
  if (minutes > 0) await setTimeout(60_000);
  await resume();
  // PgBouncer takes its time before it looks again.
  if (minutes > 0) await Promise.all(members.map((member) => untilReadyAgain(member)));
  await untilConfirmed(db, made);
  await untilConfirmed(db, await buy(2));
  expect(members.map((member) => member.pid())).toEqual(pids);
  const alive = await Promise.all(members.map((member) => fetch(`${member.url()}/healthz`)));
  expect(alive.map(({ status }) => status)).toEqual(members.map(() => 200));
  await passClaims();
  await expectSums();
}, 180_000);

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
