import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Finality } from '../../src/core/networks.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { readChain } from '../../src/storage/chains/chains.ts';
import type { Db } from '../../src/storage/schema.ts';
import { openWorld, type World } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';
import { liveThrough } from '../support/histories.ts';

/*
 * L4: a chain that goes on and finalizes nothing. Blocks come every ten seconds; what is final trails by four.
 */

const lag = 4;

/** A chain whose finality can be made to stand still. */
async function openStalling(db: Db, finality: Finality = 'finalized') {
  const world = await openWorld(db, {
    addresses: 12,
    chain: { finality },
    scripted: { finalityLag: lag, maxRange: 5 },
    policy: { lifetimeSeconds: 40 },
  });
  let stalledAt: number | null = null;
  const { poll } = world.chain.source;
  world.chain.source.poll = async (request) => {
    const outcome = await poll(request);
    if (outcome.kind !== 'span' || outcome.span.finalizedHeight === null) return outcome;
    const finalizedHeight = Math.min(outcome.span.finalizedHeight, stalledAt ?? outcome.span.finalizedHeight);
    return { kind: 'span', span: { ...outcome.span, finalizedHeight } };
  };
  await world.read();
  return {
    world,
    stall: () => {
      stalledAt = world.chain.head().height - lag;
    },
    resume: () => {
      stalledAt = null;
    },
  };
}

const alarms = ({ lines }: World) => lines.filter(({ msg }) => msg === 'finality stalled');

async function statusesOf(world: World, payments: readonly OnchainPayment[]): Promise<string[]> {
  const found: string[] = [];
  for (const payment of payments) found.push((await world.status(payment)).status);
  return found;
}

/** For each block: whether a customer pays in it, and whether the daemon starts anew after it. */
const blocks = (maxLength: number) =>
  fc.array(fc.record({ paid: fc.boolean(), restart: fc.boolean() }), { minLength: 1, maxLength });

const history = fc.record({ before: blocks(4), stalled: blocks(20), after: blocks(4) });

type History = typeof history extends fc.Arbitrary<infer T> ? T : never;

async function live(db: Db, { before, stalled, after }: History): Promise<void> {
  const { world, stall, resume } = await openStalling(db);
  const paid: OnchainPayment[] = [];
  const pass = async (some: History['before']) => {
    for (const block of some) {
      if (block.paid && paid.length < 11) {
        const payment = await world.create();
        world.pay(payment);
        paid.push(payment);
      }
      world.mine(1);
      await world.read();
      if (block.restart) world.restart();
    }
  };
  const unpaid = await world.create();
  await pass(before);
  stall();
  const final = world.chain.head().height - lag;
  await pass(stalled);
  expect(await readChain(db, world.network)).toMatchObject({
    cursor: { height: world.chain.head().height },
    finalizedHeight: final,
  });
  for (const payment of paid) {
    const [deposit] = await world.deposits(payment);
    const held = (deposit?.height ?? 0) > final;
    expect(await world.status(payment)).toMatchObject({ status: held ? 'pending' : 'confirmed' });
  }
  resume();
  await pass(after);
  world.mine(lag + 6);
  await world.read();
  expect(await statusesOf(world, [...paid, unpaid])).toEqual([...paid.map(() => 'confirmed'), 'expired']);
  for (const payment of paid) {
    expect(await world.events(payment)).toEqual(['payment.detected', 'payment.confirmed']);
  }
}

describeDecisions('L4: a chain that finalizes nothing any more', (openTestDb, kind) => {
  test('holds back what it has not finalized, however long and whoever restarts, and then loses nothing', () =>
    liveThrough({ openTestDb, kind, history, live, runs: 12 }));

  test('is named in the log after a minute and once a minute, until it goes on', async () => {
    const { world, stall, resume } = await openStalling(await openTestDb());
    stall();
    const final = world.chain.head().height - lag;
    const step = async () => {
      world.mine(1);
      await world.read();
    };
    for (let seconds = 0; seconds < 50; seconds += 10) await step();
    expect(alarms(world)).toEqual([]);
    await step();
    expect(alarms(world)).toMatchObject([
      { level: 'warn', finalized: final, head: world.chain.head().height, stalled_seconds: 60 },
    ]);
    for (let seconds = 0; seconds < 120; seconds += 10) await step();
    expect(alarms(world)).toHaveLength(3);
    resume();
    await step();
    expect(world.lines.at(-1)).toMatchObject({ level: 'info', msg: 'finality resumed' });
    for (let seconds = 0; seconds < 120; seconds += 10) await step();
    expect(alarms(world)).toHaveLength(3);
  });

  test('is not said of one that makes no blocks, nor of one that is confirmed by depth', async () => {
    const { world: still } = await openStalling(await openTestDb());
    const { world: deep, stall } = await openStalling(await openTestDb(), 'depth');
    stall();
    for (let seconds = 0; seconds < 300; seconds += 10) {
      still.pass(10);
      await still.read();
      deep.mine(1);
      await deep.read();
    }
    expect([...alarms(still), ...alarms(deep)]).toEqual([]);
  });
});
