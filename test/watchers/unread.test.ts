import { expect, onTestFinished, test } from 'vitest';
import { chainDegraded, chainUnavailable, readChain } from '../../src/storage/chains/chains.ts';
import type { Db } from '../../src/storage/schema.ts';
import { createEvmSource } from '../../src/watchers/evm/source.ts';
import { openWorld } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';
import { endpointOf } from '../support/evm.ts';
import { startFaultProxy, type When } from '../support/fault-proxy.ts';
import type { Fault } from '../support/faults.ts';
import { startScriptedNode } from '../support/scripted-node.ts';

/*
 * A node that shows its head and lets nobody read the blocks: the cursor stands, and nothing may look as if it did not.
 */

const paceMs = 1_000;

async function openShop(db: Db) {
  const keep = <T extends { close(): Promise<void> }>(one: T): T => {
    onTestFinished(() => one.close());
    return one;
  };
  const urls: string[] = [];
  const world = await openWorld(db, {
    policy: { lifetimeSeconds: 3600 },
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
  urls.push(proxy.url);
  world.restart();
  await world.read();
  let nextAt = 0;
  /** A second at a time, a block every ten; steps as the loop does. */
  async function live(seconds: number): Promise<void> {
    for (let second = 1; second <= seconds; second++) {
      world.pass(1);
      if (second % 10 === 0) world.chain.mine();
      for (let steps = 0; nextAt <= world.clock() && steps < 20; steps++)
        nextAt = (await world.step()).nextAt;
    }
  }
  const health = async () => {
    const state = await readChain(db, world.network);
    if (state === null) throw new Error('not read');
    const now = world.clock();
    return {
      cursor: state.cursor.height,
      degraded: chainDegraded(state, paceMs, now) !== null,
      unavailable: chainUnavailable(state, now) !== null,
    };
  };
  return { world, proxy, live, health };
}

const faults: [name: string, fault: Fault, when: When][] = [
  [
    'refuses the logs of every block in unknown words',
    { kind: 'refuse', code: -32002, message: 'request timed out' },
    { method: 'eth_getLogs' },
  ],
  [
    'serves no logs',
    { kind: 'refuse', code: -32601, message: 'method not found' },
    { method: 'eth_getLogs' },
  ],
  ['shows logs that cannot be true', { kind: 'result', result: [{}] }, { method: 'eth_getLogs' }],
  [
    'answers 504 to every request with a log query',
    { kind: 'status', status: 504 },
    { method: 'eth_getLogs' },
  ],
];

describeDecisions('L1: a chain of which nothing but the head can be read', (openTestDb) => {
  test.each(faults)(
    'is unread where the one node %s: degraded soon, not offered after two minutes, asked ever more seldom',
    async (_, fault, when) => {
      const { world, proxy, live, health } = await openShop(await openTestDb());
      // While somebody waits a chain is read at its pace.
      await world.create();
      await live(70);
      const before = await health();
      expect(before).toMatchObject({ degraded: false, unavailable: false });
      proxy.inject(fault, when);
      await live(60);
      expect(await health()).toMatchObject({ degraded: true, unavailable: false });
      await live(90);
      expect(await health()).toMatchObject({ degraded: true, unavailable: true });
      expect((await health()).cursor).toBeLessThanOrEqual(before.cursor + 1);
      expect(await world.tryCreate()).toMatchObject({ outcome: 'chain_unavailable' });
      expect(world.lines.some(({ msg }) => msg === 'chain poll failing')).toBe(true);
      proxy.resetTraffic();
      await live(60);
      expect(proxy.traffic().requests).toBeLessThanOrEqual(20);

      proxy.clear();
      // Fifteen seconds, and as long as a question for the head takes.
      await live(35);
      expect(await health()).toMatchObject({ degraded: false, unavailable: false });
      // As far as a chain on which nobody waits is read.
      expect((await health()).cursor).toBeGreaterThanOrEqual(world.chain.head().height - 2);
      expect(await world.tryCreate()).toMatchObject({ outcome: 'created' });
    },
  );
});
