import { beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import type { AddressKey } from '../../../src/core/address.ts';
import type { BlockHash, BlockRef } from '../../../src/core/chain.ts';
import { createPayments } from '../../../src/payments/create.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { listDeposits } from '../../../src/storage/deposits/deposits.ts';
import { type AddressSet, createAddressSet } from '../../../src/watchers/address-set.ts';
import type { Watchlist } from '../../../src/watchers/source.ts';
import { createWatcher } from '../../../src/watchers/watcher.ts';
import { createWatchlist } from '../../../src/watchers/watchlist.ts';
import { anvilForTest, type TestAnvil } from '../../support/anvil.ts';
import { testConfig } from '../../support/config.ts';
import { describeDecisions } from '../../support/databases.ts';
import { chainConfig, endpointOf, evmSourceForTest, keyOf, pollOf, testClock } from '../../support/evm.ts';
import { type FaultProxy, faultProxyForTest } from '../../support/fault-proxy.ts';
import { gatedNodeForTest } from '../../support/gated-node.ts';
import { silentLog } from '../../support/log.ts';
import { addTestAddresses, addTestMerchant, testRates } from '../../support/payments.ts';
import { placeTokens, transferToken } from '../../support/tokens.ts';

/*
 * What reading a chain costs, counted by a proxy before a real node, and what may happen while an answer is on its way.
 */

const customer = '0x1111111111111111111111111111111111111abc';
const stranger = '0x3333333333333333333333333333333333333333';

describe('E1: a tick', () => {
  test('costs one request of at most four calls, idle and busy, and the same at 10, 1,000 and 1,000,000 addresses', async () => {
    const reader = await open();
    const costs: string[] = [];
    for (const size of [10, 1_000, 1_001, million]) {
      const watch = addresses(size);
      await reader.readToHead(watch);
      const idle = await reader.costOf(() => reader.poll(watch));
      await reader.pay(stranger);
      // The first tick learns of the block, the second reads it.
      const learning = await reader.costOf(() => reader.poll(watch));
      const reading = await reader.costOf(() => reader.poll(watch));
      for (let blocks = 0; blocks < 50; blocks++) await reader.pay(stranger);
      await reader.poll(watch);
      const catchingUp = await reader.costOf(() => reader.poll(watch));
      expect(reader.cursor().height).toBe(await reader.anvil.height());
      costs.push(JSON.stringify({ idle, learning, reading, catchingUp }));
    }
    const expected = {
      idle: { requests: 1, calls: 3 },
      learning: { requests: 1, calls: 3 },
      reading: { requests: 1, calls: 4 },
      catchingUp: { requests: 1, calls: 4 },
    };
    expect(new Set(costs)).toEqual(new Set([JSON.stringify(expected)]));
  });

  test('in which something is found costs a second request at most, however much that is', async () => {
    const reader = await open();
    const watch = addresses(10);
    await reader.readToHead(watch);
    for (let blocks = 0; blocks < 5; blocks++) await reader.pay(customer);
    await reader.poll(watch);
    // The times of five blocks, of which the last and the finalized one are known.
    expect(await reader.costOf(() => reader.poll(watch))).toEqual({ requests: 2, calls: 4 + 3 });
    expect(reader.found()).toBe(5);
  });

  test('with whole blocks costs one call more for each block, and no request', async () => {
    const reader = await open();
    for (const size of [10, million]) {
      const watch = addresses(size);
      await reader.readToHead(watch);
      for (let blocks = 0; blocks < 5; blocks++) await reader.pay(stranger);
      await reader.poll(watch, true);
      expect(await reader.costOf(() => reader.poll(watch, true))).toEqual({ requests: 1, calls: 4 + 5 });
    }
  });

  test('names the recipients up to a thousand addresses, and reads whole tokens beyond', async () => {
    const reader = await open();
    const named: (number | null)[] = [];
    reader.proxy.inject(
      { kind: 'rewrite', rewrite: (logs) => logs },
      {
        method: 'eth_getLogs',
        matches: ({ params }) => {
          const { topics } = params[0] as { topics: [string, null?, string[]?] };
          named.push(topics[2]?.length ?? null);
          return false;
        },
      },
    );
    for (const size of [1, 999, 1_000, 1_001, million, 1_000]) {
      await reader.pay(customer);
      await reader.readToHead(addresses(size));
    }
    expect(named).toEqual([1, 999, 1_000, null, null, 1_000]);
    expect(reader.found()).toBe(6);
  });
});

describe('E4: the work of a tick', () => {
  test('is a lookup for each log, and one for each transaction of a whole block, at any number of addresses', async () => {
    const reader = await open();
    const works: unknown[] = [];
    // From here on heights have as many digits.
    await reader.anvil.mine(300);
    for (const size of [1_001, 100_000, million]) {
      const { watch, work } = counted(addresses(size));
      await reader.readToHead(watch);
      for (let blocks = 0; blocks < 20; blocks++) await reader.pay(stranger);
      await reader.poll(watch);
      reader.proxy.resetTraffic();
      work.reset();
      await reader.poll(watch);
      const { lookups, listed } = work.done();
      const { bytesIn } = reader.proxy.traffic();
      for (let blocks = 0; blocks < 5; blocks++) await reader.pay(stranger);
      await reader.poll(watch, true);
      work.reset();
      await reader.poll(watch, true);
      works.push({ lookups, listed, bytesIn, whole: work.done() });
    }
    expect(works[0]).toMatchObject({ lookups: 20, listed: 0, whole: { listed: 0 } });
    expect(works).toEqual([works[0], works[0], works[0]]);
  });

  test('of up to a thousand addresses is to name them, once', async () => {
    const reader = await open();
    const { watch, work } = counted(addresses(1_000));
    await reader.readToHead(watch);
    for (let blocks = 0; blocks < 20; blocks++) await reader.pay(stranger);
    await reader.poll(watch);
    work.reset();
    await reader.poll(watch);
    expect(work.done()).toEqual({ lookups: 0, listed: 1_000 });
  });
});

describe('E3: a node that asks for patience', () => {
  test.each([1, 2])(
    'gets it from everybody who asks, be it %s of them, and no storm after it',
    async (nodes) => {
      const reader = await open({ nodes });
      const watch = addresses(10);
      await reader.readToHead(watch);
      const refusal = { kind: 'status', status: 429, headers: { 'retry-after': '30' } } as const;
      const refusals = reader.proxies.map((proxy) => proxy.inject(refusal));
      const { signal } = new AbortController();
      expect(await reader.tryPoll(watch)).toMatchObject({ kind: 'failed', retryAt: reader.clock() + 30_000 });
      for (const proxy of reader.proxies) proxy.resetTraffic();
      for (let second = 0; second < 29; second++) {
        await reader.tryPoll(watch);
        await reader.source.blocksAt([1], signal).catch(() => {});
        await reader.source.balances([keyOf(customer)], reader.cursor(), signal);
        reader.clock.advance(1000);
      }
      expect(reader.proxies.map((proxy) => proxy.traffic().requests)).toEqual(Array(nodes).fill(0));
      reader.clock.advance(1000);
      // Once each, and again only after as long.
      for (let polls = 0; polls < 5; polls++) await reader.tryPoll(watch);
      expect(refusals.map(({ hits }) => hits)).toEqual(Array(nodes).fill(2));
      for (const refused of refusals) refused.remove();
      reader.clock.advance(30_000);
      await reader.readToHead(watch);
    },
  );
});

describeDecisions('L3: an address', (openTestDb) => {
  test.each([
    ['before the node sees the request', 'asked', 'with few addresses', 1],
    ['after it has answered', 'answered', 'with few addresses', 1],
    ['before the node sees the request', 'asked', 'with many', 1_500],
    ['after it has answered', 'answered', 'with many', 1_500],
  ] as const)('that is added, locked and paid %s misses nothing (%s, %s)', async (_, when, __, count) => {
    const db = await openTestDb();
    const anvil = await anvilForTest();
    const { usdt } = await placeTokens(anvil, 'bsc');
    const node = await gatedNodeForTest(anvil.url);
    const chain = chainConfig([endpointOf(node.url)], { finality: 'depth' });
    const source = evmSourceForTest([node.url], { finality: 'depth', clock: systemClock });
    const config = testConfig({ chains: { bsc: chain } });
    const merchantId = await addTestMerchant(db);
    await addTestAddresses(db, merchantId, { count });
    await inTransaction(db, (trx) => trx.updateTable('addresses').set({ active: 0 }).execute());
    const payments = createPayments({
      db,
      config,
      rates: testRates(),
      pools: { afterLock: () => {}, afterRefusal: () => {}, settled: async () => {} },
      clock: systemClock,
      wake: () => {},
    });
    const watcher = createWatcher({
      db,
      chain,
      source,
      watch: createWatchlist('evm'),
      latePolicy: 'flag',
      clock: systemClock,
      log: silentLog,
      onEvents: () => {},
    });
    const { signal } = new AbortController();
    const settle = async () => {
      for (let quiet = 0; quiet < 2; ) {
        const { kind } = await watcher.step(signal);
        expect(kind).not.toBe('failed');
        quiet = kind === 'unmoved' ? quiet + 1 : 0;
      }
    };
    await settle();

    const paid: string[] = [];
    for (let round = 0; round < 3; round++) {
      // A head that is known and blocks that are not read yet: the request is for these.
      await anvil.mine(round);
      await watcher.step(signal);
      node.once(when, async () => {
        await addTestAddresses(db, merchantId, { first: 5_000 + round, count: 1 });
        const outcome = await payments.create({
          merchantId,
          network: 'bsc',
          currency: 'usdt',
          amountUsdCents: 5000,
          externalOrderId: '',
          customerEmail: '',
          redirectUrl: '',
          metadata: {},
          idempotency: null,
        });
        if (!('view' in outcome)) throw new Error(`not created: ${outcome.outcome}`);
        const { address, expectedAmount } = outcome.view.payment;
        paid.push(await transferToken(anvil, usdt, address, expectedAmount));
        await anvil.mine();
      });
      await settle();
    }
    const { deposits } = await listDeposits(db, { limit: 10 });
    const shown = deposits.map(({ txHash, role }) => [txHash, role]).toReversed();
    expect(shown).toEqual(paid.map((txHash) => [txHash, 'counted']));
  });
});

const million = 1_000_000;

/** Counts what is asked of a watchlist, and the addresses that it is made to list. */
function counted(inner: Watchlist) {
  let lookups = 0;
  let listed = 0;
  const watch: Watchlist = {
    get size() {
      return inner.size;
    },
    has: (key) => {
      lookups += 1;
      return inner.has(key);
    },
    *keys() {
      for (const key of inner.keys()) {
        listed += 1;
        yield key;
      }
    },
  };
  return {
    watch,
    work: {
      reset: () => {
        lookups = 0;
        listed = 0;
      },
      done: () => ({ lookups, listed }),
    },
  };
}

const made = new Map<number, Watchlist>();

// Made while a connection waits, a million could take longer than a node keeps that open.
beforeAll(() => {
  for (const size of [100_000, million]) addresses(size);
}, 60_000);

/** A watchlist of so many addresses, the customer's among them: one for all tests. */
function addresses(size: number): Watchlist {
  const known = made.get(size) ?? make(size);
  made.set(size, known);
  return known;
}

function make(size: number): Watchlist {
  const set: AddressSet = createAddressSet();
  set.add(keyOf(customer));
  for (let n = 1; n < size; n++) set.add(`e${n.toString(16).padStart(39, '0')}` as AddressKey);
  return set;
}

/** A chain that is read from its head on, through proxies that count. */
async function open({ nodes = 1 }: { nodes?: number } = {}) {
  const anvil: TestAnvil = await anvilForTest();
  const { usdt } = await placeTokens(anvil, 'bsc');
  const proxies: FaultProxy[] = [];
  for (let n = 0; n < nodes; n++) proxies.push(await faultProxyForTest(anvil.url));
  const clock = testClock();
  const source = evmSourceForTest(
    proxies.map(({ url }) => url),
    { clock },
  );
  const [proxy] = proxies as [FaultProxy];
  const { number, hash, timestamp } = await anvil.block('latest');
  let cursor: BlockRef = { height: number, hash: hash as BlockHash, time: timestamp };
  let head = cursor;
  let found = 0;

  async function tryPoll(watch: Watchlist, native = false) {
    const outcome = await source.poll(pollOf({ cursor, head, watch, native }));
    if (outcome.kind === 'span') {
      cursor = outcome.span.to;
      head = outcome.span.head;
      found += outcome.span.transfers.length;
    }
    return outcome;
  }

  async function poll(watch: Watchlist, native = false): Promise<void> {
    const outcome = await tryPoll(watch, native);
    if (outcome.kind !== 'span') throw new Error(`no span: ${JSON.stringify(outcome)}`);
  }

  return {
    anvil,
    proxy,
    proxies,
    source,
    clock,
    poll,
    tryPoll,
    cursor: () => cursor,
    found: () => found,
    async readToHead(watch: Watchlist): Promise<void> {
      for (let polls = 0; polls < 100; polls++) {
        await poll(watch);
        if (cursor.height === (await anvil.height())) return;
      }
      throw new Error('the head was not reached');
    },
    /** A token to this address, in a block of its own. */
    async pay(to: string): Promise<void> {
      await transferToken(anvil, usdt, to, 5n);
      await anvil.mine();
    },
    async costOf(act: () => Promise<void>): Promise<{ requests: number; calls: number }> {
      proxy.resetTraffic();
      await act();
      const { requests, calls } = proxy.traffic();
      return { requests, calls };
    },
  };
}
