import { describe, expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../../src/storage/database.ts';
import { createEvmSource } from '../../../src/watchers/evm/source.ts';
import { openWorld } from '../../support/chain-world.ts';
import { freshDatabaseUrl } from '../../support/databases.ts';
import { endpointOf } from '../../support/evm.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { liveIn } from '../../support/living-chain.ts';
import { startScriptedNode } from '../../support/scripted-node.ts';

/*
 * What reading costs on a chain that lives: its blocks come by their own clock, not when they are asked for. Everything
 * is counted, the second reading too.
 */

type Life = { blockMs: number; addresses: number; payments: number };

async function open({ blockMs, addresses, payments }: Life) {
  const keep = <T extends { close(): Promise<void> }>(one: T): T => {
    onTestFinished(() => one.close());
    return one;
  };
  const db = await openDatabase(await freshDatabaseUrl('SQLite'));
  onTestFinished(() => db.destroy());
  const urls: string[] = [];
  const world = await openWorld(db, {
    addresses,
    policy: { lifetimeSeconds: 7200 },
    chain: { finality: 'finalized', requiredConfirmations: 15 },
    scripted: { finalityLag: 2 },
    openSource: (_, { chain, clock, log }) =>
      createEvmSource({ chain: { ...chain, rpc: urls.map((url) => endpointOf(url)) }, clock, log }),
  });
  keep(world);
  const proxy = keep(await startFaultProxy(keep(await startScriptedNode(world.chain)).url));
  urls.push(proxy.url);
  world.restart();
  await world.read();
  for (let n = 0; n < payments; n++) await world.create();
  const { live } = liveIn(world, { blockMs });
  return { world, proxy, live };
}

async function costOf(life: Life, { warmUp, blocks }: { warmUp: number; blocks: number }) {
  const { world, proxy, live } = await open(life);
  await live(warmUp);
  proxy.resetTraffic();
  await live(blocks);
  const { requests, calls, bytesIn, bytesOut } = proxy.traffic();
  const per1000 = (count: number) => Math.round((count * 1000) / blocks);
  expect(world.findings).toEqual([]);
  return {
    requests: per1000(requests),
    calls: per1000(calls),
    megabytes: per1000(bytesIn + bytesOut) / 1e6,
  };
}

describe('E1: reading a chain that lives', () => {
  test.each([
    [1_000, 900, { requests: 1_050, calls: 2_300 }],
    [450, 900, { requests: 500, calls: 1_600 }],
  ])(
    'with 10 open payments costs little more than one request a tick (blocks of %i ms, %i addresses)',
    async (blockMs, addresses, most) => {
      const cost = await costOf({ blockMs, addresses, payments: 10 }, { warmUp: 350, blocks: 400 });
      expect(cost.requests).toBeLessThanOrEqual(most.requests);
      expect(cost.calls).toBeLessThanOrEqual(most.calls);
      expect(cost.megabytes).toBeLessThanOrEqual(12);
    },
    300_000,
  );

  test.each([450, 3_000])(
    'at rest costs less than 6,000 calls a day (blocks of %i ms)',
    async (blockMs) => {
      const hour = 3_600_000 / blockMs;
      const cost = await costOf({ blockMs, addresses: 60, payments: 0 }, { warmUp: hour / 4, blocks: hour });
      const perDay = (24 * cost.calls * hour) / 1_000;
      expect(perDay).toBeLessThan(6_000);
    },
    300_000,
  );
});
