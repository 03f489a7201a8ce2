import { expect, onTestFinished, test } from 'vitest';
import type { Currency } from '../../../src/core/assets.ts';
import type { OnchainPayment } from '../../../src/core/payment.ts';
import { readChain } from '../../../src/storage/chains/chains.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { createEvmSource } from '../../../src/watchers/evm/source.ts';
import { evmKey } from '../../support/addresses.ts';
import { openWorld } from '../../support/chain-world.ts';
import { describeDecisions } from '../../support/databases.ts';
import { endpointOf } from '../../support/evm.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { gatedNodeForTest } from '../../support/gated-node.ts';
import { allDeposits } from '../../support/model-checks.ts';
import { tokenKey } from '../../support/payments.ts';
import { startScriptedNode } from '../../support/scripted-node.ts';

/*
 * At the head the logs of a block are asked for that is only expected to exist by now, and only for addresses in use.
 * What is locked, and paid, while such a question is under way must be seen all the same, without any second reading.
 */

async function openShop(db: Db) {
  const keep = <T extends { close(): Promise<void> }>(one: T): T => {
    onTestFinished(() => one.close());
    return one;
  };
  const urls: string[] = [];
  const world = await openWorld(db, {
    addresses: 60,
    policy: { lifetimeSeconds: 3600, quarantineSeconds: 0 },
    openSource: (_, { chain, clock, log }) =>
      createEvmSource({
        chain: { ...chain, rpc: urls.map((url) => endpointOf(url)) },
        clock,
        log,
        timeoutMs: 5_000,
      }),
  });
  keep(world);
  const proxy = keep(await startFaultProxy(keep(await startScriptedNode(world.chain)).url));
  const gate = await gatedNodeForTest(proxy.url);
  urls.push(gate.url);
  world.restart();
  // Until the tempo is known, and somebody waits for the chain, so that it is read at full pace.
  await world.read();
  const waiting = await world.create();
  for (let block = 0; block < 12; block++) {
    world.mine();
    await world.read();
  }
  return { world, proxy, gate, waiting };
}

describeDecisions('L3: what is locked while a block is asked for that may exist by now', (openTestDb) => {
  const kinds: [name: string, currency: Currency, again: boolean][] = [
    ['a token, to an address that was idle', 'usdt', false],
    ['a token, to an address that was let go a moment ago', 'usdt', true],
    ['the coin, to an address that was idle', 'native', false],
    ['the coin, to an address that was let go a moment ago', 'native', true],
  ];
  for (const when of ['asked', 'answered'] as const) {
    test.each(kinds)(
      `and paid in it (%s), when it is ${when}, is seen at once`,
      async (_, currency, again) => {
        const { world, gate } = await openShop(await openTestDb());
        if (again) {
          // All other addresses were used longer ago: the next payment gets this one.
          const last = await world.create(currency);
          const { address } = last;
          await world.cancel(last);
          await world.db
            .updateTable('addresses')
            .set({ released_at: world.clock() + 1 })
            .where('locked_by', 'is', null)
            .where('address', '!=', address)
            .execute();
        }
        const made: OnchainPayment[] = [];
        for (let round = 0; round < 3; round++) {
          world.pass(10);
          gate.once(when, async () => {
            const payment = await world.create(currency);
            made.push(payment);
            world.pay(payment);
            world.chain.mine();
          });
          await world.read();
        }
        // What came after the answer is in the next one.
        await world.read();
        expect(made).toHaveLength(3);
        for (const payment of made) {
          expect(await world.deposits(payment)).toMatchObject([
            { role: 'counted', amount: payment.expectedAmount },
          ]);
        }
        expect(world.findings).toEqual([]);
      },
    );
  }

  test('is read, however many payments are made in every question: the chain goes on', async () => {
    const { world, gate } = await openShop(await openTestDb());
    for (let round = 0; round < 10; round++) {
      const height = world.chain.head().height;
      world.pass(10);
      world.chain.mine();
      const asked = async () => {
        await world.create();
        gate.once('asked', asked);
      };
      gate.once('asked', asked);
      for (let steps = 0; steps < 3; steps++) await world.step();
      const { cursor } = (await readChain(world.db, world.network)) ?? {};
      expect(cursor?.height).toBe(height + 1);
    }
  });
});

describeDecisions('a transfer to an address that nobody uses', (openTestDb) => {
  test('is found by the second reading, belongs to nobody, and is not called a miss', async () => {
    const { world, proxy } = await openShop(await openTestDb());
    const named: number[] = [];
    proxy.inject(
      { kind: 'rewrite', rewrite: (logs) => logs },
      {
        method: 'eth_getLogs',
        matches: ({ params }) => {
          const { topics } = params[0] as { topics: [string, null?, string[]?] };
          named.push(topics[2]?.length ?? 0);
          return false;
        },
      },
    );
    const token = tokenKey('bsc', 'usdt');
    const recipient = evmKey(50);
    world.chain.send({ token, currency: 'usdt', recipient, amount: 7n });
    for (let block = 0; block < 6; block++) {
      world.mine();
      await world.read();
    }
    // The one payment that is open.
    expect(new Set(named)).toEqual(new Set([1]));
    expect(await allDeposits(world)).toEqual([]);
    await world.recheck();
    expect(named.at(-1)).toBe(60);
    expect(await allDeposits(world)).toMatchObject([{ recipient, amount: 7n, paymentId: null }]);
    expect(world.findings).toEqual([]);
    expect(world.lines.filter(({ level }) => level === 'warn')).toEqual([]);
    expect(world.lines).toContainEqual(
      expect.objectContaining({ msg: 'transfer to an unused address', level: 'info' }),
    );
  });

  test('of a payment that a node left out is called one', async () => {
    const { world, proxy, waiting } = await openShop(await openTestDb());
    const tx = world.pay(waiting);
    const rewrite = (logs: unknown) =>
      (logs as { transactionHash: string }[]).filter(({ transactionHash }) => transactionHash !== tx);
    const hidden = proxy.inject({ kind: 'rewrite', rewrite }, { method: 'eth_getLogs' });
    for (let block = 0; block < 6; block++) {
      world.mine();
      await world.read();
    }
    hidden.remove();
    await world.recheck();
    expect(world.findings).toEqual(['missed']);
  });
});
