import { expect, test } from 'vitest';
import type { Rescan } from '../../../src/core/rescan.ts';
import { presentRescan } from '../../../src/present/rescans.ts';
import { cancelRescan, findRescan, insertRescan, listRescans } from '../../../src/storage/chains/rescans.ts';
import { noteFullPace, noteSlowed } from '../../../src/storage/chains/usage.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { listAudit } from '../../../src/storage/operators/audit.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { createRescanJob } from '../../../src/watchers/recheck/rescan-job.ts';
import { openWorld, type World } from '../../support/chain-world.ts';
import { describeDecisions } from '../../support/databases.ts';
import { InjectedFault, makeFaulty } from '../../support/faulty-db.ts';
import { silentLog } from '../../support/log.ts';

const { signal } = new AbortController();

/** What the process that leads the chain has; a new one knows nothing but what is stored. */
function jobOf(
  world: World,
  { db = world.db, isSlowed = () => false }: { db?: Db; isSlowed?: () => boolean } = {},
) {
  const { chainConfig: chain, chain: scripted, clock, policy } = world;
  const deps = { db, chain, source: scripted.source, latePolicy: policy.late, clock, log: silentLog };
  return createRescanJob({ ...deps, onFound: () => {}, isSlowed });
}

async function ask(world: World, range: { from?: number; to?: number } = {}): Promise<Rescan> {
  const { db, clock } = world;
  const to = range.to ?? world.chain.head().height;
  const wanted = { network: world.network, from: range.from ?? 1, to, native: false, actor: 'user ada' };
  const made = await inTransaction(db, (trx) => insertRescan(trx, { ...wanted, createdAt: clock() }));
  if (made === null) throw new Error('another one has not ended');
  return made;
}

async function read(world: World, { id }: Rescan) {
  const rescan = await findRescan(world.db, world.network, id);
  if (rescan === null) throw new Error('no rescan');
  return presentRescan(world.db, rescan, world.clock());
}

/** Steps until nothing is to be done. */
async function finish(world: World, job = jobOf(world)): Promise<void> {
  for (let steps = 0; (await job.step(signal)) === 0; steps++) if (steps > 50) throw new Error('never ends');
}

/** A payment that was seen, and one that has expired because its transfer was hidden; further apart than one answer reaches. */
async function openMissed(db: Db) {
  const world = await openWorld(db, { scripted: { nodes: 2, maxRange: 10 } });
  await world.read();
  const known = await world.create();
  world.pay(known);
  world.mine(15);
  await world.read();
  const missed = await world.create();
  const hidden = world.pay(missed);
  for (const node of world.chain.nodes) node.hides.add(hidden);
  world.mine(12);
  await world.read();
  expect(await world.status(missed)).toMatchObject({ status: 'expired' });
  for (const node of world.chain.nodes) node.hides.clear();
  return { world, known, missed };
}

describeDecisions('a rescan that an operator asked for', (openTestDb) => {
  test('is done once, and tells what was known, new and changed', async () => {
    const { world, missed } = await openMissed(await openTestDb());
    const asked = await ask(world);
    expect(await read(world, asked)).toMatchObject({
      status: 'waiting',
      waits_for: 'process',
      reached: null,
      blocks_read: 0,
    });
    await finish(world);
    const done = await read(world, asked);
    expect(done).toMatchObject({
      status: 'done',
      waits_for: null,
      blocks_read: done.blocks,
      transfers: { found: 2, known: 1, new: 1, taken_back: 0, disputed: 0 },
      payments: [{ payment_number: missed.paymentNumber, was: 'expired', status: 'confirmed', reason: null }],
    });
    expect(await world.deposits(missed)).toHaveLength(1);
    const [entry] = await listAudit(world.db, { beforeId: null, limit: 1 });
    expect(entry).toMatchObject({
      actor: 'user ada',
      action: 'chain.rescanned',
      subject: world.network,
      detail: { rescan: asked.id, status: 'done', known: 1, new: 1 },
    });
  });

  test('is one at a time for each chain, rests while a plan has nothing to spare, and ends when it is cancelled', async () => {
    const { world } = await openMissed(await openTestDb());
    const { db, network, clock } = world;
    const first = await ask(world);
    await expect(ask(world)).rejects.toThrow('another one');
    expect(await jobOf(world, { isSlowed: () => true }).step(signal)).toBeGreaterThan(1_000);
    const slowed = { network, host: 'node.example', everyMs: 60_000 };
    await inTransaction(db, (trx) => noteSlowed(trx, { ...slowed, notedAt: clock() }));
    expect(await read(world, first)).toMatchObject({ status: 'waiting', waits_for: 'plan' });
    await inTransaction(db, (trx) => noteFullPace(trx, network));
    expect(await read(world, first)).toMatchObject({ status: 'waiting', waits_for: 'process' });

    // Nobody reads yet: it ends at once.
    const act = { actor: 'user bob', at: clock() };
    await inTransaction(db, (trx) => cancelRescan(trx, first, act));
    expect(await read(world, first)).toMatchObject({ status: 'cancelled', cancelled_by: 'user bob' });

    // In the middle of reading it ends with the blocks that are being read, which are kept.
    const second = await ask(world);
    const asking = makeFaulty(db);
    const job = jobOf(world, { db: asking.db });
    let told = false;
    const reread = world.chain.source.reread.bind(world.chain.source);
    world.chain.source.reread = async (request) => {
      if (!told) await inTransaction(db, (trx) => cancelRescan(trx, second, act));
      told = true;
      return reread(request);
    };
    await finish(world, job);
    const cancelled = await read(world, second);
    expect(cancelled).toMatchObject({ status: 'cancelled', cancelled_by: 'user bob' });
    expect(cancelled.blocks_read).toBeGreaterThan(0);
    expect(cancelled.blocks_read).toBeLessThan(cancelled.blocks);
    expect(await inTransaction(db, (trx) => cancelRescan(trx, second, act))).toBeNull();
    expect((await listRescans(db, network, 10)).map(({ id }) => id)).toEqual([second.id, first.id]);
    await ask(world);
  });

  test('waits while a fork is found until the chain is read up to there again', async () => {
    const { world } = await openMissed(await openTestDb());
    const asked = await ask(world);
    const { height } = world.chain.head();
    const setCursor = (to: number) =>
      inTransaction(world.db, (trx) => trx.updateTable('chain_cursors').set({ height: to }).execute());
    await setCursor(height - 3);
    expect(await jobOf(world).step(signal)).toBeGreaterThan(0);
    expect(await read(world, asked)).toMatchObject({ status: 'waiting', waits_for: 'chain' });
    await setCursor(height);
    // Found when it has begun: the cursor goes back beside it.
    const reread = world.chain.source.reread.bind(world.chain.source);
    let forked = false;
    world.chain.source.reread = async (request) => {
      if (!forked) await setCursor(height - 3);
      forked = true;
      return reread(request);
    };
    await finish(world);
    expect((await read(world, asked)).status).toBe('running');
    await setCursor(height);
    await finish(world);
    expect(await read(world, asked)).toMatchObject({
      status: 'done',
      transfers: { found: 2, known: 1, new: 1 },
    });
  });

  test('that no node can show fails, and says why', async () => {
    const { world } = await openMissed(await openTestDb());
    const asked = await ask(world);
    await inTransaction(world.db, (trx) =>
      trx.updateTable('chain_cursors').set({ stopped_reason: 'two final blocks at one height' }).execute(),
    );
    await finish(world);
    expect(await read(world, asked)).toMatchObject({
      status: 'failed',
      error: expect.stringContaining('two final blocks at one height'),
    });
  });
});

describeDecisions('a rescan whose process dies', (openTestDb) => {
  test('at any of its writes goes on where it was, finds everything, and counts nothing twice', async () => {
    for (let dieAt = 1; ; dieAt++) {
      const { world, known, missed } = await openMissed(await openTestDb());
      const asked = await ask(world);
      const faulty = makeFaulty(world.db);
      faulty.failAt(dieAt);
      let died = false;
      await finish(world, jobOf(world, { db: faulty.db })).catch((error) => {
        if (!(error instanceof InjectedFault)) throw error;
        died = true;
      });
      await finish(world);
      // What was found before it died is confirmed like any other deposit.
      await world.read();
      const done = await read(world, asked);
      expect([dieAt, done.status, done.blocks_read, done.transfers]).toEqual([
        dieAt,
        'done',
        done.blocks,
        { found: 2, known: 1, new: 1, taken_back: 0, disputed: 0 },
      ]);
      for (const payment of [known, missed]) {
        expect(await world.deposits(payment)).toHaveLength(1);
        expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
      }
      const entries = await listAudit(world.db, { beforeId: null, limit: 10 });
      expect(entries.filter(({ action }) => action === 'chain.rescanned')).toHaveLength(1);
      if (!died) break;
    }
  });
});
