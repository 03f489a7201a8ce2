import { describe, expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../../src/storage/database.ts';
import { createEvmSource } from '../../../src/watchers/evm/source.ts';
import { openWorld } from '../../support/chain-world.ts';
import { freshDatabaseUrl } from '../../support/databases.ts';
import { endpointOf } from '../../support/evm.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { startScriptedNode } from '../../support/scripted-node.ts';

/*
 * What reading costs on a chain that lives: its blocks come by their own clock, not when they are asked for. Everything
 * is counted, the second reading too.
 */

type Life = { blockMs: number; addresses: number; payments: number };

/** An answer and its commit take so long, ms. */
const stepMs = 6;

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
  const begun = world.clock();
  let blocks = 0;
  let stepAt = begun;
  let recheckAt = begun;

  /** Lets time pass until so many more blocks were made. */
  async function live(count: number): Promise<void> {
    for (const end = blocks + count; blocks < end; ) {
      const blockAt = begun + (blocks + 1) * blockMs;
      const next = Math.min(blockAt, stepAt, recheckAt);
      world.pass(Math.max(0, next - world.clock()) / 1000);
      if (next === blockAt) {
        world.chain.mine();
        blocks += 1;
      } else if (next === stepAt) {
        const { nextAt } = await world.step();
        stepAt = Math.max(world.clock(), nextAt) + stepMs;
      } else {
        const { nextAt } = await world.recheckStep();
        recheckAt = Math.max(world.clock(), nextAt) + stepMs;
      }
    }
  }
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
    ms: (blocks * life.blockMs) / 1,
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

  test('at rest costs less than 6,000 calls a day', async () => {
    const cost = await costOf({ blockMs: 3_000, addresses: 60, payments: 0 }, { warmUp: 200, blocks: 1_200 });
    const perDay = (cost.calls * 1_200) / 1_000 / (cost.ms / 86_400_000);
    expect(perDay).toBeLessThan(6_000);
  }, 300_000);
});
