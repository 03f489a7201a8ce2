import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { readChain } from '../../src/storage/chains/chains.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { lockPayment } from '../../src/storage/payments/payments.ts';
import type { Db } from '../../src/storage/schema.ts';
import { openWorld, type World } from '../support/chain-world.ts';
import { type DatabaseKind, describeDatabases } from '../support/databases.ts';
import { waitFor } from '../support/wait.ts';

/**
 * Lets acts meet at one payment in exactly this order. On PostgreSQL the payment is held until each of them
 * waits for it, or for one that does; on SQLite their transactions run in the order in which they were begun.
 */
async function inOrder(
  { db }: World,
  kind: DatabaseKind,
  paymentId: number,
  acts: (() => Promise<unknown>)[],
): Promise<void> {
  if (kind === 'SQLite') {
    for (const act of acts) await act();
    return;
  }
  const running: Promise<unknown>[] = [];
  await inTransaction(db, async (trx) => {
    await lockPayment(trx, paymentId);
    for (const act of acts) {
      running.push(act());
      const expected = running.length;
      await waitFor(`${expected} to wait`, async () => (await countWaiting(db)) === expected);
    }
  });
  await Promise.all(running);
}

async function countWaiting(db: Db): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*) as n from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`.execute(db);
  return Number(rows[0]?.n);
}

describeDatabases('a cancellation and a transfer that is read at the same moment', (openTestDb, kind) => {
  async function setUp() {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(1);
    // The head with the transfer is known: the next step records it.
    await world.step();
    return { world, payment };
  }

  test('the cancellation first: the payment is cancelled and the transfer late', async () => {
    const { world, payment } = await setUp();
    await inOrder(world, kind, payment.id, [() => world.cancel(payment), () => world.step()]);
    expect(await world.status(payment)).toEqual({ status: 'cancelled', reason: 'late' });
    expect(await world.events(payment)).toEqual(['payment.cancelled', 'payment.late']);
  });

  test('the transfer first: the payment cannot be cancelled any more', async () => {
    const { world, payment } = await setUp();
    const outcomes: string[] = [];
    await inOrder(world, kind, payment.id, [
      () => world.step(),
      async () => outcomes.push((await world.cancel(payment)).outcome),
    ]);
    expect(outcomes).toEqual(['not_cancellable']);
    expect(await world.status(payment)).toEqual({ status: 'pending', reason: null });
    expect(await world.deposits(payment)).toMatchObject([{ role: 'counted' }]);
    expect(await world.events(payment)).toEqual(['payment.detected']);
  });
});

describeDatabases('a cancellation and an expiry at the same moment', (openTestDb, kind) => {
  async function setUp() {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    world.mine(7);
    await world.step();
    return { world, payment };
  }

  test('the cancellation first: the payment is cancelled and never expires', async () => {
    const { world, payment } = await setUp();
    await inOrder(world, kind, payment.id, [() => world.cancel(payment), () => world.step()]);
    expect(await world.events(payment)).toEqual(['payment.cancelled']);
    expect(await world.status(payment)).toEqual({ status: 'cancelled', reason: null });
  });

  test('the expiry first: the payment is expired and cannot be cancelled', async () => {
    const { world, payment } = await setUp();
    const outcomes: string[] = [];
    await inOrder(world, kind, payment.id, [
      () => world.step(),
      async () => outcomes.push((await world.cancel(payment)).outcome),
    ]);
    expect(outcomes).toEqual(['not_cancellable']);
    expect(await world.events(payment)).toEqual(['payment.expired']);
  });

  test('two cancellations: one of them is too late', async () => {
    const { world, payment } = await setUp();
    // By who asked, not by who was answered first: the answers come over two connections.
    const outcomes: string[] = [];
    const cancel = (asked: number) => async () => {
      outcomes[asked] = (await world.cancel(payment)).outcome;
    };
    await inOrder(world, kind, payment.id, [cancel(0), cancel(1)]);
    expect(outcomes).toEqual(['cancelled', 'not_cancellable']);
    expect(await world.events(payment)).toEqual(['payment.cancelled']);
  });
});

describeDatabases('a cancellation and a confirmation at the same moment', (openTestDb, kind) => {
  test.each(['first', 'last'])('end in one confirmation, the cancellation asked for %s', async (when) => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(2);
    await world.read();
    world.mine(1);
    const outcomes: string[] = [];
    const cancel = async () => outcomes.push((await world.cancel(payment)).outcome);
    const acts = [cancel, () => world.step()];
    await inOrder(world, kind, payment.id, when === 'first' ? acts : acts.reverse());
    expect(outcomes).toEqual(['not_cancellable']);
    expect(await world.events(payment)).toEqual(['payment.detected', 'payment.confirmed']);
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
  });
});

describeDatabases('two processes that read one chain', (openTestDb) => {
  /** Lets a second watcher take whole steps while the first one's question to the node is under way. */
  async function overtaken(
    world: World,
    method: 'poll' | 'inclusionsOfEach' | 'blocksAt',
    work: () => Promise<void>,
  ) {
    const original = world.chain.source[method] as (...args: never[]) => Promise<unknown>;
    const { source } = world.chain;
    Object.assign(source, {
      [method]: async (...args: never[]) => {
        Object.assign(source, { [method]: original });
        const answer = await original(...args);
        await work();
        return answer;
      },
    });
    return world.step();
  }

  test('record a transfer once: the slower one is stale and writes nothing', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(2);
    await world.step();
    const other = world.secondWatcher();
    const outcome = await overtaken(world, 'poll', async () => {
      await other();
      await other();
    });
    expect(outcome.kind).toBe('stale');
    expect(await world.deposits(payment)).toHaveLength(1);
    expect(await world.events(payment)).toEqual(['payment.detected']);
    expect(await readChain(world.db, world.network)).toMatchObject({ cursor: world.chain.head() });
  });

  test('expire a payment once', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    world.mine(8);
    await world.step();
    const other = world.secondWatcher();
    await overtaken(world, 'poll', async () => {
      await other();
    });
    await world.read();
    expect(await world.events(payment)).toEqual(['payment.expired']);
  });

  test('do not confirm a deposit that the other one took back after nodes had agreed on it', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(2);
    await world.read();
    world.mine(1);
    const other = world.secondWatcher();
    // The first step reads the third block and looks at the deposit.
    const outcome = await overtaken(world, 'inclusionsOfEach', async () => {
      world.chain.reorg({ depth: 3, place: () => null });
      expect((await other()).kind).toBe('reorged');
    });
    expect(outcome.kind).not.toBe('failed');
    expect(await world.deposits(payment)).toMatchObject([{ status: 'orphaned' }]);
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
    expect(await world.events(payment)).toEqual(['payment.detected']);
  });

  test('take back a reorganized deposit once', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(3);
    await world.read();
    world.chain.reorg({ depth: 3, place: () => null });
    const other = world.secondWatcher();
    const outcome = await overtaken(world, 'blocksAt', async () => {
      await other();
    });
    expect(outcome.kind).toBe('stale');
    await world.read();
    expect(await world.events(payment)).toEqual([
      'payment.detected',
      'payment.confirmed',
      'payment.reverted',
    ]);
  });

  test('begin it once', async () => {
    const world = await openWorld(await openTestDb());
    const other = world.secondWatcher();
    await overtaken(world, 'blocksAt', async () => {
      await other();
      world.mine(1);
      await other();
    });
    await world.read();
    expect(await readChain(world.db, world.network)).toMatchObject({ cursor: world.chain.head() });
  });
});
