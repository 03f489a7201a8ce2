import { expect, onTestFinished, test } from 'vitest';
import type { BlockHash } from '../../src/core/chain.ts';
import { readChain } from '../../src/storage/chains/chains.ts';
import type { Db } from '../../src/storage/schema.ts';
import { createEvmSource } from '../../src/watchers/evm/source.ts';
import { createStandstill } from '../../src/watchers/stalls.ts';
import { openWorld, type World } from '../support/chain-world.ts';
import { testChain } from '../support/config.ts';
import { describeDecisions } from '../support/databases.ts';
import { endpointOf, testClock } from '../support/evm.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import type { RpcRequest } from '../support/faults.ts';
import { captureLog } from '../support/log.ts';
import { type ScriptedNodeServer, startScriptedNode } from '../support/scripted-node.ts';

/*
 * A node whose own reading of the chain has come to a halt answers everything, and nothing it says is wrong.
 */

type Shop = { world: World; servers: ScriptedNodeServer[]; proxies: FaultProxy[] };

async function openShop(db: Db, nodes: number, finality: 'depth' | 'finalized' = 'depth'): Promise<Shop> {
  const keep = <T extends { close(): Promise<void> }>(one: T): T => {
    onTestFinished(() => one.close());
    return one;
  };
  const proxies: FaultProxy[] = [];
  const world = await openWorld(db, {
    chain: { finality },
    policy: { lifetimeSeconds: 3600 },
    openSource: (_, { chain, clock, log }) => {
      const rpc = proxies.map(({ url }) => endpointOf(url));
      return createEvmSource({ chain: { ...chain, rpc }, clock, log, timeoutMs: 5000 });
    },
  });
  keep(world);
  const servers: ScriptedNodeServer[] = [];
  for (let n = 0; n < nodes; n++) {
    const server = keep(await startScriptedNode(world.chain));
    servers.push(server);
    proxies.push(keep(await startFaultProxy(server.url)));
  }
  world.restart();
  await world.read();
  return { world, servers, proxies };
}

function halt({ world, servers }: Shop, ...nodes: number[]): void {
  for (const n of nodes) (servers[n] as ScriptedNodeServer).view = { stuckAt: world.chain.head().hash };
}

/** A block every ten seconds, or none. */
async function live({ world }: Shop, seconds: number, blocks = true): Promise<void> {
  for (let passed = 0; passed < seconds; passed += 10) {
    if (blocks) world.mine(1);
    else world.pass(10);
    await world.read();
  }
}

const said = ({ world }: Shop, msg: string) => world.lines.filter((line) => line.msg === msg);

describeDecisions('L1: a node that stands still', (openTestDb) => {
  test('is left for another that goes on, and preferred again once it has caught up', async () => {
    const shop = await openShop(await openTestDb(), 3);
    const { world, servers } = shop;
    const payment = await world.create();
    // Two of three, so that asking the next one is not enough.
    halt(shop, 0, 1);
    world.pay(payment);
    await live(shop, 60);
    expect(await world.events(payment)).toEqual(['payment.detected']);
    expect(said(shop, 'rpc endpoint switched')).toMatchObject([
      { level: 'warn', reason: expect.stringMatching(/^its latest block stays \d+, others have \d+$/) },
    ]);
    for (const server of servers) server.view = 'tip';
    await live(shop, 60);
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
    expect(world.endpoints().map(({ preferred }) => preferred)).toEqual([true, false, false]);
    expect(said(shop, 'chain stalled')).toEqual([]);
  });

  test('is left as well where only what it calls final stands still', async () => {
    const shop = await openShop(await openTestDb(), 2, 'finalized');
    const { world, proxies } = shop;
    let stuck: unknown = null;
    proxies[0]?.inject(
      {
        kind: 'rewrite',
        rewrite: (result) => {
          stuck ??= result;
          return stuck;
        },
      },
      { matches: ({ params }: RpcRequest) => params[0] === 'finalized' },
    );
    // How far the chain is final is asked for at the start, and then while a payment waits for it.
    world.restart();
    const payment = await world.create();
    await live(shop, 20);
    expect(stuck).not.toBeNull();
    world.pay(payment);
    await live(shop, 50);
    expect(await world.status(payment)).toEqual({ status: 'pending', reason: null });
    await live(shop, 50);
    // It may be asked again before the other one's word is agreed on: then it is not behind what is final.
    const left = said(shop, 'rpc endpoint switched').filter(({ level }) => level === 'warn');
    expect(left).toMatchObject([
      { reason: expect.stringMatching(/^its finalized block stays \d+, others have \d+$/) },
    ]);
    // It has got as far as the other one and does not call it final: that is said, and not decided by one of the two.
    await live(shop, 70);
    expect(await world.status(payment)).toEqual({ status: 'pending', reason: null });
    expect(said(shop, 'finality stalled').length).toBeGreaterThan(0);
    proxies[0]?.clear();
    await live(shop, 30);
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
    expect(said(shop, 'finality resumed').length).toBeGreaterThan(0);
  });

  test('is asked on where the chain itself stands still, which is said every minute or two until it goes on', async () => {
    const shop = await openShop(await openTestDb(), 2);
    const { world, proxies } = shop;
    await live(shop, 30);
    const before = proxies.map((proxy) => proxy.traffic().requests);
    await live(shop, 180, false);
    expect(said(shop, 'chain stalled')).toMatchObject([{ seconds: 60 }, { seconds: 160 }]);
    // Every fifteen seconds for two minutes, and then once a minute.
    expect((proxies[1]?.traffic().requests ?? 0) - (before[1] ?? 0)).toBeLessThanOrEqual(8 + 1);
    expect(said(shop, 'rpc endpoint switched')).toEqual([]);
    await live(shop, 30);
    expect(said(shop, 'chain recovered')).toHaveLength(1);
    expect(world.endpoints().map(({ preferred }) => preferred)).toEqual([true, false]);
  });

  test('is not distrusted on the word of one that cannot be asked', async () => {
    const shop = await openShop(await openTestDb(), 2);
    const { world, proxies } = shop;
    halt(shop, 0);
    proxies[1]?.inject({ kind: 'status', status: 503 });
    await live(shop, 60);
    expect(world.endpoints()[0]).toMatchObject({ state: 'ready', failed: 0 });
    proxies[1]?.clear();
    await live(shop, 120);
    expect((await readChain(world.db, world.network))?.cursor).toEqual(world.chain.head());
  });
});

test('a head that a node made up is forgotten: a chain that rises from below it does not stand still', () => {
  const clock = testClock();
  const { log, lines } = captureLog();
  const standstill = createStandstill({ chain: testChain('bsc'), clock, log });
  const suspected = [1_000_000, ...Array.from({ length: 20 }, (_, n) => 100 + n)].map((height) => {
    clock.advance(10_000);
    const shown = { head: { height, hash: '0x' as BlockHash, time: 0 }, finalizedHeight: height - 2 };
    const suspects = standstill.suspects(shown);
    if (suspects) standstill.confirm(shown);
    return suspects;
  });
  expect(suspected).toEqual(suspected.map(() => false));
  expect(lines).toEqual([]);
});
