import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AddressKey } from '../../../src/core/address.ts';
import type { BlockRef } from '../../../src/core/chain.ts';
import { transferTopic } from '../../../src/watchers/evm/calls.ts';
import { bloomAdmits, createRateAlarm, type RateAlarm } from '../../../src/watchers/evm/log-gaps.ts';
import type { PollOutcome } from '../../../src/watchers/source.ts';
import { anvilForTest } from '../../support/anvil.ts';
import { endpointOf, evmSourceForTest, pollOf, testClock, watching } from '../../support/evm.ts';
import { faultProxyForTest } from '../../support/fault-proxy.ts';
import { describeRealData } from '../../support/real-data.ts';
import { type RecordedBlock, type RecordedReceipt, readRecorded } from '../../support/recorded-chain.ts';
import { batchTokens, placeTokens, transferToken } from '../../support/tokens.ts';

const usdt = '55d398326f99059ff775485246999027b3197955' as AddressKey;
const usdc = '8ac76a51cc950d9822d68b83fe1ad97b32cd580d' as AddressKey;

/** An alarm that has seen `perBlock` logs of USDT in each of `blocks` blocks, ten at a time. */
function alarmAfter(perBlock: number, blocks: number): RateAlarm {
  const alarm = createRateAlarm([usdt, usdc]);
  for (let at = 0; at < blocks; at += 10) alarm.measured(10, new Map([[usdt, perBlock * 10]]));
  return alarm;
}

describe('a silence is absurd', () => {
  test('when it has a chance below one in a million at the rate the token has had', () => {
    const alarm = alarmAfter(0.5, 1000);
    // e^-13.5 is 1.4 in a million, e^-14 0.8.
    expect(alarm.quiet(27, new Map())).toEqual([]);
    expect(alarm.quiet(28, new Map())).toEqual([{ token: usdt, enough: 28 }]);
  });

  test('of one block, for a token that fills every block; and one is enough to look at among many', () => {
    const alarm = alarmAfter(60, 10);
    expect(alarm.quiet(1, new Map())).toEqual([{ token: usdt, enough: 1 }]);
    expect(alarm.quiet(500, new Map())).toEqual([{ token: usdt, enough: 1 }]);
  });

  test('never for a token with a single log, for one that is hardly known, or for one that never moved', () => {
    expect(alarmAfter(60, 10).quiet(100, new Map([[usdt, 1]]))).toEqual([]);
    expect(alarmAfter(4, 20).quiet(100, new Map())).toEqual([]);
    expect(createRateAlarm([usdc]).quiet(10_000, new Map())).toEqual([]);
  });

  test('by the rate of lately, not of long ago', () => {
    const alarm = alarmAfter(2, 5_000);
    for (let n = 0; n < 20; n++) alarm.measured(1_000, new Map([[usdt, 10]]));
    expect(alarm.quiet(100, new Map())).toEqual([]);
  });

  test('no more once it was doubted five times at one place: then it begins anew', () => {
    const alarm = alarmAfter(60, 10);
    for (let n = 0; n < 5; n++) expect(alarm.doubted(usdt, 1000)).toBe(true);
    // Another place is another doubt.
    for (let n = 0; n < 5; n++) expect(alarm.doubted(usdt, 1001)).toBe(true);
    expect(alarm.quiet(1, new Map())).toHaveLength(1);
    expect(alarm.doubted(usdt, 1001)).toBe(false);
    expect(alarm.quiet(1, new Map())).toEqual([]);
  });

  test('exactly when Poisson says so, whatever the rate and the number of blocks', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 200 }), (perBlock, blocks) => {
        const alarmed = alarmAfter(perBlock, 200).quiet(blocks, new Map()).length > 0;
        expect(alarmed).toBe(Math.exp(-perBlock * blocks) < 1e-6);
      }),
    );
  });
});

describe('a bloom', () => {
  test('of a real node admits every log of its block, and hardly anything else', async () => {
    const anvil = await anvilForTest();
    const { usdt: token } = await placeTokens(anvil, 'bsc');
    await transferToken(anvil, token, '0x1111111111111111111111111111111111111abc', 1n);
    await anvil.mine();
    const { logsBloom } = (await anvil.rpc('eth_getBlockByNumber', ['latest', false])) as {
      logsBloom: string;
    };
    expect(bloomAdmits(logsBloom, transferTopic)).toBe(true);
    expect(bloomAdmits(logsBloom, token)).toBe(true);
    expect(bloomAdmits(logsBloom, token.toLowerCase())).toBe(true);
    const strangers = Array.from({ length: 100 }, (_, n) => `0x${n.toString(16).padStart(40, '7')}`);
    expect(strangers.filter((address) => bloomAdmits(logsBloom, address))).toEqual([]);
  });

  test('that is empty, cut or missing admits nothing', () => {
    for (const bloom of [`0x${'0'.repeat(512)}`, `0x${'f'.repeat(510)}`, '0x', undefined, null, 7]) {
      expect(bloomAdmits(bloom, transferTopic)).toBe(false);
    }
    expect(bloomAdmits(`0x${'f'.repeat(512)}`, transferTopic)).toBe(true);
  });
});

describeRealData('the bloom of a whole Ethereum block', 'rpc-ethereum/full-block.json.gz', () => {
  test('admits each address and topic of its logs', () => {
    const block = readRecorded('rpc-ethereum/full-block.json.gz') as RecordedBlock & { logsBloom: string };
    const receipts = readRecorded('rpc-ethereum/full-block-receipts.json.gz') as RecordedReceipt[];
    const items = receipts.flatMap(({ logs }) => logs.flatMap(({ address, topics }) => [address, ...topics]));
    expect(items.length).toBeGreaterThan(500);
    expect(items.filter((item) => !bloomAdmits(block.logsBloom, item))).toEqual([]);
    const absent = Array.from({ length: 1000 }, (_, n) => `0x${n.toString(16).padStart(40, '7')}`);
    const accidents = absent.filter((item) => bloomAdmits(block.logsBloom, item)).length;
    expect(accidents).toBeLessThan(900);
  });
});

const customer = '0x1111111111111111111111111111111111111abc';
const stranger = '0x2222222222222222222222222222222222222def';

/** Reads whole tokens of a chain where each of ten blocks moved USDT thirty times, and one more that pays the customer. */
async function openBusy(second: boolean) {
  const anvil = await anvilForTest();
  const { usdt: token } = await placeTokens(anvil, 'bsc');
  const proxy = await faultProxyForTest(anvil.url);
  const clock = testClock();
  const nodes = second ? [proxy.url, anvil.url] : [proxy.url];
  const source = evmSourceForTest(
    nodes.map((url) => endpointOf(url)),
    { clock },
  );
  const { cursor } = await source.start('latest', new AbortController().signal);
  let state = { cursor, head: cursor };
  const found: string[] = [];

  async function poll(): Promise<PollOutcome> {
    // As many as make it a scan of whole tokens.
    const outcome = await source.poll(
      pollOf({ ...state, watch: { ...watching(customer), size: 1_000_000 } }),
    );
    if (outcome.kind === 'span') {
      state = { cursor: outcome.span.to, head: outcome.span.head };
      found.push(...outcome.span.transfers.map(({ txHash }) => txHash));
    }
    return outcome;
  }
  const crowd = Array.from({ length: 30 }, () => ({ to: stranger, amount: 1n }));
  for (let n = 0; n < 10; n++) {
    await batchTokens(anvil, token, crowd);
    await anvil.mine();
  }
  await poll();
  await poll();
  expect(state.cursor.height).toBe(await anvil.height());
  await batchTokens(anvil, token, crowd);
  const paid = await transferToken(anvil, token, customer, 5n);
  await anvil.mine();
  // The head is seen before anything goes wrong.
  await poll();
  const before: BlockRef = state.cursor;
  return { anvil, token, proxy, source, clock, poll, found, paid, before, cursor: () => state.cursor };
}

const logs = { method: 'eth_getLogs' };

describe('a node that suddenly has no logs of a busy token', () => {
  test('is not believed where the bloom shows some: another one is asked before the cursor moves', async () => {
    const reader = await openBusy(true);
    const lie = reader.proxy.inject({ kind: 'result', result: [] }, logs);
    expect(await reader.poll()).toMatchObject({ kind: 'span' });
    expect([lie.hits, reader.found]).toEqual([1, [reader.paid]]);
    expect(reader.cursor().height).toBe(reader.before.height + 1);
    expect(reader.source.endpoints()[0]).toMatchObject({
      lastError: expect.stringContaining('no transfer of 0x55d398326f99059ff775485246999027b3197955'),
    });
  });

  test('moves nothing where it is alone, and loses nothing once it is honest again', async () => {
    const reader = await openBusy(false);
    reader.proxy.inject({ kind: 'result', result: [] }, logs);
    for (let n = 0; n < 3; n++) {
      const outcome = await reader.poll();
      expect(outcome).toMatchObject({ kind: 'failed' });
      if (outcome.kind === 'failed') reader.clock.advance(outcome.retryAt - reader.clock());
    }
    expect(reader.cursor()).toEqual(reader.before);
    reader.proxy.clear();
    await reader.poll();
    expect(reader.found).toEqual([reader.paid]);
  });

  test('is believed after five doubts, so that an accident of the bloom stops no chain', async () => {
    const reader = await openBusy(false);
    reader.proxy.inject({ kind: 'result', result: [] }, logs);
    let failures = 0;
    for (;;) {
      const outcome = await reader.poll();
      if (outcome.kind === 'span') break;
      failures += 1;
      if (outcome.kind === 'failed') reader.clock.advance(outcome.retryAt - reader.clock());
    }
    expect(failures).toBe(5);
  });

  test('is believed at once where the bloom shows none: the token is paused', async () => {
    const reader = await openBusy(false);
    await reader.poll();
    await reader.anvil.mine(3);
    await reader.poll();
    reader.proxy.resetTraffic();
    expect(await reader.poll()).toMatchObject({ kind: 'span', span: { transfers: [] } });
    expect(reader.cursor().height).toBe(await reader.anvil.height());
    // One more header was looked at.
    expect(reader.proxy.traffic()).toMatchObject({ requests: 2, calls: 5 });
  });

  test('is not doubted while few addresses are watched: then an empty list is what is expected', async () => {
    const reader = await openBusy(false);
    reader.proxy.resetTraffic();
    const head = await reader.source.blocksAt([await reader.anvil.height()], new AbortController().signal);
    const [top] = [...head.values()];
    if (top == null) throw new Error('no head');
    const watch = watching(stranger.replace('2222', '3333'));
    reader.proxy.resetTraffic();
    const outcome = await reader.source.poll(pollOf({ cursor: reader.before, head: top, watch }));
    expect(outcome).toMatchObject({ kind: 'span', span: { transfers: [] } });
    expect(reader.proxy.traffic()).toMatchObject({ requests: 1, calls: 4 });
  });
});
