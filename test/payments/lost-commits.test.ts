import { renameSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { keyOfHex } from '../../src/core/address.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { createLostCommits, type LostCommits, openLostCommits } from '../../src/payments/lost-commits.ts';
import { backUp } from '../../src/storage/backup.ts';
import { inTransaction, openDatabase } from '../../src/storage/database.ts';
import { readHold } from '../../src/storage/pool/holds.ts';
import { openPostgres, runningLimits } from '../../src/storage/postgres.ts';
import type { Db } from '../../src/storage/schema.ts';
import {
  createTimelines,
  lookAtTimeline,
  rememberTimelines,
  timelineChanges,
} from '../../src/storage/timeline.ts';
import { startCluster } from '../support/cluster.ts';
import { describeDatabases, testFolder } from '../support/databases.ts';
import { captureLog } from '../support/log.ts';
import { createPostgresDatabase } from '../support/postgres-desk.ts';
import { openShop } from '../support/shop.ts';

/** Makes the database as if this payment had never been committed. */
async function lose(db: Db, payment: OnchainPayment): Promise<void> {
  await inTransaction(db, async (trx) => {
    await trx.updateTable('addresses').set({ locked_by: null }).where('locked_by', '=', payment.id).execute();
    await trx.deleteFrom('onchain_payments').where('payment_id', '=', payment.id).execute();
    await trx.deleteFrom('payments').where('id', '=', payment.id).execute();
  });
}

/** A shop, and so many processes that make its payments and look for what was lost. */
async function openProcesses(db: Db, count = 1) {
  let steady = 0;
  let processes: LostCommits[] = [];
  const shop = await openShop(db, {
    addresses: 3,
    lostCommits: {
      committed: (payment) => processes[0]?.committed(payment),
      refusal: () => processes[0]?.refusal() ?? null,
    },
  });
  const { log, lines } = captureLog();
  let wentBack = 0;
  processes = Array.from({ length: count }, () =>
    createLostCommits({
      ...{ db, config: shop.config, clock: shop.clock, log },
      steady: () => steady,
      wentBack: () => {
        wentBack += 1;
      },
    }),
  );
  return {
    shop,
    processes,
    step: async () => {
      for (const process of processes) await process.step();
    },
    hold: () => readHold(db, shop.clock()),
    messages: () => lines.map(({ level, msg }) => `${level} ${msg}`),
    wentBack: () => wentBack,
    wait: (ms: number) => {
      steady += ms;
    },
  };
}

/** As if a connection had shown the server on another timeline than the one it is on. */
function showOtherTimeline(db: Db): void {
  const timelines = createTimelines();
  timelines.note('0000000F');
  rememberTimelines(db, timelines);
}

describeDatabases('a process that makes payments', (openTestDb, kind) => {
  test.runIf(kind === 'PostgreSQL')(
    'holds all addresses back as soon as the newest payment that it committed is gone, and says so once',
    async () => {
      const db = await openTestDb();
      const { shop, processes, step, hold, messages, wentBack } = await openProcesses(db, 3);
      const kept = await shop.create();
      const lost = await shop.create();
      for (const process of processes) process.committed(lost);
      await step();
      expect({ hold: await hold(), messages: messages() }).toEqual({ hold: null, messages: [] });
      await lose(db, lost);
      await step();
      expect(await hold()).toMatchObject({
        lastAddressId: 6,
        reason: expect.stringMatching(/has lost payments/),
      });
      expect(await db.selectFrom('address_holds').select('id').execute()).toHaveLength(1);
      expect(messages()).toEqual(Array(3).fill('error database lost payments'));
      expect(wentBack()).toBe(3);
      expect(await shop.tryCreate({})).toMatchObject({ outcome: 'all_held', heldBack: expect.any(String) });
      expect(await shop.state(kept)).toBe('pending');
      await step();
      expect(messages()).toHaveLength(3);
    },
  );

  test.runIf(kind === 'PostgreSQL')(
    'finds it gone also where another payment has its id by now',
    async () => {
      const db = await openTestDb();
      const { shop, step, hold } = await openProcesses(db);
      const { id } = await shop.create();
      await db.updateTable('payments').set({ payment_number: 'PAY-OTHER' }).where('id', '=', id).execute();
      await step();
      expect(await hold()).not.toBeNull();
    },
  );

  test.runIf(kind === 'PostgreSQL')(
    'finds it gone also where it has made another since, with a higher id',
    async () => {
      const db = await openTestDb();
      const { shop, step, hold } = await openProcesses(db);
      const lost = await shop.create();
      await step();
      await lose(db, lost);
      const next = await shop.create();
      expect(next).toMatchObject({ address: lost.address });
      expect(next.id).toBeGreaterThan(lost.id);
      await step();
      expect(await hold()).not.toBeNull();
    },
  );

  test.runIf(kind === 'PostgreSQL')(
    'holds nothing back, and makes payments again, where it was only looked for on a server that was behind',
    async () => {
      const db = await openTestDb();
      const { shop, step, hold, messages } = await openProcesses(db);
      const { id, paymentNumber } = await shop.create();
      const call = (payment_number: string) =>
        db.updateTable('payments').set({ payment_number }).where('id', '=', id).execute();
      await call('PAY-OTHER');
      await db.schema.alterTable('address_holds').renameTo('held_away').execute();
      await expect(step()).rejects.toThrow();
      expect((await shop.tryCreate({})).outcome).toBe('database_unchecked');
      await db.schema.alterTable('held_away').renameTo('address_holds').execute();
      await call(paymentNumber);
      await step();
      expect((await shop.tryCreate({})).outcome).toBe('created');
      expect({ hold: await hold(), messages: messages() }).toEqual({ hold: null, messages: [] });
    },
  );

  test.runIf(kind === 'PostgreSQL')(
    'makes none on another timeline until it has looked, and for 15 seconds in which the others look',
    async () => {
      const db = await openTestDb();
      showOtherTimeline(db);
      const { shop, step, hold, messages, wentBack, wait } = await openProcesses(db);
      expect((await shop.tryCreate({})).outcome).toBe('created');
      await lookAtTimeline(db);
      expect(timelineChanges(db)).toBe(1);
      expect(await shop.tryCreate({})).toMatchObject({ outcome: 'database_unchecked' });
      wait(60_000);
      expect((await shop.tryCreate({})).outcome).toBe('database_unchecked');
      await step();
      expect(messages()).toEqual(['warn database timeline changed']);
      expect(wentBack()).toBe(1);
      wait(14_999);
      expect((await shop.tryCreate({})).outcome).toBe('database_unchecked');
      wait(1);
      expect((await shop.tryCreate({})).outcome).toBe('created');
      expect(await hold()).toBeNull();
    },
  );

  test.runIf(kind === 'PostgreSQL')(
    'makes none until the hold is written, where that fails at first',
    async () => {
      const db = await openTestDb();
      const { shop, step, hold } = await openProcesses(db);
      await lose(db, await shop.create());
      await db.schema.alterTable('address_holds').renameTo('held_away').execute();
      await expect(step()).rejects.toThrow('address_holds');
      await db.schema.alterTable('held_away').renameTo('address_holds').execute();
      expect((await shop.tryCreate({})).outcome).toBe('database_unchecked');
      await step();
      expect(await hold()).not.toBeNull();
      expect((await shop.tryCreate({})).outcome).toBe('all_held');
    },
  );

  test.runIf(kind === 'SQLite')('has nothing to look for in a file of its own', async () => {
    const db = await openTestDb();
    const { shop, step, hold } = await openProcesses(db);
    await lose(db, await shop.create());
    await step();
    expect(await hold()).toBeNull();
  });
});

test('a daemon that is started on an older copy of its SQLite database holds back every address, once', async () => {
  const path = join(testFolder(), 'depositd.db');
  const url = `sqlite:${path}`;
  const { log, lines } = captureLog();
  const first = await openDatabase(url);
  const shop = await openShop(first, { addresses: 3 });
  const start = (db: Db) =>
    openLostCommits({
      ...{ db, clock: shop.clock, log, wentBack: () => {} },
      config: { ...shop.config, database: url },
    });
  const process = await start(first);
  process.committed(await shop.create());
  await process.step();
  await backUp(path, `${path}.backup`, []);
  const lost = await shop.create();
  process.committed(lost);
  await process.step();
  await first.destroy();

  const again = await openDatabase(url);
  await start(again);
  expect(await readHold(again, shop.clock())).toBeNull();
  await again.destroy();

  // As by hand.
  renameSync(`${path}.backup`, path);
  const older = await openDatabase(url);
  onTestFinished(() => older.destroy());
  for (const _ of ['found', 'not found again']) {
    await start(older);
    expect(await readHold(older, shop.clock())).toMatchObject({ lastAddressId: 6 });
  }
  expect(lines.map(({ level, msg, payment_number }) => ({ level, msg, payment_number }))).toEqual([
    { level: 'error', msg: 'database lost payments', payment_number: lost.paymentNumber },
  ]);
});

test('a process whose server fails over to a standby that lacked its last payment gives the address of that one to nobody', async () => {
  const cluster = await startCluster();
  onTestFinished(() => cluster.stop());
  const db = await openDatabase(await cluster.lendDatabase(false));
  const { shop, step, hold, messages, wait } = await openProcesses(db);
  const kept = await shop.create();
  const failOver = await cluster.standby();
  const lost = await shop.create();
  await failOver();
  expect((await shop.tryCreate({})).outcome).toBe('database_unchecked');
  await step();
  expect(messages()).toEqual(['error database lost payments', 'warn database timeline changed']);
  expect(await hold()).not.toBeNull();
  wait(15_000);
  expect((await shop.tryCreate({})).outcome).toBe('all_held');
  shop.pay(lost, 50);
  await shop.confirmAll();
  expect((await shop.unmatched()).map(({ recipient }) => recipient)).toEqual([keyOfHex(lost.address)]);
  expect(await shop.state(kept)).toBe('pending');
  await db.destroy();
}, 60_000);

test('a process whose database is replaced by an older copy of it makes no payment before it has looked', async () => {
  const { url, remove } = await createPostgresDatabase(true);
  onTestFinished(remove);
  const name = new URL(url).pathname.slice(1);
  const server = new pg.Client({
    connectionString: Object.assign(new URL(url), { pathname: '/postgres' }).href,
  });
  await server.connect();
  const db = openPostgres(url, runningLimits);
  onTestFinished(async () => {
    await db.destroy();
    await server.query(`drop database if exists ${name}_copy`);
    await server.end();
  });
  const { shop, step, hold, wait } = await openProcesses(db);
  await shop.create();
  await server.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
  await server.query(`create database ${name}_copy template ${name}`);
  const lost = await shop.create();
  await server.query(`drop database ${name} with (force)`);
  await server.query(`create database ${name} template ${name}_copy`);
  expect((await shop.tryCreate({})).outcome).toBe('database_unchecked');
  await step();
  wait(15_000);
  expect(await hold()).not.toBeNull();
  expect((await shop.tryCreate({})).outcome).toBe('all_held');
  shop.pay(lost, 50);
  await shop.confirmAll();
  expect((await shop.unmatched()).map(({ recipient }) => recipient)).toEqual([keyOfHex(lost.address)]);
}, 60_000);
