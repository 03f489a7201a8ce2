import { expect, test } from 'vitest';
import { readChain } from '../../src/storage/chains/chains.ts';
import { readCoverage } from '../../src/storage/chains/recheck-marks.ts';
import { listAudit } from '../../src/storage/operators/audit.ts';
import { acceptFork, setCursor } from '../../src/watchers/override.ts';
import { openWorld, type World } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';

const { signal } = new AbortController();
const decision = { actor: 'cli', reason: 'the validators went back' };

function depsOf(world: World) {
  const { db, chain, chainConfig, clock } = world;
  return {
    db,
    chain: chainConfig,
    source: chain.source,
    latePolicy: 'flag' as const,
    clock,
  };
}

async function readBlocks(world: World, blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i++) {
    world.mine();
    await world.read();
  }
}

/** The chain replaced final blocks, with a confirmed payment in them, and is stopped. */
async function openStopped(db: Parameters<typeof openWorld>[0]) {
  const world = await openWorld(db, { chain: { finality: 'finalized' }, scripted: { finalityLag: 1 } });
  await readBlocks(world, 3);
  const payment = await world.create();
  world.pay(payment);
  await readBlocks(world, 5);
  expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  world.chain.reorg({ depth: 5, place: () => null });
  world.mine(3);
  await world.read();
  expect((await readChain(db, world.network))?.stoppedReason).not.toBeNull();
  return { world, payment };
}

const audited = async ({ db, network }: World) =>
  (await listAudit(db, { subject: network, beforeId: null, limit: 5 })).map(({ action, detail }) => [
    action,
    detail.reason,
  ]);

describeDecisions('a chain that is stopped', (openTestDb) => {
  test('goes on with the branch of the nodes when an operator accepts it, and takes back what it must', async () => {
    const { world, payment } = await openStopped(await openTestDb());
    const accepted = await acceptFork(depsOf(world), decision, signal);
    expect(accepted.settled).toMatchObject([{ payment: { status: 'failed', reason: 'reorged' } }]);
    expect(await world.status(payment)).toEqual({ status: 'failed', reason: 'reorged' });
    expect(await world.events(payment)).toContain('payment.reverted');
    // The daemon that runs beside needs no restart.
    await readBlocks(world, 2);
    expect(await readChain(world.db, world.network)).toMatchObject({
      cursor: world.chain.head(),
      stoppedReason: null,
    });
    expect(world.lines).toContainEqual(expect.objectContaining({ msg: 'chain resumed' }));
    expect(await audited(world)).toEqual([['chain.fork_accepted', decision.reason]]);
    const next = await world.create();
    world.pay(next);
    await readBlocks(world, 5);
    expect(await world.status(next)).toMatchObject({ status: 'confirmed' });
  });

  test('is read again from a block below, and counts nothing twice', async () => {
    const world = await openWorld(await openTestDb());
    await readBlocks(world, 3);
    const payment = await world.create();
    world.pay(payment);
    await readBlocks(world, 5);
    const height = world.chain.head().height - 5;
    await setCursor(depsOf(world), { ...decision, height, skip: false }, signal);
    expect((await readChain(world.db, world.network))?.cursor).toEqual(world.chain.at(height));
    await readBlocks(world, 2);
    expect((await readChain(world.db, world.network))?.cursor).toEqual(world.chain.head());
    expect(await world.deposits(payment)).toHaveLength(1);
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
    expect(await audited(world)).toEqual([['chain.cursor_set', decision.reason]]);
  });

  test('leaves blocks unread only when that is said, and shows them as a gap', async () => {
    const world = await openWorld(await openTestDb());
    await readBlocks(world, 3);
    const read = world.chain.head().height;
    world.mine(40);
    const height = read + 30;
    await expect(setCursor(depsOf(world), { ...decision, height, skip: false }, signal)).rejects.toThrow(
      '--skip',
    );
    const far = { ...decision, height: read + 1_000, skip: true };
    await expect(setCursor(depsOf(world), far, signal)).rejects.toThrow(`no node has block ${read + 1_000}`);
    const moved = await setCursor(depsOf(world), { ...decision, height, skip: true }, signal);
    expect(moved).toMatchObject({ from: { height: read }, to: { height }, skipped: 30 });
    await readBlocks(world, 2);
    expect((await readChain(world.db, world.network))?.cursor).toEqual(world.chain.head());
    await world.recheck();
    expect((await readCoverage(world.db, world.network))?.gaps).toEqual([{ from: read + 1, to: height }]);
  });

  test('is left alone where the nodes have all that we read', async () => {
    const world = await openWorld(await openTestDb());
    await readBlocks(world, 3);
    await expect(acceptFork(depsOf(world), decision, signal)).rejects.toThrow('no fork to accept');
  });
});
