import { expect, test } from 'vitest';
import type { OnchainPayment } from '../../../src/core/payment.ts';
import { deleteAnchors, readChain } from '../../../src/storage/chains/chains.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { openWorld, type World } from '../../support/chain-world.ts';
import { describeDecisions } from '../../support/databases.ts';
import type { ScriptedNode } from '../../support/scripted-chain.ts';

/*
 * A fork below a confirmed deposit: whose word takes it back. The first node of several is asked first.
 */

function node({ chain }: World, n: number): ScriptedNode {
  const found = chain.nodes[n];
  if (found === undefined) throw new Error(`no node ${n}`);
  return found;
}

const confirmed = { status: 'confirmed', reason: null };
const reverted = { status: 'failed', reason: 'reorged' };
const disagree = 'nodes disagree about a block';
const alone = 'confirmed deposits taken back without second node';

const messages = ({ lines }: World, msg: string) =>
  lines.filter((line) => line.msg === msg && line.level !== 'debug');

async function cursorOf({ db, network }: World) {
  return (await readChain(db, network))?.cursor;
}

/** A payment that is confirmed, and after it a fork without its transfer, which all nodes show that follow the chain. */
async function openForked(db: Db, nodes: number): Promise<{ world: World; payment: OnchainPayment }> {
  const world = await openWorld(db, { scripted: { nodes } });
  await world.read();
  const payment = await world.create();
  world.pay(payment);
  world.mine(4);
  await world.read();
  expect(await world.status(payment)).toEqual(confirmed);
  return { world, payment };
}

/** From now on these nodes sit on a fork of their own without the payment; the others go on where they were. */
function mislead(world: World, ...nodes: number[]): void {
  const former = world.chain.head();
  world.chain.reorg({ depth: 4, blocks: 8, place: () => null });
  for (const n of nodes) node(world, n).view = { stuckAt: world.chain.head().hash };
  world.chain.revive(former.hash);
}

/** Steps every ten seconds for so long. */
async function live(world: World, seconds: number): Promise<void> {
  for (let passed = 0; passed < seconds; passed += 10) {
    world.pass(10);
    await world.step();
  }
}

describeDecisions('S1: a fork below a confirmed deposit', (openTestDb) => {
  test('is not believed of one node while another has our block, and that node is used last', async () => {
    const { world, payment } = await openForked(await openTestDb(), 2);
    const before = await cursorOf(world);
    mislead(world, 0);
    expect(await world.step()).toMatchObject({ kind: 'failed' });
    expect(await cursorOf(world)).toEqual(before);
    const reason = expect.stringMatching(/^it has another block at \d+, where a deposit is confirmed$/);
    expect(world.chain.distrusted).toEqual([{ host: 'node-0', reason }]);
    world.chain.prefer(1);
    world.mine(2);
    await world.read();
    expect(await cursorOf(world)).toEqual(world.chain.head());
    // Asked first again, it changes nothing, and the log has said it.
    world.chain.prefer(0);
    world.mine(2);
    await world.step();
    expect(world.chain.distrusted).toHaveLength(2);
    expect(await world.status(payment)).toEqual(confirmed);
    expect(await world.deposits(payment)).toMatchObject([{ status: 'confirmed' }]);
    expect(await world.events(payment)).toEqual(['payment.detected', 'payment.confirmed']);
    const [deposit] = await world.deposits(payment);
    expect(messages(world, disagree)).toEqual([
      expect.objectContaining({
        level: 'warn',
        height: deposit?.height,
        upheld_by: ['node-1'],
        denied_by: ['node-0'],
      }),
    ]);
  });

  test('is believed at once where two nodes have it', async () => {
    const { world, payment } = await openForked(await openTestDb(), 2);
    world.chain.reorg({ depth: 4, place: () => null });
    expect(await world.step()).toMatchObject({ kind: 'reorged' });
    expect(await world.status(payment)).toEqual(reverted);
    expect(world.chain.distrusted).toEqual([]);
    expect(messages(world, alone)).toEqual([]);
  });

  test('is believed at once where there is one node', async () => {
    const { world, payment } = await openForked(await openTestDb(), 1);
    world.chain.reorg({ depth: 4, place: () => null });
    expect(await world.step()).toMatchObject({ kind: 'reorged' });
    expect(await world.status(payment)).toEqual(reverted);
    expect(messages(world, alone)).toEqual([]);
  });

  test('of two nodes outweighs a third', async () => {
    const { world, payment } = await openForked(await openTestDb(), 3);
    mislead(world, 0, 2);
    expect(await world.step()).toMatchObject({ kind: 'reorged' });
    expect(await world.status(payment)).toEqual(reverted);
    expect(world.chain.distrusted).toEqual([]);
  });

  test.each([
    ['down', (other: ScriptedNode) => Object.assign(other, { up: false })],
    ['behind', (other: ScriptedNode) => Object.assign(other, { view: { behind: 100 } })],
  ])(
    'waits for a second node that is %s, and is not believed when that has our block after all',
    async (_, away) => {
      const { world, payment } = await openForked(await openTestDb(), 2);
      mislead(world, 0);
      away(node(world, 1));
      await live(world, 50);
      expect(await world.status(payment)).toEqual(confirmed);
      expect(world.chain.distrusted).toEqual([]);
      Object.assign(node(world, 1), { up: true, view: 'tip' });
      world.mine(1);
      await world.step();
      expect(world.chain.distrusted).toMatchObject([{ host: 'node-0' }]);
      await live(world, 600);
      expect(await world.events(payment)).toEqual(['payment.detected', 'payment.confirmed']);
    },
  );

  test.each([
    ['down', (other: ScriptedNode) => Object.assign(other, { up: false })],
    ['behind', (other: ScriptedNode) => Object.assign(other, { view: { behind: 100 } })],
    // As far as we have read, and no further: its word counts for as long as the chain may just be slow.
    ['stuck', () => {}],
  ])('is believed of one node after a minute while the other is %s', async (_, away) => {
    const { world, payment } = await openForked(await openTestDb(), 2);
    const former = world.chain.head();
    away(node(world, 1));
    if (node(world, 1).view === 'tip') node(world, 1).view = { stuckAt: former.hash };
    world.chain.reorg({ depth: 4, blocks: 5, place: () => null });
    for (let passed = 0; passed < 60; passed += 10) {
      await world.step();
      expect(await world.status(payment)).toEqual(confirmed);
      world.mine(1);
    }
    await world.read();
    expect(await world.status(payment)).toEqual(reverted);
    expect(messages(world, alone)).toEqual([
      expect.objectContaining({ level: 'warn', denied_by: ['node-0'] }),
    ]);
    expect(await cursorOf(world)).toEqual(world.chain.head());
  });

  test('is contradicted by nobody who has our block but has not got as far as we have', async () => {
    const { world, payment } = await openForked(await openTestDb(), 2);
    mislead(world, 0);
    const { height } = world.chain.head();
    const below = world.chain.at(height - 1);
    if (below === null) throw new Error('no block below the head');
    node(world, 1).view = { stuckAt: below.hash };
    expect(await world.step()).toMatchObject({ kind: 'failed' });
    expect(world.chain.distrusted).toEqual([]);
    expect(messages(world, disagree)).toEqual([]);
    expect(await world.status(payment)).toEqual(confirmed);
  });

  test('waits no longer because the clock was set back', async () => {
    const { world, payment } = await openForked(await openTestDb(), 2);
    node(world, 1).up = false;
    world.chain.reorg({ depth: 4, place: () => null });
    await live(world, 20);
    world.pass(-86_400);
    world.mine(1);
    await live(world, 70);
    expect(await world.status(payment)).toEqual(reverted);
  });

  test('that was read from a node already is not believed either when the next blocks show it', async () => {
    const { world, payment } = await openForked(await openTestDb(), 2);
    const [deposit] = await world.deposits(payment);
    // The first node is asked where the chain forks and says: below, though the deposit stands. So it is read again.
    const { blocksAt, poll } = world.chain.source;
    world.chain.source.poll = async () => ({ kind: 'reorg' });
    let asked = 0;
    world.chain.source.blocksAt = async (heights, signal) => {
      const now = await blocksAt(heights, signal);
      asked += 1;
      if (asked > 1) return now;
      const forked = (height: number) => height >= (deposit?.height ?? 0);
      return new Map(
        [...now].map(([height, block]) => [
          height,
          block !== null && forked(height)
            ? { ...block, hash: `0x${'9'.repeat(64)}` as typeof block.hash }
            : block,
        ]),
      );
    };
    expect(await world.step()).toMatchObject({ kind: 'reorged' });
    Object.assign(world.chain.source, { blocksAt, poll });
    const before = await cursorOf(world);
    expect(before?.height).toBe((deposit?.height ?? 0) - 1);
    mislead(world, 0);
    for (let steps = 0; steps < 3; steps++) await world.step();
    expect(await cursorOf(world)).toEqual(before);
    expect(await world.status(payment)).toEqual(confirmed);
    world.chain.prefer(1);
    world.mine(2);
    await live(world, 30);
    await world.read();
    expect(await cursorOf(world)).toEqual(world.chain.head());
    expect(await world.events(payment)).toEqual(['payment.detected', 'payment.confirmed']);
  });

  test('costs no further question while what it takes back is not confirmed', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(2);
    await world.read();
    const before = world.chain.calls.blocksAt;
    mislead(world, 0);
    expect(await world.step()).toMatchObject({ kind: 'reorged' });
    // Where the fork is, and whether the deposit's block stands.
    expect(world.chain.calls.blocksAt - before).toBe(2);
    expect(await world.deposits(payment)).toMatchObject([{ status: 'orphaned' }]);
  });
});

describeDecisions('S1: a confirmed transfer that one node shows in another block as well', (openTestDb) => {
  async function openMoved(nodes: number, liar: number): Promise<{ world: World; payment: OnchainPayment }> {
    const { world, payment } = await openForked(await openTestDb(), nodes);
    world.mine(1);
    const [transfer] = world.chain.transfers();
    if (transfer === undefined) throw new Error('nothing was paid');
    node(world, liar).invents.push({ ...transfer, block: world.chain.head(), amount: 1n });
    world.mine(4);
    await world.read();
    return { world, payment };
  }

  test('stays where it is', async () => {
    const { world, payment } = await openMoved(2, 0);
    expect(await cursorOf(world)).toEqual(world.chain.head());
    expect(await world.deposits(payment)).toMatchObject([
      { status: 'confirmed', amount: payment.expectedAmount },
    ]);
    expect(await world.events(payment)).toEqual(['payment.detected', 'payment.confirmed']);
  });

  test('stays where it is, too, when that is in the second reading', async () => {
    const { world, payment } = await openMoved(2, 1);
    expect(await world.recheck()).toBe('nothing');
    expect(await world.deposits(payment)).toMatchObject([
      { status: 'confirmed', amount: payment.expectedAmount },
    ]);
    expect(await world.events(payment)).toEqual(['payment.detected', 'payment.confirmed']);
  });

  test('goes there when its own block is gone, though reading has not come to that yet', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2, maxRange: 1 } });
    await world.read();
    const payment = await world.create();
    world.mine(2);
    world.pay(payment);
    world.mine(6);
    await world.read();
    const [before] = await world.deposits(payment);
    const height = before?.height ?? 0;
    // Anchors are sparse: a fork above the deposit is taken to begin below it.
    const heights = Array.from({ length: 9 }, (_, depth) => world.chain.head().height - depth);
    await inTransaction(world.db, (trx) => deleteAnchors(trx, world.network, heights));
    world.chain.reorg({ depth: 2 });
    expect((await world.step()).kind).toBe('reorged');
    expect((await cursorOf(world))?.height).toBeLessThan(height - 1);
    expect(await world.deposits(payment)).toEqual([before]);
    // Meanwhile the chain changes again, and has it a block earlier.
    world.chain.reorg({ depth: world.chain.head().height - height + 2, place: () => 0 });
    await world.read();
    expect(await world.deposits(payment)).toMatchObject([{ status: 'confirmed', height: height - 1 }]);
    expect(await world.recheck()).toBe('nothing');
    expect(world.findings).toEqual([]);
  });
});

describeDecisions('S1: a confirmed deposit that a second reading leaves out', (openTestDb) => {
  test('is not taken back on the word of that reading alone, where the node that showed it has no receipts', async () => {
    const { world, payment } = await openForked(await openTestDb(), 2);
    const [deposit] = await world.deposits(payment);
    if (deposit === undefined) throw new Error('nothing was paid');
    node(world, 0).lacks.push('receipts');
    node(world, 1).hides.add(deposit.txHash);
    node(world, 1).denies.add(deposit.txHash);
    await world.recheck();
    expect(await world.deposits(payment)).toMatchObject([{ status: 'confirmed' }]);
    expect(await world.status(payment)).toEqual(confirmed);
  });
});
