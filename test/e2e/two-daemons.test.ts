import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { beforeAll, expect, test } from 'vitest';
import { inTransaction, openDatabase } from '../../src/storage/database.ts';
import type { Db } from '../../src/storage/schema.ts';
import { appendEvent } from '../../src/storage/webhooks/events.ts';
import { createAdminApi, createApi } from '../support/api.ts';
import { adminToken, createDaemonHome, type Daemon, type DaemonHome } from '../support/daemon.ts';
import { type SeenRequest, startLoopback } from '../support/loopback.ts';
import { type EvmNetwork, type Scenario, startScenario, testAddress } from '../support/scenario.ts';
import { verifySignature } from '../support/signature.ts';
import { type SwitchableNode, startSwitchableNode } from '../support/switchable-node.ts';
import { waitFor } from '../support/wait.ts';

/*
 * Two real daemons on one PostgreSQL, as on two machines: each with a folder, a clock and nodes of its own,
 * and one configured key. The tests build on each other: in the third the first daemon is killed.
 */

const endpointCount = 10;
const eventCount = 100;
const deliveryCount = endpointCount * eventCount;
/** What one daemon has under way at most: more than that at a time comes from both. */
const mostOfOne = endpointCount * 4;
const patience = { timeoutMs: 90_000 };

let shop: Scenario;
let db: Db;
let first: Daemon;
let second: Daemon;
let secondHome: DaemonHome;
/** The second daemon's way to the chains. */
let itsNodes: Record<EvmNetwork, SwitchableNode>;

beforeAll(async () => {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const one of closers.reverse()) await one();
  };
  try {
    const secretKey = randomBytes(32).toString('base64');
    const webhooks = { allowHosts: ['127.0.0.1'], secretKey };
    shop = await startScenario({ database: 'PostgreSQL', config: { webhooks } });
    closers.push(shop.stop);
    first = shop.home.current();
    const config = JSON.parse(readFileSync(shop.home.configPath, 'utf8'));
    db = await openDatabase(config.database);
    closers.push(() => db.destroy());
    itsNodes = {
      bsc: await startSwitchableNode(shop.bsc.anvil.url),
      ethereum: await startSwitchableNode(shop.ethereum.anvil.url),
    };
    closers.push(itsNodes.bsc.stop, itsNodes.ethereum.stop);
    for (const network of ['bsc', 'ethereum'] as const) config.chains[network].rpc = [itsNodes[network].url];
    secondHome = createDaemonHome(config);
    closers.push(secondHome.remove);
    second = await secondHome.start();
    return close;
  } catch (error) {
    await close();
    throw error;
  }
}, 90_000);

/** A merchant whose endpoints were added half at one daemon and half at the other, and whose answers a test decides. */
async function openMerchant(answer: (request: SeenRequest, response: ServerResponse, nth: number) => void) {
  const server = await startLoopback(answer);
  const admins = [first, second].map(({ url }) => createAdminApi(() => url, adminToken));
  const admin = (index: number) => admins[index % 2] as (typeof admins)[number];
  const merchant = await admin(1).post<{ id: string }>('/merchants/', { name: 'Shop' });
  const secrets = new Map<string, string>();
  for (let index = 0; index < endpointCount; index++) {
    const path = `/merchants/${merchant.body.id}/webhooks/`;
    const added = await admin(index).post<{ secret: string }>(path, { url: `${server.url}/${index}` });
    expect(added.status).toBe(201);
    secrets.set(`/${index}`, added.body.secret);
  }
  return { merchantId: merchant.body.id, server, secrets };
}

/** As many events as make a thousand deliveries, all at once. */
async function happen(merchantId: string): Promise<void> {
  await inTransaction(db, async (trx) => {
    for (let n = 0; n < eventCount; n++) {
      const body = JSON.stringify({
        event: 'payment.confirmed',
        payment_id: `PAY-2026-${n}`,
        text: 'Grüße ☃',
      });
      const event = { merchantId, type: 'payment.confirmed', paymentId: null, body, at: Date.now() } as const;
      await appendEvent(trx, event);
    }
  });
}

async function deliveriesOf(merchantId: string) {
  return db
    .selectFrom('deliveries')
    .select(['id', 'state', 'attempts'])
    .where('merchant_id', '=', merchantId)
    .execute();
}

async function untilDelivered(merchantId: string) {
  let seen: Record<string, number> = {};
  return waitFor(
    'a thousand deliveries',
    async () => {
      const rows = await deliveriesOf(merchantId);
      seen = {};
      for (const { state } of rows) seen[state] = (seen[state] ?? 0) + 1;
      return seen.delivered === deliveryCount && rows;
    },
    { ...patience, describe: () => seen },
  );
}

function countByDelivery(requests: readonly SeenRequest[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { headers } of requests) {
    const id = Number(headers['x-payhook-delivery-id']);
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

/** Of one daemon's /metrics. */
async function metric(daemon: Daemon, sample: string): Promise<number> {
  const text = await (await fetch(`${daemon.url}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(`${sample} `));
  return Number(line?.slice(sample.length));
}

const delivered = 'depositd_delivery_attempts_total{end="delivered"}';

test('of two daemons on one PostgreSQL one reads each chain, and the nodes of the other are not asked', async () => {
  const payment = await shop.create('bsc', 'usdt');
  await shop.payAndMine(payment, 15);
  await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
  const asked = shop.bsc.node.requests();
  await waitFor('the leader to go on reading', () => shop.bsc.node.requests() > asked + 10);
  expect([itsNodes.bsc.requests(), itsNodes.ethereum.requests()]).toEqual([0, 0]);
  const leases = await db.selectFrom('leases').select(['name', 'holder']).orderBy('name').execute();
  const chains = leases.map(({ name }) => name).filter((name) => name.startsWith('chain'));
  expect(chains).toEqual(['chain bsc', 'chain ethereum']);
});

test('two daemons on one PostgreSQL share a thousand deliveries and send no attempt twice', async () => {
  const held: (() => void)[] = [];
  let open = false;
  const { merchantId, server, secrets } = await openMerchant((request, response) => {
    const id = Number(request.headers['x-payhook-delivery-id']);
    const again = countByDelivery(server.requests).get(id) !== 1;
    const answer = () => response.writeHead(id % 50 === 0 && !again ? 503 : 200).end();
    if (open) answer();
    else held.push(answer);
  });
  const before = [await metric(first, delivered), await metric(second, delivered)];
  await happen(merchantId);
  await waitFor('both to have something under way', () => held.length > mostOfOne, patience);
  open = true;
  for (const answer of held) answer();

  const rows = await untilDelivered(merchantId);
  expect(rows).toHaveLength(deliveryCount);
  const counts = countByDelivery(server.requests);
  expect(rows.map(({ id }) => counts.get(id))).toEqual(rows.map(({ attempts }) => attempts));
  // One in fifty was refused at first.
  expect(rows.map(({ attempts }) => attempts)).toEqual(rows.map(({ id }) => (id % 50 === 0 ? 2 : 1)));
  for (const { path, headers, body } of server.requests) {
    const header = String(headers['x-payhook-signature']);
    expect(verifySignature(header, body, secrets.get(path) ?? '', Date.now() / 1000)).toBe(true);
  }
  const shares = [
    (await metric(first, delivered)) - (before[0] ?? 0),
    (await metric(second, delivered)) - (before[1] ?? 0),
  ];
  expect(Math.min(...shares)).toBeGreaterThan(0);
  expect(shares.reduce((sum, share) => sum + share)).toBe(deliveryCount);
}, 120_000);

test('a daemon killed in the middle of a thousand deliveries loses none: the other sends them all', async () => {
  const held: (() => void)[] = [];
  let open = false;
  const { merchantId, server } = await openMerchant((_request, response) => {
    if (open) response.end('ok');
    else held.push(() => response.end('ok'));
  });
  await happen(merchantId);
  await waitFor('both to have something under way', () => held.length > mostOfOne, patience);
  // Some are answered and recorded, some under way, some only claimed.
  for (const answer of held.splice(0, mostOfOne)) answer();
  await waitFor('both to have more under way', () => held.length > mostOfOne, patience);
  await first.kill();
  open = true;
  for (const answer of held) answer();
  // What it held is left alone until its leases have ended.
  const sending = (await deliveriesOf(merchantId)).filter(({ state }) => state === 'sending').length;
  expect(sending).toBeGreaterThan(0);

  const rows = await untilDelivered(merchantId);
  expect(rows).toHaveLength(deliveryCount);
  const counts = countByDelivery(server.requests);
  for (const { id, attempts } of rows) {
    expect(counts.get(id)).toBeGreaterThanOrEqual(1);
    // An attempt is never sent twice; one that was claimed by the dead may not have been sent.
    expect(counts.get(id)).toBeLessThanOrEqual(attempts);
  }
  const interrupted = await db
    .selectFrom('delivery_attempts')
    .innerJoin('deliveries', 'deliveries.id', 'delivery_attempts.delivery_id')
    .select(['delivery_attempts.delivery_id', 'delivery_attempts.attempt'])
    .where('merchant_id', '=', merchantId)
    .where('error', '=', 'interrupted')
    .execute();
  expect(interrupted.length).toBeGreaterThan(0);
  const bodies = new Map<unknown, Set<string>>();
  for (const { headers, body } of server.requests) {
    const id = headers['webhook-id'];
    bodies.set(id, (bodies.get(id) ?? new Set()).add(body.toString()));
  }
  expect(bodies.size).toBe(eventCount);
  expect([...bodies.values()].every((different) => different.size === 1)).toBe(true);
}, 120_000);

test('the other takes over both chains, through its own nodes', async () => {
  await waitFor(
    'both chains to be read',
    () => itsNodes.bsc.requests() > 0 && itsNodes.ethereum.requests() > 0,
  );
  const admin = createAdminApi(() => second.url, adminToken);
  const merchant = (await admin.post<{ id: string; api_key: string }>('/merchants/', { name: 'Shop' })).body;
  await admin.post(`/merchants/${merchant.id}/addresses/`, {
    network: 'ethereum',
    addresses: [testAddress('ethereum', 1_000)],
  });
  const api = createApi(() => second.url, merchant.api_key);
  const payment = await waitFor('a payment to be created', async () => {
    const made = await api.create({ amount_usd_cents: 5000, network: 'ethereum', currency: 'usdc' });
    return made.status === 201 && made.body;
  });
  await shop.payAndMine(payment, 12);
  await waitFor('it to be confirmed', async () => {
    const { body } = await api.retrieve(payment.payment_number);
    return body.status === 'confirmed';
  });
  expect(secondHome.logs.filter((line) => line.level === 'error')).toEqual([]);
});
