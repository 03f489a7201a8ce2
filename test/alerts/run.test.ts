import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Facts } from '../../src/alerts/evaluate.ts';
import { createFacts } from '../../src/alerts/facts.ts';
import { createAlerts } from '../../src/alerts/run.ts';
import { createAlertsOutbound, createWay } from '../../src/alerts/ways.ts';
import type { AlertsConfig } from '../../src/config.ts';
import { isPostgres } from '../../src/storage/database.ts';
import { listEndedAlerts, listOpenAlerts } from '../../src/storage/operators/alerts.ts';
import type { Db } from '../../src/storage/schema.ts';
import { openApiServer } from '../support/api-server.ts';
import { testChain, testConfig } from '../support/config.ts';
import { describeDatabases } from '../support/databases.ts';
import { captureLog } from '../support/log.ts';
import { createdAt, setTestChain, testBlock, testRates } from '../support/payments.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
});
afterAll(() => receiver.stop());

/** The facts of a day on which nothing is wrong. */
const fine: Omit<Facts, 'now'> = {
  databaseTrouble: null,
  chains: [],
  unpriced: [],
  pools: [],
  hold: null,
  endpoints: [],
  oldestDueAt: null,
  unmatched: 0,
  late: 0,
  reverted: [],
  providers: [],
  backupAt: null,
  diskFree: 0.5,
};

function watchOver(db: Db, { mute = [] }: { mute?: AlertsConfig['mute'] } = {}) {
  let now = createdAt;
  let facts: () => Omit<Facts, 'now'> = () => fine;
  const from = receiver.requests.length;
  const { log, lines } = captureLog();
  const alertsConfig: AlertsConfig = {
    to: [{ type: 'webhook', url: receiver.url(), secret: null }],
    mute,
  };
  const outbound = createAlertsOutbound(alertsConfig, 'depositd/test');
  const config = testConfig({ alerts: alertsConfig });
  const build = (holder: string, looks = true) =>
    createAlerts({
      db,
      processName: `machine ${holder}`,
      looks,
      config,
      facts: { read: async () => ({ ...facts(), now }) },
      ways: alertsConfig.to.map((way) => createWay(way, outbound)),
      holder,
      clock: () => now,
      log,
    });
  const alerts = build('one');
  return {
    alerts,
    build,
    lines,
    now: () => now,
    set: (next: Partial<Facts> | (() => Partial<Facts>)) => {
      facts = () => ({ ...fine, ...(typeof next === 'function' ? next() : next) });
    },
    /** Looks every 15 seconds for so long. */
    pass: async (seconds: number, by = alerts) => {
      for (let passed = 0; passed < seconds; passed += 15) {
        now += 15_000;
        await by.step();
      }
    },
    texts: () =>
      receiver.requests
        .slice(from)
        .map(({ body }) => (JSON.parse(body.toString()) as { text: string }).text.split('\n')[0]),
    sent: () =>
      receiver.requests
        .slice(from)
        .map(({ body }) => JSON.parse(body.toString()) as { event: string; alert: string | null })
        .map(({ event, alert }) => [event, alert].join(' ').trim()),
  };
}

const dry: Facts['pools'][number] = {
  merchantId: 'mer_1',
  network: 'bsc',
  currency: null,
  level: 'exhausted',
  free: 0,
  total: 3,
  exhaustedInSeconds: 0,
} as Facts['pools'][number];

describeDatabases('alerts', (openTestDb) => {
  test('tells once that something began, not again while it lasts, and once that it is over', async () => {
    const db = await openTestDb();
    const { set, pass, sent, lines } = watchOver(db);
    await pass(60);
    set({ pools: [dry] });
    await pass(45);
    expect(sent()).toEqual([]);
    await pass(600);
    expect(sent()).toEqual(['alert.began pool_exhausted']);
    expect(await listOpenAlerts(db)).toMatchObject([{ name: 'pool_exhausted', told: 'begin' }]);
    set({});
    await pass(300);
    expect(sent()).toEqual(['alert.began pool_exhausted', 'alert.ended pool_exhausted']);
    expect(await listOpenAlerts(db)).toEqual([]);
    expect(await listEndedAlerts(db, 10)).toMatchObject([{ name: 'pool_exhausted', told: 'end' }]);
    expect(lines.map(({ msg }) => msg)).toEqual(['alert began', 'alert ended']);
  });

  test('sends again what was refused, later and later, and after a start what was never taken', async () => {
    const db = await openTestDb();
    const { set, pass, sent, lines, build } = watchOver(db);
    receiver.answerAlways(500);
    set({ pools: [dry] });
    await pass(300);
    const tries = sent().length;
    expect(tries).toBeGreaterThan(1);
    expect(tries).toBeLessThan(7);
    expect(new Set(sent())).toEqual(new Set(['alert.began pool_exhausted']));
    expect(lines.filter(({ msg }) => msg === 'alert not sent')).toHaveLength(tries);
    receiver.answerAlways(200);
    const restarted = build('one');
    await pass(60, restarted);
    expect(sent()).toHaveLength(tries + 1);
    await pass(600, restarted);
    expect(sent()).toHaveLength(tries + 1);
  });

  test('sends at most twenty messages an hour, then one summary, and the most urgent first', async () => {
    const db = await openTestDb();
    const { set, pass, sent } = watchOver(db);
    const many = Array.from({ length: 30 }, (_, n) => ({ ...dry, merchantId: `mer_${n}` }));
    set({ pools: many, unmatched: 1 });
    await pass(1_800);
    expect(sent()).toEqual([
      'alert.began unmatched_money',
      ...Array.from({ length: 19 }, () => 'alert.began pool_exhausted'),
      'alert.summary',
    ]);
    await pass(3_600);
    expect(sent().slice(21).toSorted()).toEqual(
      Array.from({ length: 11 }, () => 'alert.began pool_exhausted'),
    );
  });

  test('sends nothing of what is muted, and shows it all the same', async () => {
    const db = await openTestDb();
    const { set, pass, sent, lines } = watchOver(db, { mute: ['pool_exhausted'] });
    set({ pools: [dry] });
    await pass(300);
    set({});
    await pass(300);
    expect(sent()).toEqual([]);
    expect(lines.map(({ msg }) => msg)).toEqual(['alert began', 'alert ended']);
  });

  test('what happened in this process is told of once', async () => {
    const db = await openTestDb();
    const { alerts, pass, sent } = watchOver(db);
    const finding = { name: 'recheck_finding', subject: 'bsc missed', text: 'bsc: missed' } as const;
    for (let n = 0; n < 3; n++) alerts.note(finding);
    await pass(600);
    alerts.note(finding);
    await pass(600);
    expect(sent()).toEqual(['alert.began recheck_finding']);
  });

  test('of two daemons on one database one tells', async () => {
    const db = await openTestDb();
    if (!isPostgres(db)) return;
    const { set, pass, sent, alerts, build } = watchOver(db);
    const other = build('two');
    set({ pools: [dry] });
    for (let n = 0; n < 10; n++) {
      await pass(15, alerts);
      await pass(15, other);
    }
    expect(sent()).toEqual(['alert.began pool_exhausted']);
    // By the database's own clock the lease would last for a minute.
    await alerts.stop();
    set({});
    await pass(300, other);
    expect(sent()).toEqual(['alert.began pool_exhausted', 'alert.ended pool_exhausted']);
  });

  test('tells of a database that is away without it, and when it is back', async () => {
    const db = await openTestDb();
    const { set, pass, sent, alerts } = watchOver(db);
    const away = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    set(() => {
      throw away;
    });
    const failing = { ...alerts, step: () => expect(alerts.step()).rejects.toThrow(away) };
    await pass(45, failing);
    expect(sent()).toEqual([]);
    await pass(600, failing);
    expect(sent()).toEqual(['alert.began database_trouble']);
    set({});
    await pass(300);
    expect(sent()).toEqual(['alert.began database_trouble', 'alert.ended database_trouble']);
  });

  test('of a newer version beside this one are left to it', async () => {
    const db = await openTestDb();
    const { set, pass, sent } = watchOver(db);
    const row = { name: 'of_tomorrow', subject: '', text: 'x', began_at: 1, seen_at: 1 };
    await db
      .insertInto('alerts')
      .values([
        { ...row, ended_at: null, told: 'nothing' },
        { ...row, subject: 'ended', ended_at: 2, told: 'end' },
      ])
      .execute();
    set({ pools: [dry] });
    await pass(600);
    expect(sent()).toEqual(['alert.began pool_exhausted']);
    expect(await listOpenAlerts(db)).toMatchObject([{ name: 'pool_exhausted' }]);
    expect(await listEndedAlerts(db, 10)).toEqual([]);
    const left = db.selectFrom('alerts').select('told').where('name', '=', 'of_tomorrow').orderBy('subject');
    expect(await left.execute()).toEqual([{ told: 'nothing' }, { told: 'end' }]);
  });

  test('of a database that is away are told by each process that looks, with its name, and their end once', async () => {
    const db = await openTestDb();
    const { set, pass, sent, texts, alerts, build } = watchOver(db);
    const away = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    const processes = [alerts, build('two'), build('three', false)];
    const all = {
      ...alerts,
      step: async () => {
        for (const one of processes) await one.step().catch(() => {});
      },
    };
    set(() => {
      throw away;
    });
    await pass(300, all);
    const began = 'alert.began database_trouble';
    expect(sent()).toEqual([began, began]);
    const names = isPostgres(db) ? [', seen from machine one', ', seen from machine two'] : ['', ''];
    expect(texts()).toEqual(
      names.map((name) => `the database${name}: nothing listens there (ECONNREFUSED).`),
    );
    set({});
    await pass(300, all);
    expect(sent()).toEqual([began, began, 'alert.ended database_trouble']);
  });

  test('are read from what the loops have left, and shown to the operator', async () => {
    const db = await openTestDb();
    const api = await openApiServer(db);
    const chain = testChain('bsc');
    const config = testConfig({ chains: { bsc: chain } });
    const lateBy = 300_000;
    await setTestChain(db, 'bsc', { head: { ...testBlock(100), time: testBlock(100).time + 200 } });
    const now = createdAt + lateBy;
    const rates = testRates({ usdc: null });
    const facts = createFacts({ db, config, clock: () => now, timeOf: async () => now, rates });
    expect(await facts.read()).toMatchObject({
      now,
      databaseTrouble: null,
      chains: [{ network: 'bsc', unavailable: expect.stringContaining('300 seconds'), behindSeconds: 200 }],
      unpriced: [{ coin: 'usdc' }],
      unmatched: 0,
      backupAt: null,
    });
    const { log } = captureLog();
    const alerts = createAlerts({
      db,
      config,
      facts,
      ways: [],
      holder: 'one',
      processName: 'one',
      clock: () => now,
      log,
    });
    alerts.note({ name: 'recheck_finding', subject: 'bsc missed', text: 'bsc: missed' });
    await alerts.step();
    const { body } = await api.send<{ data: unknown[] }>('GET', '/admin/v1/alerts/', { admin: true });
    expect(body.data).toEqual([
      {
        alert: 'recheck_finding',
        severity: 'page',
        subject: 'bsc missed',
        text: 'bsc: missed',
        action: 'Replace the node that had answered wrongly.',
        runbook: 'docs/alerts.md#recheck_finding',
        began_at: expect.any(String),
        ended_at: null,
      },
    ]);
    const ended = await api.send('GET', '/admin/v1/alerts/?state=ended', { admin: true });
    expect(ended.body).toEqual({ data: [] });
  });
});
