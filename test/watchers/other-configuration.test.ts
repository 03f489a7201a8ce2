import { expect, onTestFinished, test } from 'vitest';
import type { AddressKey } from '../../src/core/address.ts';
import type { Currency } from '../../src/core/assets.ts';
import type { Network } from '../../src/core/networks.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { listDeposits } from '../../src/storage/deposits/deposits.ts';
import { createAssetsInUse } from '../../src/watchers/assets-in-use.ts';
import { createEvmSource } from '../../src/watchers/evm/source.ts';
import { lookUpTransaction } from '../../src/watchers/recheck/look-up.ts';
import { rescan } from '../../src/watchers/recheck/rescan.ts';
import { createTronSource } from '../../src/watchers/tron/source.ts';
import { createWatchlist } from '../../src/watchers/watchlist.ts';
import { openWorld, type World, type WorldOptions } from '../support/chain-world.ts';
import { testChain } from '../support/config.ts';
import { describeDecisions } from '../support/databases.ts';
import { endpointOf } from '../support/evm.ts';
import { gatedNodeForTest } from '../support/gated-node.ts';
import { silentLog } from '../support/log.ts';
import { startScriptedNode } from '../support/scripted-node.ts';
import type { SimulatedTronChain } from '../support/tron/simulated-chain.ts';
import { simulatedNodeForTest, tronAssets } from '../support/tron/source.ts';

/*
 * Two processes on one database whose configurations differ, as while an operator restarts one after the other. The one that makes
 * payments offers everything; the one that reads the chain has something turned off, or otherwise.
 */

const { signal } = new AbortController();

function assetsOf(network: Network) {
  return network === 'tron' ? tronAssets() : testChain(network).assets;
}

const without = (network: Network, off: Currency) => ({
  assets: assetsOf(network).filter(({ currency }) => currency !== off),
});

/** A world whose watcher has turned one thing off, with the real source of the chain before a node that can be held up. */
async function openReal(db: World['db'], network: Network, off: Currency, options: WorldOptions = {}) {
  const urls: string[] = [];
  const world = await openWorld(db, {
    network,
    addresses: 40,
    watched: without(network, off),
    policy: { lifetimeSeconds: 600 },
    openSource: (_, { chain, clock, log }) => {
      const given = {
        chain: { ...chain, rpc: urls.map((url) => endpointOf(url)) },
        clock,
        log,
        timeoutMs: 5_000,
      };
      return network === 'tron' ? createTronSource(given) : createEvmSource(given);
    },
    ...options,
  });
  onTestFinished(() => world.close());
  const node =
    network === 'tron'
      ? await simulatedNodeForTest(world.chain as SimulatedTronChain)
      : await startScriptedNode(world.chain);
  onTestFinished(() => node.close());
  const gate = await gatedNodeForTest(node.url);
  urls.push(gate.url);
  world.restart();
  await world.read();
  return { world, gate };
}

async function expectConfirmed(world: World, payment: OnchainPayment): Promise<void> {
  world.mine(5);
  await world.read();
  expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
  expect(world.findings).toEqual([]);
}

describeDecisions('a payment in what the process that reads the chain has turned off', (openTestDb) => {
  const kinds: [Network, Currency][] = [
    ['bsc', 'usdc'],
    ['bsc', 'native'],
    ['tron', 'usdc'],
    ['tron', 'native'],
  ];

  test.each(kinds)('on %s in %s is seen and confirmed', async (network, currency) => {
    const { world } = await openReal(await openTestDb(), network, currency);
    const payment = await world.create(currency);
    world.mine();
    await world.read();
    world.pay(payment);
    await expectConfirmed(world, payment);
  });

  test.each(kinds)('on %s in %s, where nothing else can be paid, too', async (network, currency) => {
    const { world } = await openReal(await openTestDb(), network, currency, { watched: { assets: [] } });
    const payment = await world.create(currency);
    world.pay(payment);
    await expectConfirmed(world, payment);
  });

  for (const when of ['asked', 'answered'] as const) {
    test.each(kinds)(
      `on %s in %s, made and paid while a block that may hold it is ${when}, is seen`,
      async (network, currency) => {
        const { world, gate } = await openReal(await openTestDb(), network, currency, {
          addresses: 2,
          policy: { lifetimeSeconds: 600, quarantineSeconds: 0 },
        });
        // Somebody waits, so that blocks are asked for that may exist by now.
        await world.create('usdt');
        // The next payment gets an address that was let go a moment ago: that is asked for anyway.
        await world.cancel(await world.create('usdt'));
        for (let block = 0; block < 12; block++) {
          world.mine();
          await world.read();
        }
        const made: OnchainPayment[] = [];
        world.pass(10);
        gate.once(when, async () => {
          const payment = await world.create(currency);
          made.push(payment);
          world.pay(payment);
          world.chain.mine();
        });
        await world.read();
        expect(made).toHaveLength(1);
        for (const payment of made) await expectConfirmed(world, payment);
      },
    );
  }

  test('needs as many confirmations as its customer was told, whatever the other says', async () => {
    const world = await openWorld(await openTestDb(), { watched: { requiredConfirmations: 1 } });
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(2);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
    world.mine();
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('that nobody paid expires', async () => {
    const world = await openWorld(await openTestDb(), { watched: without('bsc', 'usdc') });
    await world.read();
    const payment = await world.create('usdc');
    world.mine(9);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'expired' });
  });

  test('is found by the second reading where the first was shown nothing', async () => {
    const world = await openWorld(await openTestDb(), {
      watched: without('bsc', 'usdc'),
      scripted: { nodes: 2 },
    });
    await world.read();
    const payment = await world.create('usdc');
    const tx = world.pay(payment);
    world.chain.nodes[0]?.hides.add(tx);
    world.mine(9);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'expired' });
    await world.recheck();
    expect(world.findings).toEqual(['missed']);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('that was cancelled before the chain was read again, and paid then, is told as late', async () => {
    const world = await openWorld(await openTestDb(), { watched: without('bsc', 'usdc') });
    await world.read();
    const payment = await world.create('usdc');
    await world.cancel(payment);
    world.pass(60);
    world.pay(payment);
    world.mine(5);
    await world.read();
    await world.recheck();
    expect(await world.deposits(payment)).toMatchObject([{ role: 'late', amount: payment.expectedAmount }]);
  });

  test('is found by an operator who reads its blocks again, and by its payer who names the transaction', async () => {
    for (const how of ['rescan', 'look up'] as const) {
      const world = await openWorld(await openTestDb());
      await world.read();
      const payment = await world.create('usdc');
      const tx = world.pay(payment);
      for (const node of world.chain.nodes) node.hides.add(tx);
      world.mine(2);
      await world.read();
      for (const node of world.chain.nodes) node.hides.clear();
      const { db, clock } = world;
      const chain = { ...world.chainConfig, ...without('bsc', 'usdc') };
      const { source } = world.chain;
      const watch = createWatchlist('evm');
      const deps = { db, chain, source, watch, latePolicy: 'flag' as const, clock, log: silentLog };
      if (how === 'rescan')
        await rescan(deps, {
          from: 1,
          to: world.chain.head().height,
          native: false,
          signal,
          progress: () => {},
        });
      else
        expect(
          await lookUpTransaction({ ...deps, onEvents: () => {} }, { txHash: tx, since: 0, signal }),
        ).toMatchObject({ kind: 'read', deposits: [{ txHash: tx }] });
      expect(await world.deposits(payment)).toMatchObject([{ role: 'counted' }]);
    }
  });
});

describeDecisions('a token that is another contract to the process that reads the chain', (openTestDb) => {
  test('is watched at both, and each payment takes its own', async () => {
    const moved = 'a'.repeat(40) as AddressKey;
    const world = await openWorld(await openTestDb(), {
      watched: {
        assets: assetsOf('bsc').map((one) =>
          one.currency === 'usdc' ? { ...one, token: moved, decimals: 6 } : one,
        ),
      },
    });
    await world.read();
    const [paid, mistaken] = [await world.create('usdc'), await world.create('usdc')];
    world.pay(paid);
    world.chain.send({ ...world.transferTo(mistaken), token: moved });
    world.mine(5);
    await world.read();
    expect(await world.status(paid)).toMatchObject({ status: 'confirmed' });
    const { deposits } = await listDeposits(world.db, { role: 'unmatched', limit: 10 });
    expect(deposits).toMatchObject([{ token: moved, decimals: 6, unmatchedReason: 'wrong_token' }]);
    expect(world.lines).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        msg: 'token of another configuration watched',
        currency: 'usdc',
      }),
    );
  });
});

describeDecisions('what payments are in', (openTestDb) => {
  test('is told anew at each look: what is open, and what was made since, however short', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const { db, clock } = world;
    const chain = { ...world.chainConfig, assets: [] };
    const assets = createAssetsInUse({ db, chain, clock, log: silentLog });
    const currencies = async () => (await assets.read()).chain.assets.map(({ currency }) => currency).sort();
    expect(await currencies()).toEqual([]);
    await world.create('usdc');
    expect(await currencies()).toEqual(['usdc']);
    await world.cancel(await world.create('usdt'));
    expect(await currencies()).toEqual(['usdc']);
    world.pass(60);
    expect(await currencies()).toEqual(['usdc', 'usdt']);
  });
});
