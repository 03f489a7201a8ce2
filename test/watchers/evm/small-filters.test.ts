import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import type { OnchainPayment } from '../../../src/core/payment.ts';
import { readChain } from '../../../src/storage/chains/chains.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { createEvmSource } from '../../../src/watchers/evm/source.ts';
import { evmKey } from '../../support/addresses.ts';
import { openWorld, type World, type WorldOptions } from '../../support/chain-world.ts';
import { describeDecisions } from '../../support/databases.ts';
import { endpointOf } from '../../support/evm.ts';
import { type GatedNode, gatedNodeForTest } from '../../support/gated-node.ts';
import { modelRuns, seed } from '../../support/histories.ts';
import { allDeposits } from '../../support/model-checks.ts';
import { tokenKey } from '../../support/payments.ts';
import { startScriptedNode } from '../../support/scripted-node.ts';

/*
 * At the head only addresses in use are asked for. Whatever is locked, let go and paid, and when: what comes to an address
 * in use is seen without any second reading.
 */

async function openChain(db: Db, options: WorldOptions = {}): Promise<{ world: World; gate: GatedNode }> {
  const urls: string[] = [];
  const world = await openWorld(db, {
    addresses: 60,
    policy: { lifetimeSeconds: 3_600, quarantineSeconds: 0 },
    openSource: (_, { chain, clock, log }) =>
      createEvmSource({ chain: { ...chain, rpc: urls.map((url) => endpointOf(url)) }, clock, log }),
    ...options,
  });
  const node = await startScriptedNode(world.chain);
  onTestFinished(async () => {
    await world.close();
    await node.close();
  });
  const gate = await gatedNodeForTest(node.url);
  urls.push(gate.url);
  world.restart();
  await world.read();
  return { world, gate };
}

/** `payment`: counted from the newest. */
const act = fc.record({
  kind: fc.constantFrom('create', 'create and pay', 'cancel', 'pay'),
  payment: fc.nat(5),
  tenths: fc.constantFrom(3, 7, 10),
});
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never;

/** What happens before a step, and in the midst of its first question; the block that is due comes then or then. */
const round = fc.record({
  before: fc.array(act, { maxLength: 2 }),
  when: fc.constantFrom('asked', 'answered'),
  during: fc.array(act, { maxLength: 2 }),
  mined: fc.constantFrom('before', 'during'),
});
type Round = typeof round extends fc.Arbitrary<infer T> ? T : never;

async function live({ world, gate }: { world: World; gate: GatedNode }, rounds: readonly Round[]) {
  const payments: OnchainPayment[] = [];
  const sent = new Set<string>();

  async function happen(acts: readonly Act[]): Promise<void> {
    for (const { kind, payment: at, tenths } of acts) {
      const payment = payments.at(-1 - at);
      if (kind.startsWith('create')) {
        const outcome = await world.tryCreate();
        if (!('view' in outcome)) continue;
        payments.push(outcome.view.payment);
        if (kind === 'create and pay') sent.add(world.pay(outcome.view.payment, tenths));
      } else if (kind === 'cancel' && payment !== undefined) await world.cancel(payment);
      else if (kind === 'pay' && payment !== undefined) sent.add(world.pay(payment, tenths));
    }
  }

  for (const { before, when, during, mined } of rounds) {
    world.pass(10);
    await happen(before);
    if (mined === 'before') world.chain.mine();
    gate.once(when, async () => {
      await happen(during);
      if (mined === 'during') world.chain.mine();
    });
    await world.read();
  }
  gate.once('asked', async () => {});
  for (let block = 0; block < 4; block++) {
    world.mine();
    await world.read();
  }
  const seen = (await allDeposits(world)).filter(({ txHash }) => sent.has(txHash));
  expect(new Set(seen.map(({ txHash }) => txHash))).toEqual(sent);
  await world.recheck();
  expect(world.findings).toEqual([]);
  return sent.size;
}

describeDecisions('a filter of the addresses in use', (openTestDb, kind) => {
  test('misses no transfer to one of them, whatever is locked and let go while a node is asked', async () => {
    const opened = await openChain(await openTestDb());
    // Until the tempo is known, and somebody waits for the chain, so that it is read at full pace.
    await opened.world.create();
    for (let block = 0; block < 12; block++) {
      opened.world.mine();
      await opened.world.read();
    }
    let sent = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(round, { minLength: 8, maxLength: 12 }), async (rounds) => {
        sent += await live(opened, rounds);
      }),
      // One chain, on which the histories follow each other: a failure is not made smaller.
      { numRuns: modelRuns(kind === 'SQLite' ? 3 : 1), seed, endOnFailure: true },
    );
    expect(sent).toBeGreaterThan(3);
  });

  test.each(['asked', 'answered'] as const)(
    'is used again, at rest too, where something was locked and paid while the latest block was %s',
    async (when) => {
      const { world, gate } = await openChain(await openTestDb());
      for (let block = 0; block < 12; block++) {
        world.mine();
        await world.read();
      }
      const made: OnchainPayment[] = [];
      world.pass(60);
      for (let block = 0; block < 5; block++) world.chain.mine();
      gate.once(when, async () => {
        const payment = await world.create();
        made.push(payment);
        world.pay(payment);
        world.chain.mine();
      });
      await world.read();
      await world.read();
      const [payment] = made;
      expect(payment && (await world.deposits(payment))).toMatchObject([{ role: 'counted', status: 'seen' }]);
      expect(world.findings).toEqual([]);
    },
  );

  test('goes no further at rest than the chain can have got, on the word of one node', async () => {
    const { world } = await openChain(await openTestDb());
    for (let block = 0; block < 12; block++) {
      world.mine();
      await world.read();
    }
    const before = await readChain(world.db, world.network);
    for (let block = 0; block < 60; block++) world.chain.mine();
    world.pass(10);
    await world.step();
    const after = await readChain(world.db, world.network);
    expect(after?.cursor).toEqual(before?.cursor);
    expect(after?.head.height).toBe((before?.head.height ?? 0) + 60);
  });

  test('has those that a payment on another chain holds: money on the wrong one is seen at the head, and is nobody’s by itself', async () => {
    const db = await openTestDb();
    const { world: bsc } = await openChain(db);
    const payment = await bsc.create();
    const { merchantId } = bsc;
    const { world: ethereum } = await openChain(db, { network: 'ethereum', beside: { merchantId } });
    for (let block = 0; block < 3; block++) {
      ethereum.mine();
      await ethereum.read();
    }
    const recipient = evmKey(1);
    const amount = payment.expectedAmount;
    const usdt = { token: tokenKey('ethereum', 'usdt'), currency: 'usdt' } as const;
    const wrong = ethereum.chain.send({ ...usdt, recipient, amount });
    ethereum.chain.send({ ...usdt, recipient: evmKey(2), amount });
    ethereum.mine();
    await ethereum.read();
    // The one to the idle address waits for the second reading: the filter was in use.
    expect(await allDeposits(ethereum)).toMatchObject([
      { txHash: wrong, role: 'unmatched', unmatchedReason: 'wrong_network', paymentId: null },
    ]);
    expect(await bsc.status(payment)).toMatchObject({ status: 'pending' });
    expect(await bsc.deposits(payment)).toEqual([]);
  });
});
