import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../src/storage/database.ts';
import type { Db } from '../../src/storage/schema.ts';
import { openWorld, type World } from '../support/chain-world.ts';
import { describeDatabases } from '../support/databases.ts';
import { emptyDatabase } from '../support/empty.ts';
import { type FaultyDb, InjectedFault, makeFaulty } from '../support/faulty-db.ts';
import { allDeposits, allPayments } from '../support/model-checks.ts';

/**
 * Payments in three assets that are paid, paid by half, taken back by a reorg, mined again, confirmed, expired
 * and paid late, and a transfer that nobody expects. `failing`: the write that fails, counted from the start.
 */
async function story(
  db: Db,
  failing: number | null,
): Promise<{ outcome: unknown; kinds: readonly string[] }> {
  const faulty = makeFaulty(db);
  const world = await openWorld(db, {
    addresses: 4,
    policy: { late: 'confirm' },
    scripted: { finalityLag: 12, height: 14 },
    watcherDb: faulty.db,
  });
  faulty.failAt(failing);
  const read = () => readOn(world, faulty);
  await read();
  const [coin, whole, half, never] = [
    await world.create('native'),
    await world.create('usdt'),
    await world.create('usdc'),
    await world.create('usdt'),
  ];
  const dropped = world.pay(whole);
  world.pay(half, 5);
  world.chain.send(world.transferTo(coin, 5), world.wrongToken(coin), world.transferTo(coin, 5));
  world.mine(1);
  await read();
  world.chain.reorg({ depth: 1, blocks: 2, place: (tx) => (tx === dropped ? null : 1) });
  await read();
  world.mine(2);
  await read();
  world.chain.sendAgain(dropped);
  world.mine(3);
  await read();
  world.chain.reorg({ depth: 3, place: (_tx, index) => index + 1 });
  await read();
  world.mine(4);
  await read();
  world.pay(never);
  world.mine(4);
  await read();
  return { outcome: await tell(world), kinds: faulty.kinds };
}

/** Reads on as a restarted process does when it died. */
async function readOn(world: World, faulty: FaultyDb): Promise<void> {
  try {
    await world.read();
  } catch (error) {
    if (!(error instanceof InjectedFault)) throw error;
    faulty.failAt(null);
    world.restart();
    await world.read();
  }
}

async function tell(world: World): Promise<unknown> {
  const deposits = await allDeposits(world);
  const payments = [];
  for (const payment of await allPayments(world)) {
    const { id, status, reason, completedBy } = payment;
    payments.push({ id, status, reason, completedBy, events: await world.events(payment) });
  }
  const unmatched = await world.db
    .selectFrom('events')
    .select('type')
    .where('type', '=', 'deposit.unmatched')
    .execute();
  const held = await world.db
    .selectFrom('addresses')
    .select('id')
    .where('locked_by', 'is not', null)
    .execute();
  return {
    payments,
    deposits: deposits.map(({ txHash, ordinal, height, status, role, paymentId }) => ({
      txHash,
      ordinal,
      height,
      status,
      role,
      paymentId,
    })),
    unmatched: unmatched.length,
    held: held.length,
  };
}

/**
 * The writes at which a watcher dies differently: of those that follow the same two writes, the first. `MODEL_RUNS` given,
 * every one.
 */
function momentsOf(kinds: readonly string[]): number[] {
  const met = new Set<string>();
  const moments: number[] = [];
  kinds.forEach((_, index) => {
    const way = kinds.slice(Math.max(0, index - 2), index + 1).join();
    if (process.env.MODEL_RUNS === undefined && met.has(way)) return;
    met.add(way);
    moments.push(index + 1);
  });
  return moments;
}

describeDatabases('S3: a watcher that dies at a write', (openTestDb, kind) => {
  /** A story of its own. */
  async function tellOnce(db: Db, failing: number | null) {
    await emptyDatabase(db);
    return story(db, failing);
  }

  test('at any of them, comes to the same end as one that does not', { timeout: 240_000 }, async () => {
    const db = kind === 'PostgreSQL' ? await openTestDb() : await openDatabase('sqlite::memory:');
    onTestFinished(() => db.destroy());
    const { outcome, kinds } = await tellOnce(db, null);
    expect(outcome).toMatchObject({
      payments: [
        { status: 'confirmed', reason: null },
        { status: 'confirmed' },
        { status: 'failed', reason: 'underpaid' },
        { status: 'confirmed', reason: 'late' },
      ],
      unmatched: 1,
      held: 0,
    });
    expect(kinds.length).toBeGreaterThan(100);
    // The same code runs on PostgreSQL, where some of them suffice.
    const stride = kind === 'SQLite' ? 1 : 12;
    for (const write of momentsOf(kinds).filter((_, index) => index % stride === 0)) {
      const interrupted = await tellOnce(db, write);
      expect(interrupted.outcome, `died at write ${write}`).toEqual(outcome);
    }
  });
});
