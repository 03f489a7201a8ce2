import { setImmediate } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { ChainConfig } from '../../src/config.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { createPayments } from '../../src/payments/create.ts';
import { readChain } from '../../src/storage/chains/chains.ts';
import { listNodes } from '../../src/storage/chains/nodes.ts';
import { hasSeenDeposit } from '../../src/storage/deposits/waiting.ts';
import type { Db } from '../../src/storage/schema.ts';
import { watchChain } from '../../src/watchers/chain.ts';
import { listenForHeads } from '../../src/watchers/evm/new-heads.ts';
import { createWatchlist } from '../../src/watchers/watchlist.ts';
import { anvilForTest, type TestAnvil } from '../support/anvil.ts';
import { testConfig } from '../support/config.ts';
import { describeDecisions } from '../support/databases.ts';
import { chainConfig, endpointOf } from '../support/evm.ts';
import { type FaultProxy, faultProxyForTest } from '../support/fault-proxy.ts';
import { captureLog } from '../support/log.ts';
import { addTestAddresses, addTestMerchant, testRates } from '../support/payments.ts';
import { placeTokens, transferToken } from '../support/tokens.ts';
import { waitFor } from '../support/wait.ts';
import { webSocketForTest } from '../support/websocket.ts';

/*
 * What sets a chain's loop going: time, a payment that is made, and news of a block.
 */

describeDecisions('a chain', (openTestDb) => {
  const anHour = 3600;

  test('reads a new block at once when a websocket tells of it, while a payment is open', async () => {
    const chain = await open(await openTestDb(), { pollSeconds: anHour, idlePollSeconds: anHour });
    const payment = await chain.create();
    await chain.untilRead();
    await chain.pay(payment);
    await waitFor('the deposit', async () => {
      if (await hasSeenDeposit(chain.db, 'bsc')) return true;
      await chain.anvil.mine();
      return false;
    });
  });

  test('that nobody waits for is not read because a websocket tells of blocks', async () => {
    const chain = await open(await openTestDb(), { pollSeconds: anHour, idlePollSeconds: anHour });
    await chain.untilIdle();
    chain.proxy.resetTraffic();
    for (let blocks = 0; blocks < 3; blocks++) await chain.mineAndHear();
    expect(chain.proxy.traffic().requests).toBe(0);
    // Until somebody does.
    await chain.create();
    await chain.untilRead();
    expect(chain.proxy.traffic().requests).toBeGreaterThan(0);
  });

  test('is not asked again and again because a websocket tells of blocks that are not there', async () => {
    const socket = await webSocketForTest();
    const chain = await open(await openTestDb(), {
      pollSeconds: anHour,
      idlePollSeconds: anHour,
      wsUrl: () => socket.url,
    });
    await chain.create();
    await chain.untilRead();
    const connection = await waitFor('the websocket', () => socket.connections[0]);
    chain.proxy.resetTraffic();
    for (let news = 0; news < 300; news++) {
      connection.send({ jsonrpc: '2.0', method: 'eth_subscription', params: { result: { number: '0x1' } } });
      await chain.anvil.height();
    }
    await chain.stop();
    expect(chain.proxy.traffic().requests).toBeGreaterThan(0);
    expect(chain.proxy.traffic().requests).toBeLessThan(30);
  });

  test('is read at once for each block of a hundred that a websocket tells of', async () => {
    const chain = await open(await openTestDb(), { pollSeconds: anHour, idlePollSeconds: anHour });
    await chain.create();
    await chain.untilRead();
    for (let blocks = 0; blocks < 100; blocks++) {
      await chain.mineAndHear();
      await chain.untilRead();
    }
  });

  test.each([
    ['cannot be reached', 'ws://127.0.0.1:1'],
    ['is none', 'the node itself, by HTTP'],
  ])('is read at its own pace when the websocket %s', async (_, wsUrl) => {
    const chain = await open(await openTestDb(), {
      pollSeconds: 0.1,
      idlePollSeconds: 0.1,
      wsUrl: (proxy) => (wsUrl.startsWith('ws') ? wsUrl : proxy.url.replace('http', 'ws')),
    });
    const payment = await chain.create();
    await chain.pay(payment);
    await chain.anvil.mine();
    await waitFor('the deposit', () => hasSeenDeposit(chain.db, 'bsc'));
    expect(chain.lines.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
  });

  test('that is read at full pace is read no faster for every further payment', async () => {
    const chain = await open(await openTestDb(), {
      pollSeconds: anHour,
      idlePollSeconds: anHour,
      wsUrl: () => 'ws://127.0.0.1:1',
    });
    await chain.untilIdle();
    await chain.untilStepped(chain.create);
    chain.proxy.resetTraffic();
    for (let payments = 0; payments < 2; payments++) {
      await chain.create();
      for (let turns = 0; turns < 50; turns++) await setImmediate();
    }
    await chain.stop();
    expect(chain.proxy.traffic().requests).toBe(0);
  });

  test('that nobody waits for is read on though the clock was set back', async () => {
    const chain = await open(await openTestDb(), { pollSeconds: 0.1, idlePollSeconds: 0.1 });
    await chain.untilIdle();
    chain.setBack(anHour * 1000);
    await chain.anvil.mine();
    await chain.untilRead();
  });

  test('is read on though nothing that is measured of its nodes can be written down', async () => {
    const db = await openTestDb();
    await db.schema.alterTable('node_measurements').renameTo('away').execute();
    const chain = await open(db, { pollSeconds: 0.1, idlePollSeconds: 0.1 });
    const failed = () =>
      chain.lines.flatMap(({ msg, loop }) => (msg === 'loop step failed' ? [String(loop)] : []));
    await waitFor('it to fail', () => failed().length > 0);
    await chain.anvil.mine();
    await chain.untilRead();
    expect(new Set(failed())).toEqual(new Set(['measurements']));
  });

  test('whose node has used up its plan is read once a minute, says so, and hurries for no block', async () => {
    const chain = await open(await openTestDb(), {
      pollSeconds: 0.1,
      idlePollSeconds: 0.1,
      requestsPerDay: 1,
    });
    await waitFor('it to say so', () => chain.lines.some(({ msg }) => msg === 'polling slowed'));
    // A step that had begun ends.
    await waitFor('nothing to be asked, block after block', async () => {
      chain.proxy.resetTraffic();
      for (let blocks = 0; blocks < 3; blocks++) await chain.mineAndHear();
      return chain.proxy.traffic().requests === 0;
    });
    const state = await readChain(chain.db, 'bsc');
    expect(state?.cursor.height).toBeLessThan(await chain.anvil.height());
  });

  test('stops with its websocket', async () => {
    const chain = await open(await openTestDb(), { pollSeconds: anHour, idlePollSeconds: anHour });
    await chain.stop();
    chain.proxy.resetTraffic();
    for (let blocks = 0; blocks < 3; blocks++) await chain.mineAndHear();
    expect(chain.proxy.traffic().requests).toBe(0);
  });
});

type Options = Partial<Pick<ChainConfig, 'pollSeconds' | 'idlePollSeconds'>> & {
  requestsPerDay?: number;
  wsUrl?: (proxy: FaultProxy, anvil: TestAnvil) => string;
};

/** A merchant whose chain is being read, with the head known and nobody waiting. */
async function open(db: Db, { wsUrl = webSocketOf, requestsPerDay, ...paces }: Options) {
  const anvil = await anvilForTest();
  const { usdt } = await placeTokens(anvil, 'bsc');
  const proxy = await faultProxyForTest(anvil.url);
  const endpoint = endpointOf(proxy.url, {
    wsUrl: wsUrl(proxy, anvil),
    requestsPerDay: requestsPerDay ?? null,
  });
  const chain = { ...chainConfig([endpoint]), recheckSeconds: 3600, ...paces };
  const config = testConfig({ chains: { bsc: chain } });
  const merchantId = await addTestMerchant(db);
  await addTestAddresses(db, merchantId, { network: 'bsc', count: 3 });
  const { log, lines } = captureLog();
  let ahead = 0;
  const clock = () => systemClock() + ahead;
  const watched = watchChain({
    db,
    chain,
    watch: createWatchlist('evm'),
    latePolicy: 'flag',
    clock,
    log,
    onEvents: () => {},
    found: () => {},
  });
  onTestFinished(() => watched.stop());
  const payments = createPayments({
    db,
    config,
    rates: testRates(),
    pools: { afterLock: () => {}, afterRefusal: () => {}, settled: async () => {} },
    clock,
    wake: () => watched.wake(),
  });
  let heard = 0;
  const ears = listenForHeads({
    rpc: [endpointOf(anvil.url, { wsUrl: webSocketOf(proxy, anvil) })],
    onHead: () => {
      heard += 1;
    },
    log,
  });
  onTestFinished(() => ears.stop());

  async function untilRead(): Promise<void> {
    await waitFor('the chain to be read', async () => {
      const state = await readChain(db, 'bsc');
      return state?.cursor.height === (await anvil.height());
    });
  }

  /** Until a step found nothing to read and nobody waiting, and the loop has gone to sleep over it. */
  async function untilIdle(): Promise<void> {
    // The first step may find a block, the second none. After each it is noted how the nodes look, if some time passed.
    for (let steps = 0; steps < 2; steps++) await untilStepped(watched.wake);
  }

  /** Until the step is over that this causes. */
  async function untilStepped(cause: () => unknown): Promise<void> {
    ahead += 60_000;
    const since = clock();
    await cause();
    await waitFor('a step', async () => ((await listNodes(db))[0]?.notedAt ?? 0) >= since);
  }

  /** A block that another listener has heard of, and the chain's own one before or after it. */
  async function mineAndHear(): Promise<void> {
    const before = heard;
    await waitFor('news of a block', async () => {
      if (heard > before) return true;
      await anvil.mine();
      return null;
    });
  }

  await untilRead();
  await mineAndHear();
  return {
    db,
    anvil,
    proxy,
    lines,
    untilRead,
    untilIdle,
    untilStepped,
    mineAndHear,
    stop: watched.stop,
    setBack(ms: number) {
      ahead -= ms;
    },
    async create(): Promise<OnchainPayment> {
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
      return outcome.view.payment;
    },
    pay: ({ address, expectedAmount }: OnchainPayment) => transferToken(anvil, usdt, address, expectedAmount),
  };
}

function webSocketOf(_: FaultProxy, anvil: TestAnvil): string {
  return `ws://127.0.0.1:${anvil.port}`;
}
