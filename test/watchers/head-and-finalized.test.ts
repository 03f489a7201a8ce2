import { describe, expect, test } from 'vitest';
import { readChain } from '../../src/storage/chains/chains.ts';
import { openWorld, type World, type WorldOptions } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';

/*
 * One of several nodes lies about how far the chain has got, what time it is there, or what is final.
 */

async function readBlocks(world: World, blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i++) {
    world.mine();
    await world.read();
  }
}

type Lie = { height?: number; time?: number; finalized?: 'latest' };

/** The first of so many nodes lies, while it is asked first. */
function liarOf(world: World, lie: Lie): { stop(): void } {
  const { source } = world.chain;
  const { poll, headsOfEach } = source;
  const liar = world.chain.nodes[0]?.name;
  // Who is distrusted is asked last.
  const { distrust } = source;
  source.distrust = (host, reason) => {
    distrust(host, reason);
    if (host === liar) world.chain.prefer(1);
  };
  source.poll = async (request) => {
    const outcome = await poll(request);
    if (outcome.kind !== 'span' || outcome.span.host !== liar) return outcome;
    const { span } = outcome;
    const { height, time } = span.head;
    const head = { ...span.head, height: height + (lie.height ?? 0), time: time + (lie.time ?? 0) };
    const finalizedHeight = lie.finalized === 'latest' ? span.to.height : span.finalizedHeight;
    return { kind: 'span', span: { ...span, head, finalizedHeight } };
  };
  source.headsOfEach = async (...asked) => {
    const answers = await headsOfEach(...asked);
    return answers.map((answer) => {
      if (answer.kind === 'silent' || answer.host !== liar) return answer;
      const { latest, finalized } = answer.value;
      const shown = {
        ...latest,
        height: latest.height + (lie.height ?? 0),
        time: latest.time + (lie.time ?? 0),
      };
      return {
        ...answer,
        value: { latest: shown, finalized: lie.finalized === 'latest' ? latest : finalized },
      };
    });
  };
  return {
    stop: () => {
      source.poll = poll;
      source.headsOfEach = headsOfEach;
    },
  };
}

const distrusted = ({ chain }: World) => chain.distrusted.map(({ host }) => host);

describeDecisions('a head that nothing explains', (openTestDb) => {
  async function openLying(nodes: number, lie: Lie, options: WorldOptions = {}) {
    const world = await openWorld(await openTestDb(), { addresses: 30, scripted: { nodes }, ...options });
    await readBlocks(world, 3);
    return { world, liar: liarOf(world, lie) };
  }

  test.each([
    ['one of three', 3],
    ['one of two', 2],
  ])('2,000 blocks too high, shown by %s, is used by nobody', async (_, nodes) => {
    const { world } = await openLying(nodes, { height: 2_000 });
    world.mine();
    await world.step();
    expect((await readChain(world.db, world.network))?.head.height).toBeLessThanOrEqual(
      world.chain.head().height,
    );
    expect(distrusted(world)).toContain(world.chain.nodes[0]?.name);
  });

  test.each([
    ['an hour fast', { time: 3_600 }],
    ['an hour slow', { time: -3_600 }],
    ['a minute fast', { time: 60 }],
  ])(
    'that is the first since a start, or after a pause, with a time %s, tells no time of a lock',
    async (_, lie) => {
      for (const nodes of [2, 3]) {
        const { world } = await openLying(nodes, lie);
        for (const again of [() => world.restart(), () => world.pass(90)]) {
          again();
          // Asked first again, though it was found out before.
          world.chain.prefer(0);
          world.mine();
          await world.step();
          const payment = await world.create();
          expect(Math.abs(payment.lockChainTime - world.clock())).toBeLessThanOrEqual(10_000);
          world.pay(payment);
          await readBlocks(world, 5);
          expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
        }
      }
    },
  );

  test('that is old because of a pause of our own is excused once in a while; a node that shows old ones again is not', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await readBlocks(world, 3);
    const { source } = world.chain;
    const { poll } = source;
    const sleepWhileReading = async () => {
      source.poll = async (request) => {
        const outcome = await poll(request);
        // We slept, and the chain did not.
        world.pass(90);
        for (let blocks = 0; blocks < 30; blocks++) world.mine();
        return outcome;
      };
      await world.step();
      source.poll = poll;
    };
    await sleepWhileReading();
    expect(distrusted(world)).toEqual([]);
    // The next night.
    world.pass(86_400);
    await readBlocks(world, 2);
    await sleepWhileReading();
    expect(distrusted(world)).toEqual([]);
    await readBlocks(world, 2);
    await sleepWhileReading();
    expect(distrusted(world)).toEqual([world.chain.nodes[0]?.name]);
    await readBlocks(world, 2);
    expect(await readChain(world.db, world.network)).toMatchObject({ head: world.chain.head() });
  });

  test('2,000 blocks too high, shown by one of two, begins no chain', async () => {
    const height = 2_000;
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2, height: 3_000 } });
    const { source } = world.chain;
    const { start } = source;
    liarOf(world, { height });
    source.start = async (...asked) => {
      const { cursor } = await start(...asked);
      const shown = { ...cursor, height: cursor.height + height };
      // Who is distrusted is asked last.
      return world.chain.distrusted.length > 0 ? { cursor, head: cursor } : { cursor: shown, head: shown };
    };
    expect(await world.step()).toMatchObject({ kind: 'failed' });
    expect(await readChain(world.db, world.network)).toBeNull();
    expect(distrusted(world)).toEqual([world.chain.nodes[0]?.name]);
    await readBlocks(world, 2);
    expect(await readChain(world.db, world.network)).toMatchObject({ cursor: world.chain.head() });
  });

  test('waits for a second node anew in each outage', async () => {
    const { world } = await openLying(2, {});
    const [, other] = world.chain.nodes;
    if (other === undefined) throw new Error('no second node');
    const { endpoints } = world.chain.source;
    let answeredAt = world.clock();
    world.chain.source.endpoints = () => endpoints().map((node) => ({ ...node, answeredAt }));
    other.up = false;
    world.restart();
    await readBlocks(world, 1);
    // It is back, and was not asked about a head, for none was doubtful.
    other.up = true;
    for (let blocks = 0; blocks < 30; blocks++) {
      answeredAt = world.clock();
      await readBlocks(world, 1);
    }
    other.up = false;
    liarOf(world, { height: 2_000 });
    world.mine();
    await world.step();
    expect((await readChain(world.db, world.network))?.head.height).toBe(world.chain.head().height - 1);
  });

  test('is used where one node is all there is', async () => {
    const { world } = await openLying(1, { height: 2_000 });
    world.mine();
    await world.step();
    expect((await readChain(world.db, world.network))?.head.height).toBe(world.chain.head().height + 2_000);
  });

  test('waits while all others are silent, and is used alone after a minute', async () => {
    const { world } = await openLying(2, { height: 2_000 });
    const [, other] = world.chain.nodes;
    if (other !== undefined) other.up = false;
    world.mine();
    await world.step();
    const { height } = world.chain.head();
    expect((await readChain(world.db, world.network))?.head.height).toBeLessThanOrEqual(height);
    world.pass(61);
    await world.step();
    expect((await readChain(world.db, world.network))?.head.height).toBe(height + 2_000);
    expect(world.lines).toContainEqual(expect.objectContaining({ msg: 'head used without second node' }));
  });

  test.each([
    ['an hour fast', 3_600],
    ['half a minute fast', 30],
  ])(
    'with a time %s, shown by one of three, neither sets the time of a lock nor our clock wrong',
    async (_, time) => {
      const { world } = await openLying(3, { time });
      await readBlocks(world, 12);
      const payment = await world.create();
      expect(payment.lockChainTime).toBeLessThanOrEqual(world.clock() + 5_000);
      world.pay(payment);
      await readBlocks(world, 4);
      expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
      expect(world.lines.filter(({ msg }) => msg === 'clock skew')).toEqual([]);
    },
  );

  test('the quiet tick of three honest nodes asks only one of them', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 3 } });
    await readBlocks(world, 3);
    let asked = 0;
    const { headsOfEach } = world.chain.source;
    world.chain.source.headsOfEach = (...question) => {
      asked += 1;
      return headsOfEach(...question);
    };
    await readBlocks(world, 20);
    expect(asked).toBe(0);
  });
});

describeDecisions('a chain that stands still for half an hour', (openTestDb, kind) => {
  // A matter of time, not of the database.
  test.skipIf(kind !== 'SQLite').each(['three nodes', 'two nodes, one of them down'])(
    'asks all of %s once a minute',
    async (what) => {
      const nodes = what === 'three nodes' ? 3 : 2;
      const world = await openWorld(await openTestDb(), { scripted: { nodes } });
      await readBlocks(world, 3);
      const [, other] = world.chain.nodes;
      if (other !== undefined) other.up = nodes === 3;
      const before = world.chain.calls.headsOfEach;
      for (let second = 0; second < 1_800; second += 5) {
        world.pass(5);
        await world.step();
      }
      // While it waits for a second node, each time: to ask nodes that back off costs nothing.
      expect(world.chain.calls.headsOfEach - before).toBeLessThanOrEqual(nodes === 3 ? 30 : 30 + 12);
      const alone = world.lines.filter(({ msg }) => msg === 'head used without second node');
      expect(alone.length).toBeLessThanOrEqual(nodes === 3 ? 0 : 30);
      // It goes on like any other.
      if (other !== undefined) other.up = true;
      const payment = await world.create();
      world.pay(payment);
      await readBlocks(world, 5);
      expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    },
  );
});

describeDecisions('finalized = latest, said by one of several nodes', (openTestDb, database) => {
  const crews = [
    ['depth', 3],
    ['finalized', 3],
    ['depth', 2],
    ['finalized', 2],
  ] as const;
  // The database makes no difference to how many nodes there are.
  describe.each(database === 'SQLite' ? crews : crews.slice(0, 2))(
    'with finality "%s", of %i',
    (finality, nodes) => {
      async function openLying() {
        const world = await openWorld(await openTestDb(), {
          addresses: 10,
          chain: { finality },
          scripted: { nodes, finalityLag: 4 },
        });
        await readBlocks(world, 8);
        liarOf(world, { finalized: 'latest' });
        await readBlocks(world, 8);
        return world;
      }

      test('then an ordinary one-block reorg stops no chain', async () => {
        const world = await openLying();
        world.chain.reorg({ depth: 1 });
        await readBlocks(world, 3);
        expect(await readChain(world.db, world.network)).toMatchObject({
          cursor: world.chain.head(),
          stoppedReason: null,
        });
      });

      test('does not make the honest nodes look as if they were behind', async () => {
        const world = await openLying();
        world.chain.prefer(1);
        const { finalizedHeight } = (await readChain(world.db, world.network)) ?? {};
        expect(finalizedHeight ?? 0).toBeLessThanOrEqual(world.chain.head().height - 4);
        world.mine();
        expect(await world.step()).not.toMatchObject({ kind: 'failed' });
        expect(await world.tryCreate()).toMatchObject({ outcome: 'created' });
      });
    },
  );

  test.each([3, 2])('of %i a deposit is confirmed once two nodes call its block final', async (nodes) => {
    const world = await openWorld(await openTestDb(), {
      chain: { finality: 'finalized' },
      scripted: { nodes, finalityLag: 8 },
    });
    await readBlocks(world, 10);
    const payment = await world.create();
    world.pay(payment);
    liarOf(world, { finalized: 'latest' });
    await readBlocks(world, 5);
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
    await readBlocks(world, 6);
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
  });
});
