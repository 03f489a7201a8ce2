import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BlockHash, BlockRef } from '../../../src/core/chain.ts';
import { mintCall } from '../../../src/demo/token.ts';
import { readChain } from '../../../src/storage/chains/chains.ts';
import { listDeposits } from '../../../src/storage/deposits/deposits.ts';
import { createWatcher } from '../../../src/watchers/watcher.ts';
import { createWatchlist } from '../../../src/watchers/watchlist.ts';
import { evmAddress } from '../../support/addresses.ts';
import { anvilForTest, startTestAnvil, type TestAnvil } from '../../support/anvil.ts';
import { openTestSqlite } from '../../support/databases.ts';
import {
  chainConfig,
  endpointOf,
  evmSourceForTest,
  readToHead,
  testClock,
  watching,
} from '../../support/evm.ts';
import { type FaultProxy, faultProxyForTest } from '../../support/fault-proxy.ts';
import { blocksOf, type RpcRequest } from '../../support/faults.ts';
import { silentLog } from '../../support/log.ts';
import { addTestAddresses, addTestMerchant } from '../../support/payments.ts';
import { batchCall, placeTokens, transferToken } from '../../support/tokens.ts';
import { sendSigned, signTransaction } from '../../support/wallet.ts';

/*
 * Invariants of reading, over a real node and a database.
 */

const stranger = '0x3333333333333333333333333333333333333333';

/** A daemon's reading of a chain from its head on, with so many addresses, all of them used lately. */
async function openReader(url: string, { addresses = 1 }: { addresses?: number } = {}) {
  const db = await openTestSqlite();
  await addTestAddresses(db, await addTestMerchant(db), { count: addresses });
  const clock = testClock();
  await db.updateTable('addresses').set({ released_at: clock() }).execute();
  const source = evmSourceForTest([url], { clock });
  const watcher = createWatcher({
    db,
    chain: chainConfig([endpointOf(url)]),
    source,
    watch: createWatchlist('evm'),
    latePolicy: 'flag',
    clock,
    log: silentLog,
    onEvents: () => {},
  });
  const { signal } = new AbortController();
  const step = async () => {
    const { kind, nextAt } = await watcher.step(signal);
    clock.advance(Math.max(0, nextAt - clock()));
    return kind;
  };
  const read = async () => {
    for (let quiet = 0, steps = 0; quiet < 2; steps++) {
      if (steps > 100) throw new Error('never read to its end');
      const unmoved = (await step()) === 'unmoved';
      const state = await readChain(db, 'bsc');
      // After failures the head that is known is doubted, and learned anew before blocks are read.
      quiet = unmoved && state?.cursor.height === state?.head.height ? quiet + 1 : 0;
    }
  };
  await read();
  return {
    step,
    read,
    deposits: async () => (await listDeposits(db, { limit: 100 })).deposits.toReversed(),
    cursor: async () => (await readChain(db, 'bsc'))?.cursor,
    /** All that is stored of the chain and what it showed, but when it was last looked at. */
    async stored() {
      const { readAt: _, ...state } = (await readChain(db, 'bsc')) ?? { readAt: 0 };
      const anchors = await db.selectFrom('chain_anchors').selectAll().orderBy('height').execute();
      const scans = await db.selectFrom('chain_scans').selectAll().orderBy('from_height').execute();
      const deposits = await db.selectFrom('deposits').selectAll().orderBy('id').execute();
      const events = await db.selectFrom('events').selectAll().orderBy('sequence').execute();
      return { state, anchors, scans, deposits, events };
    },
    async close() {
      await source.close();
      await db.destroy();
    },
  };
}

describe('S5: a head that is lower or older than the one known', () => {
  const given = fc.record({
    how: fc.constantFrom('lag' as const, 'stale-tags' as const, 'stale-latest' as const),
    by: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 40 })),
    steps: fc.integer({ min: 1, max: 6 }),
  });

  type Given = typeof given extends fc.Arbitrary<infer T> ? T : never;

  function makeStale(proxy: FaultProxy, { how, by }: Given) {
    if (how !== 'stale-latest') return proxy.inject({ kind: how, by });
    return proxy.inject({ kind: 'stale-tags', by }, { matches: ({ params }) => params[0] === 'latest' });
  }

  async function setUp(): Promise<{ anvil: TestAnvil; usdt: string; proxy: FaultProxy }> {
    const anvil = await anvilForTest();
    const { usdt } = await placeTokens(anvil, 'bsc');
    await anvil.mine(50);
    return { anvil, usdt, proxy: await faultProxyForTest(anvil.url) };
  }

  test('changes nothing that is stored, however long it lasts', async () => {
    const { anvil, usdt, proxy } = await setUp();
    await fc.assert(
      fc.asyncProperty(given, async (ill) => {
        const reader = await openReader(proxy.url);
        await transferToken(anvil, usdt, evmAddress(1), 5n);
        await anvil.mine(16);
        await transferToken(anvil, usdt, evmAddress(1), 5n);
        await anvil.mine(1);
        await reader.read();
        const before = await reader.stored();
        expect(before.deposits).toMatchObject([{ status: 'confirmed' }, { status: 'seen' }]);
        const stale = makeStale(proxy, ill);
        for (let n = 0; n < ill.steps; n++) expect(await reader.step()).toBe('failed');
        expect(stale.hits).toBeGreaterThan(0);
        expect(await reader.stored()).toEqual(before);
        proxy.clear();
        await anvil.mine(16);
        await reader.read();
        expect(await reader.deposits()).toMatchObject([{ status: 'confirmed' }, { status: 'confirmed' }]);
        await reader.close();
      }),
      { numRuns: 15 },
    );
  });

  test('moves nothing back while blocks are still to be read, and hides nothing of them', async () => {
    const { anvil, usdt, proxy } = await setUp();
    await fc.assert(
      fc.asyncProperty(given, fc.integer({ min: 1, max: 6 }), async (ill, unread) => {
        const reader = await openReader(proxy.url);
        await transferToken(anvil, usdt, evmAddress(1), 5n);
        await anvil.mine(2);
        await reader.read();
        const before = await reader.deposits();
        const cursor = await reader.cursor();
        for (let n = 0; n < unread; n++) {
          await transferToken(anvil, usdt, evmAddress(1), 7n);
          await anvil.mine(1);
        }
        // The head is known before it is read.
        await reader.step();
        makeStale(proxy, ill);
        for (let n = 0; n < ill.steps; n++) await reader.step();
        expect((await reader.cursor())?.height).toBeGreaterThanOrEqual(cursor?.height ?? 0);
        expect((await reader.deposits()).slice(0, 1)).toEqual(before);
        proxy.clear();
        await reader.read();
        expect(await reader.deposits()).toHaveLength(1 + unread);
        await reader.close();
      }),
      { numRuns: 8 },
    );
  });
});

describe('I1: a transaction that is mined again in another block, behind other logs', () => {
  test.each([
    ['its recipients named to the node', 1],
    ['whole tokens read', 1_500],
  ])('is the same deposits, two of equal amount staying two: with %s', async (_, addresses) => {
    // What is final trails by 64 blocks.
    const anvil = await anvilForTest({ slotsInAnEpoch: 32 });
    const { usdt } = await placeTokens(anvil, 'bsc');
    await anvil.mine(100);
    const reader = await openReader(anvil.url, { addresses });
    const to = evmAddress(1);
    const batch = batchCall(usdt, [
      { to, amount: 5n },
      { to: stranger, amount: 5n },
      { to, amount: 5n },
    ]);
    // Others' logs before ours, from another sender, so that our transaction stays what it is.
    const other = { from: anvil.accounts[1] as string, ...mintCall(usdt, stranger, 1n) };
    const signed = await signTransaction(anvil, { to: batch.to, data: batch.data });
    const tx = await sendSigned(anvil, signed);
    await anvil.mine(5);
    await reader.read();
    const first = await reader.deposits();
    expect(first).toMatchObject([
      { txHash: tx, ordinal: 0, amount: 5n, status: 'seen' },
      { txHash: tx, ordinal: 1, amount: 5n, status: 'seen' },
    ]);
    const identities = first.map(({ id, ordinal }) => ({ id, ordinal }));
    const places = new Set<string>();
    for (const [depth, offset, before] of [
      [5, 1, 2],
      [10, 4, 0],
      [15, 2, 1],
    ] as const) {
      await anvil.reorg(depth);
      await anvil.mine(offset);
      for (let n = 0; n < before; n++) await anvil.send(other);
      await sendSigned(anvil, signed);
      await anvil.mine(6);
      await reader.read();
      const now = await reader.deposits();
      expect(now).toMatchObject(
        identities.map((identity) => ({ ...identity, txHash: tx, amount: 5n, status: 'seen' })),
      );
      expect(new Set(now.map(({ blockHash }) => blockHash)).size).toBe(1);
      places.add(now.map(({ height, logIndex }) => `${height} ${logIndex}`).join());
    }
    expect(places.size).toBe(3);
    await anvil.mine(80);
    await reader.read();
    expect(await reader.deposits()).toMatchObject(
      identities.map((identity) => ({ ...identity, status: 'confirmed' })),
    );
    await reader.close();
  });
});

describe('E2: catching up', () => {
  /** What a node may be found out to allow, halving or doubling: from 10,000 blocks to one. */
  const steps = Math.log2(10_000);
  const blocks = 2_000;
  let anvil: TestAnvil;

  beforeAll(async () => {
    anvil = await startTestAnvil();
    await placeTokens(anvil, 'bsc');
    await anvil.mine(blocks);
  });

  afterAll(() => anvil.stop());

  test.each([
    ['one block', 1, 'block range too large'],
    ['seven blocks', 7, 'query returned more than 10000 results'],
    ['fifty blocks, by name', 50, 'limited to a N blocks range'],
    ['333 blocks', 333, 'block range too large'],
    ['900 blocks', 900, 'query returned more than 10000 results'],
    ['any range', 10_000, ''],
  ])(
    'costs a tenth more queries than needed, and few to learn that a node allows %s',
    async (_, allowed, message) => {
      const wanted = Math.min(blocks, allowed * 60);
      const { number, hash, timestamp } = await anvil.block((await anvil.height()) - wanted);
      const cursor: BlockRef = { height: number, hash: hash as BlockHash, time: timestamp };
      const proxy = await faultProxyForTest(anvil.url);
      const tooWide = (call: RpcRequest) => blocksOf(call) > allowed;
      const refused = proxy.inject(
        { kind: 'refuse-range', blocks: allowed, message },
        { method: 'eth_getLogs', matches: tooWide },
      );
      const source = evmSourceForTest([proxy.url]);
      await readToHead(source, cursor, watching(stranger), { mostPolls: 200 });
      const asked = proxy.traffic().byMethod.eth_getLogs;
      const needed = Math.ceil(wanted / allowed);
      expect(refused.hits, 'refusals').toBeLessThanOrEqual(steps);
      expect(asked, 'queries').toBeLessThanOrEqual(1.1 * needed + 2 * steps);
      // What was learned stays: the same way again, and once more where it was too short to learn all.
      const again = () => readToHead(source, cursor, watching(stranger), { mostPolls: 200 });
      for (let way = 0; way < (needed < 10 ? 3 : 0); way++) await again();
      proxy.resetTraffic();
      const before = refused.hits;
      await again();
      expect(proxy.traffic().byMethod.eth_getLogs, 'queries').toBeLessThanOrEqual(1.1 * needed + 1);
      expect(refused.hits - before, 'refusals of a node that is known').toBeLessThanOrEqual(1);
    },
  );
});
