import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { NodeStatus } from '../../src/core/node.ts';
import { createMetrics, type Metrics } from '../../src/metrics.ts';
import { inTransaction, isPostgres } from '../../src/storage/database.ts';
import { disableEndpoint } from '../../src/storage/webhooks/endpoints.ts';
import { testConfig } from '../support/config.ts';
import { describeDatabases } from '../support/databases.ts';
import { captureLog } from '../support/log.ts';
import { startLoopback } from '../support/loopback.ts';
import { testTime } from '../support/payments.ts';
import { openShop, type Shop } from '../support/shop.ts';
import { manualClock, openShop as openWebhookShop } from '../support/webhooks.ts';

const node: NodeStatus = {
  host: 'node.example',
  preferred: true,
  state: 'ready',
  head: 7,
  finalized: 5,
  lag: 2,
  answeredAt: null,
  lacks: [],
  limits: null,
  latencyMs: 250,
  backoffUntil: null,
  lastError: null,
  asked: 9,
  failed: 2,
};

function metricsOf(shop: Shop, nodes: readonly NodeStatus[] = []): Metrics {
  const { db, config, clock } = shop;
  return createMetrics({ db, config, clock, timeOf: testTime, nodesOf: () => nodes });
}

/** The samples of one metric: `{network="bsc"} 1`. */
async function samples(metrics: Metrics, name: string): Promise<string[]> {
  const text = await metrics.registry.metrics();
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .map((line) => line.slice(name.length).trim());
}

describeDatabases('/metrics', (openTestDb) => {
  test('counts the payments that reach each status, from the start of the process on', async () => {
    const shop = await openShop(await openTestDb());
    await shop.create();
    const metrics = metricsOf(shop);
    await metrics.registry.metrics();

    const paid = await shop.create();
    const cancelled = await shop.create({ currency: 'usdc' });
    shop.pay(paid, 50);
    await shop.confirmAll();
    await shop.cancel(cancelled);

    const counted = (await samples(metrics, 'depositd_payments_total')).filter(
      (line) => !line.endsWith(' 0'),
    );
    expect(counted.sort()).toEqual([
      '{network="bsc",currency="usdc",status="cancelled"} 1',
      '{network="bsc",currency="usdc",status="pending"} 1',
      '{network="bsc",currency="usdt",status="confirmed"} 1',
      '{network="bsc",currency="usdt",status="pending"} 1',
    ]);
    expect(await samples(metrics, 'depositd_payments_pending')).toEqual([
      '{network="bsc"} 1',
      '{network="ethereum"} 0',
    ]);
    expect(await samples(metrics, 'depositd_deposits_total')).toEqual([
      '{network="bsc",currency="usdt",role="counted"} 1',
    ]);
  });

  test('counts nothing twice, however often and by however many it is asked', async () => {
    const shop = await openShop(await openTestDb());
    const metrics = metricsOf(shop);
    await metrics.registry.metrics();
    await shop.create();
    await Promise.all([metrics.registry.metrics(), metrics.registry.metrics()]);
    expect(await samples(metrics, 'depositd_payments_total')).toContain(
      '{network="bsc",currency="usdt",status="pending"} 1',
    );
  });

  test('goes on counting where the database has lost its last commits, and gives their ids to others', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 5 });
    const { db } = shop;
    const metrics = metricsOf(shop);
    await metrics.registry.metrics();
    const kept = await shop.create();
    for (let n = 0; n < 3; n++) await shop.create();
    await metrics.registry.metrics();
    await db.updateTable('addresses').set({ locked_by: null }).where('locked_by', '>', kept.id).execute();
    await db.deleteFrom('onchain_payments').where('payment_id', '>', kept.id).execute();
    await db.deleteFrom('payments').where('id', '>', kept.id).execute();
    if (isPostgres(db))
      await sql`select setval(pg_get_serial_sequence('payments', 'id'), ${sql.lit(kept.id)})`.execute(db);
    else await sql`update sqlite_sequence set seq = ${kept.id} where name = 'payments'`.execute(db);
    await metrics.registry.metrics();
    expect((await shop.create()).id).toBe(kept.id + 1);
    expect(await samples(metrics, 'depositd_payments_total')).toContain(
      '{network="bsc",currency="usdt",status="pending"} 5',
    );
  });

  test('measures from the block to the deposit, and from the completing block to the confirmation', async () => {
    const shop = await openShop(await openTestDb());
    const metrics = metricsOf(shop);
    await metrics.registry.metrics();
    const payment = await shop.create();
    shop.pay(payment, 50);
    await shop.read();
    shop.passTime(40);
    await shop.confirmAll();

    expect(await samples(metrics, 'depositd_detection_seconds_sum')).toEqual(['{network="bsc"} 0']);
    expect(await samples(metrics, 'depositd_detection_seconds_count')).toEqual(['{network="bsc"} 1']);
    expect(await samples(metrics, 'depositd_confirmation_seconds_sum')).toEqual(['{network="bsc"} 40']);
  });

  test('measures from the event to the answer of the receiver that has it, at whichever attempt', async () => {
    const shop = await openShop(await openTestDb());
    const metrics = metricsOf(shop);
    metrics.eventDelivered(400);
    metrics.eventDelivered(90_000);
    // A clock that was set back.
    metrics.eventDelivered(-5);
    expect(await samples(metrics, 'depositd_event_delivered_seconds_sum')).toEqual(['90.4']);
    const buckets = await samples(metrics, 'depositd_event_delivered_seconds_bucket');
    expect(buckets).toContain('{le="0.25"} 1');
    expect(buckets).toContain('{le="0.5"} 2');
    expect(buckets).toContain('{le="60"} 2');
    expect(buckets).toContain('{le="300"} 3');
  });

  test('has as many latencies as there are networks, however many payments, and no exemplar', async () => {
    const shop = await openShop(await openTestDb());
    const metrics = metricsOf(shop);
    await metrics.registry.metrics();
    for (let n = 0; n < 3; n++) shop.pay(await shop.create(), 50);
    await shop.confirmAll();
    metrics.eventDelivered(400);
    metrics.attemptEnded('delivered', 20);
    const text = await metrics.registry.metrics();
    const histograms = [...text.matchAll(/^# TYPE (depositd_\w+) histogram$/gm)].map(
      ([, name]) => name as string,
    );
    expect(histograms.toSorted()).toEqual([
      'depositd_confirmation_seconds',
      'depositd_delivery_attempt_seconds',
      'depositd_detection_seconds',
      'depositd_event_delivered_seconds',
    ]);
    for (const name of histograms)
      for (const sample of await samples(metrics, `${name}_count`))
        expect(sample).toMatch(/^(\{network="(bsc|ethereum)"\} )?\d+$/);
    expect(text).not.toMatch(/ # \{/);
  });

  test('shows how far each chain is read and its pools, and what is free in them', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 3 });
    await shop.create();
    shop.mine('bsc', 5);
    await shop.read();
    const metrics = metricsOf(shop);

    const head = shop.chains.bsc.head();
    expect(await samples(metrics, 'depositd_chain_head_height')).toContain(`{network="bsc"} ${head.height}`);
    expect(await samples(metrics, 'depositd_chain_cursor_height')).toContain(
      `{network="bsc"} ${head.height}`,
    );
    expect(await samples(metrics, 'depositd_chain_available')).toContain('{network="bsc"} 1');
    const merchant = `merchant="${shop.merchantId}"`;
    expect(await samples(metrics, 'depositd_pool_addresses')).toEqual(
      expect.arrayContaining([
        `{${merchant},network="bsc",currency="all",state="free"} 2`,
        `{${merchant},network="bsc",currency="all",state="held"} 1`,
      ]),
    );
  });

  test('says when a chain was not read for two minutes', async () => {
    const shop = await openShop(await openTestDb());
    const metrics = metricsOf(shop);
    expect(await samples(metrics, 'depositd_chain_available')).toContain('{network="bsc"} 1');
    shop.passTime(121);
    expect(await samples(metrics, 'depositd_chain_available')).toContain('{network="bsc"} 0');
  });

  test('still answers, and says so, when the database is gone', async () => {
    const shop = await openShop(await openTestDb());
    const metrics = metricsOf(shop);
    expect(await samples(metrics, 'depositd_database_up')).toEqual(['1']);
    await shop.db.destroy();
    expect(await samples(metrics, 'depositd_database_up')).toEqual(['0']);
    expect(await samples(metrics, 'process_cpu_seconds_total')).toHaveLength(1);
  });

  test('shows each node by its host, what it was asked, and whether it rests', async () => {
    const shop = await openShop(await openTestDb());
    const resting = {
      ...node,
      host: 'other.example',
      preferred: false,
      head: null,
      backoffUntil: shop.clock() + 1,
    };
    const metrics = metricsOf(shop, [node, resting]);
    // Asked twice: what is shown is the count, not a sum of counts.
    for (const _ of ['once', 'again']) {
      expect(await samples(metrics, 'depositd_rpc_requests_total')).toContain(
        '{network="bsc",host="node.example"} 9',
      );
      expect(await samples(metrics, 'depositd_rpc_failures_total')).toContain(
        '{network="bsc",host="node.example"} 2',
      );
    }
    expect(await samples(metrics, 'depositd_rpc_backoff')).toContain(
      '{network="bsc",host="other.example"} 1',
    );
    expect(await samples(metrics, 'depositd_rpc_backoff')).toContain('{network="bsc",host="node.example"} 0');
    expect(await samples(metrics, 'depositd_rpc_latency_seconds')).toContain(
      '{network="bsc",host="node.example"} 0.25',
    );
  });

  test('counts what second readings found, from none on, and says how far they got', async () => {
    const shop = await openShop(await openTestDb());
    const metrics = metricsOf(shop);
    const { height } = shop.chains.bsc.head();
    expect(await samples(metrics, 'depositd_chain_rechecked_height')).toContain(`{network="bsc"} ${height}`);
    metrics.recheckFound('bsc', 'missed');
    const findings = await samples(metrics, 'depositd_recheck_findings_total');
    expect(findings).toContain('{network="bsc",finding="missed"} 1');
    expect(findings).toContain('{network="ethereum",finding="vanished"} 0');
  });

  test('S59: counts deliveries given up by reason, shows what is due and since when, and which endpoints are in trouble', async () => {
    const db = await openTestDb();
    const clock = manualClock();
    const shop = await openWebhookShop(db, clock.now);
    const metrics = createMetrics({ db, config: testConfig(), clock: clock.now, nodesOf: () => [] });
    // What is asked for while a round is under way gets what that round found, which began before time went on.
    await metrics.registry.metrics();
    const statuses: Record<string, number> = { '/gone': 410, '/refuses': 401, '/fails': 503, '/well': 200 };
    const server = await startLoopback((request, response) =>
      response.writeHead(statuses[request.path] ?? 200).end(),
    );
    for (const path of Object.keys(statuses)) await shop.addEndpoint(server.url + path);
    const off = await shop.addEndpoint('http://127.0.0.1/off');
    await inTransaction(db, (trx) => disableEndpoint(trx, off.id, 'operator'));
    const { log, lines } = captureLog();
    const notifier = shop.notifier({
      log,
      observe: ({ verdict, record }) => metrics.attemptEnded(verdict.kind, record.durationMs),
      gaveUp: metrics.deliveryGivenUp,
    });
    await shop.happen();
    clock.advance(90_000);
    expect(await samples(metrics, 'depositd_deliveries_due')).toEqual(['4']);
    expect(await samples(metrics, 'depositd_deliveries_oldest_due_seconds')).toEqual(['90']);

    await notifier.drain();
    expect(await samples(metrics, 'depositd_deliveries_due')).toEqual(['0']);
    expect(await samples(metrics, 'depositd_deliveries_oldest_due_seconds')).toEqual(['0']);
    expect(await samples(metrics, 'depositd_deliveries_given_up_total')).toEqual([
      '{reason="rejected"} 1',
      '{reason="gone"} 1',
      '{reason="blocked"} 0',
      '{reason="exhausted"} 0',
    ]);
    expect(lines.filter(({ msg }) => msg === 'webhook given up')).toHaveLength(2);
    expect(await samples(metrics, 'depositd_webhook_endpoints_failing')).toEqual(['2']);
    expect(await samples(metrics, 'depositd_webhook_endpoints_disabled')).toEqual([
      '{reason="operator"} 1',
      '{reason="gone"} 1',
      '{reason="failing"} 0',
    ]);

    for (let attempt = 2; attempt <= 10; attempt++) {
      clock.advance(1_000_000);
      await notifier.drain();
    }
    expect(await samples(metrics, 'depositd_deliveries_given_up_total')).toContain('{reason="exhausted"} 1');
    expect(await samples(metrics, 'depositd_delivery_attempts_total')).toEqual([
      '{end="delivered"} 1',
      '{end="retry"} 9',
      '{end="give-up"} 3',
    ]);
  });

  test('counts failed steps of loops and ends of attempts', async () => {
    const shop = await openShop(await openTestDb());
    const metrics = metricsOf(shop);
    metrics.loopFailed('bsc');
    metrics.attemptEnded('delivered', 20);
    expect(await samples(metrics, 'depositd_loop_failures_total')).toEqual(['{loop="bsc"} 1']);
    expect(await samples(metrics, 'depositd_delivery_attempts_total')).toEqual([
      '{end="delivered"} 1',
      '{end="retry"} 0',
      '{end="give-up"} 0',
    ]);
  });
});
