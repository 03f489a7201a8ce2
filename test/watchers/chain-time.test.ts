import { describe, expect, test } from 'vitest';
import { isClockConfirmed, isClockWrong } from '../../src/storage/chains/clock.ts';
import { openWorld, type World } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';
import { testTime } from '../support/payments.ts';

/*
 * A payment belongs to transfers mined after its lock, in the chain's own time. Blocks come every ten seconds.
 */

async function readBlocks(world: World, blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i++) {
    world.mine();
    await world.read();
  }
}

/** What passes between two readings while no address is in use. */
function rest(world: World, minutes = 1): void {
  world.mine(6 * minutes);
  world.pass(1);
}

/** What became of the money that was sent to a payment's address, by the reason why it is nobody's. */
async function unmatched(world: World): Promise<(string | null)[]> {
  const rows = await world.db.selectFrom('deposits').select('unmatched_reason').orderBy('id').execute();
  return rows.map((row) => row.unmatched_reason);
}

describeDecisions("the chain's own time at the lock", (openTestDb) => {
  test('(a) money of a cancelled payment, mined minutes before, does not pay the next holder while the chain is caught up with', async () => {
    const world = await openWorld(await openTestDb(), { addresses: 1, scripted: { maxRange: 2 } });
    await world.read();
    const first = await world.create();
    world.mine(2);
    world.pay(first);
    world.mine(20);
    await world.cancel(first);
    // The first answers after the outage: the head is far above what is read.
    await world.step();
    await world.step();
    const next = await world.create();
    expect(next.address).toBe(first.address);
    await world.read();
    await readBlocks(world, 4);
    expect(await world.status(next)).toEqual({ status: 'pending', reason: null });
    expect(await unmatched(world)).toEqual(['before_lock']);
  });

  test('(b) a head that one of three nodes made up, 2,000 too high, takes no payment its money', async () => {
    const world = await openWorld(await openTestDb(), { addresses: 60, scripted: { nodes: 3 } });
    await world.read();
    const { poll } = world.chain.source;
    world.chain.source.poll = async (request) => {
      const outcome = await poll(request);
      if (outcome.kind !== 'span') return outcome;
      const { span } = outcome;
      return { kind: 'span', span: { ...span, head: { ...span.head, height: span.head.height + 2_000 } } };
    };
    world.mine();
    await world.step();
    world.chain.source.poll = poll;
    for (let sold = 0; sold < 60; sold++) {
      const payment = await world.create();
      world.pay(payment);
      await readBlocks(world, 1);
    }
    await readBlocks(world, 4);
    const rows = await world.db.selectFrom('payments').select('status').execute();
    expect(new Set(rows.map(({ status }) => status))).toEqual(new Set(['confirmed']));
  });

  test.each([1, 5])(
    '(b) a node that moves its time by four seconds at each reading of a chain at rest, every %i minutes, takes no payment its money',
    async (minutes) => {
      const world = await openWorld(await openTestDb(), { scripted: { nodes: 3 } });
      world.chain.prefer(0);
      for (let readings = 0; readings < 100; readings++) {
        rest(world, minutes);
        const { hash, time } = world.chain.head();
        world.chain.nodes[0]?.times.set(hash, time + readings * 4);
        await world.read();
      }
      world.chain.nodes[0]?.times.clear();
      const payment = await world.create();
      world.pay(payment);
      await readBlocks(world, 4);
      expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
    },
  );

  test.each(['usdt', 'native'] as const)(
    '(c) a one-block reorg that replaces the head of the lock by the paying block costs nobody his %s',
    async (currency) => {
      const world = await openWorld(await openTestDb());
      await readBlocks(world, 2);
      const payment = await world.create(currency);
      world.pass(10);
      const tx = world.pay(payment);
      world.chain.mine();
      world.chain.reorg({ depth: 2, blocks: 2, place: (hash) => (hash === tx ? 0 : null) });
      await readBlocks(world, 5);
      const [deposit] = await world.deposits(payment);
      expect(deposit?.height).toBe(payment.lockHead.height);
      expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
    },
  );

  test('(d) a node that trails by 30 seconds does not let money pay that was mined 30 seconds before the lock', async () => {
    const world = await openWorld(await openTestDb(), { addresses: 1, scripted: { nodes: 2 } });
    await readBlocks(world, 3);
    const first = await world.create();
    await world.cancel(first);
    for (const node of world.chain.nodes) node.view = { behind: 3 };
    world.pay(first);
    await readBlocks(world, 3);
    const next = await world.create();
    await readBlocks(world, 6);
    expect(await world.status(next)).toEqual({ status: 'pending', reason: null });
    expect(await unmatched(world)).toEqual(['before_lock']);
  });

  describe.each([
    ['40 minutes slow', 40 * 60],
    ['90 seconds fast', -90],
  ])('(e) our clock %s', (_, ahead) => {
    test('costs no quick payment its money', async () => {
      const world = await openWorld(await openTestDb(), { addresses: 10, scripted: { ahead } });
      await world.read();
      const payments = [];
      for (let sold = 0; sold < 5; sold++) payments.push(await world.create());
      for (const payment of payments) world.pay(payment);
      await readBlocks(world, 4);
      for (const payment of payments)
        expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
    });

    test('lets an unpaid payment expire after its lifetime', async () => {
      const world = await openWorld(await openTestDb(), { scripted: { ahead } });
      await world.read();
      const payment = await world.create();
      await readBlocks(world, 5);
      expect(await world.status(payment)).toMatchObject({ status: 'pending' });
      await readBlocks(world, 2 + Math.max(0, -ahead) / 10);
      expect(await world.status(payment)).toMatchObject({ status: 'expired' });
    });
  });

  test('goes on while the chain stands still, and a clock that is set does not move it', async () => {
    const world = await openWorld(await openTestDb());
    await readBlocks(world, 2);
    const { time } = world.chain.head();
    world.pass(25);
    expect(await world.create()).toMatchObject({ lockChainTime: (time + 25) * 1000 });
    world.pass(-3_600);
    expect(await world.create()).toMatchObject({ lockChainTime: (time + 25) * 1000 });
  });
});

describeDecisions('the clock is judged by the chain', (openTestDb) => {
  /** A chain whose time is so far ahead of our clock. */
  async function openSkewed(ahead: number, minutes = 2): Promise<World> {
    const world = await openWorld(await openTestDb(), { addresses: 30, scripted: { ahead } });
    await world.read();
    await readBlocks(world, minutes * 6);
    return world;
  }

  const said = ({ lines }: World) => lines.filter(({ msg }) => msg === 'clock skew');

  test('only from blocks that appeared while we watched, and after a minute of it', async () => {
    const world = await openWorld(await openTestDb());
    // The chain stood still for an hour before we came, and for another while we watch.
    world.pass(3_600);
    await world.read();
    for (let minutes = 0; minutes < 60; minutes++) {
      world.pass(60);
      await world.read();
    }
    expect(said(world)).toEqual([]);
    expect(await world.tryCreate()).toMatchObject({ outcome: 'created' });
    await readBlocks(world, 12);
    expect(said(world)).toEqual([]);

    const skewed = await openSkewed(-60, 1);
    expect(said(skewed)).toEqual([]);
    await readBlocks(skewed, 2);
    expect(said(skewed)).toMatchObject([{ level: 'warn', seconds: 60 }]);
  });

  test('also while nobody pays, so that the first payment after that is not made by a wrong clock', async () => {
    const world = await openWorld(await openTestDb(), { addresses: 30, scripted: { ahead: 40 * 60 } });
    await world.read();
    for (let minutes = 0; minutes < 3; minutes++) {
      rest(world);
      await world.read();
    }
    expect(said(world)).toMatchObject([{ level: 'warn' }, { level: 'warn' }]);
    expect(await world.tryCreate()).toMatchObject({ outcome: 'clock_skew' });
  });

  test.each([
    [29, 0, 'created'],
    [40, 1, 'created'],
    [-90, 1, 'created'],
    [-130, 1, 'clock_skew'],
    [40 * 60, 1, 'clock_skew'],
  ])('off by %i seconds: said %i times a minute, and creation is %s', async (ahead, lines, outcome) => {
    const world = await openSkewed(ahead);
    expect(said(world)).toHaveLength(lines);
    expect(await world.tryCreate()).toMatchObject({ outcome });
    expect(await isClockWrong(world.db, world.clock, testTime)).toBe(lines > 0);
    const confirmed = await isClockConfirmed(world.db, world.clock, ['bsc'], testTime);
    expect(confirmed).toBe(outcome === 'created');
  });

  test('is not confirmed before a chain that is read has told the time, and needs no confirming where none is', async () => {
    const world = await openWorld(await openTestDb());
    const confirmed = (...networks: string[]) => isClockConfirmed(world.db, world.clock, networks, testTime);
    expect(await confirmed('bsc')).toBe(false);
    expect(await confirmed()).toBe(true);
    await world.read();
    expect(await confirmed('bsc')).toBe(true);
    expect(await confirmed('ethereum', 'bsc')).toBe(true);
    expect(await confirmed('ethereum')).toBe(false);
    // A clock that was set while nobody read: by itself it would say that as much time has passed.
    world.pass(2 * 86_400);
    expect(await confirmed('bsc')).toBe(false);
    world.pass(-3 * 86_400);
    expect(await confirmed('bsc')).toBe(false);
  });

  test('and again once it was set right', async () => {
    const world = await openSkewed(300);
    expect(await world.tryCreate()).toMatchObject({ outcome: 'clock_skew' });
    world.pass(300);
    await readBlocks(world, 1);
    expect(await world.tryCreate()).toMatchObject({ outcome: 'created' });
  });
});
