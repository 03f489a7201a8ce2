import { expect, test } from 'vitest';
import type { BlockRef } from '../../../src/core/chain.ts';
import type { RpcAnswer, RpcCall } from '../../../src/nodes/json-rpc.ts';
import { createPrefetch } from '../../../src/watchers/evm/prefetch.ts';
import { anvilForTest } from '../../support/anvil.ts';
import { endpointOf, evmSourceForTest, pollOf, readToHead, watching } from '../../support/evm.ts';
import { faultProxyForTest } from '../../support/fault-proxy.ts';
import { placeTokens, transferToken } from '../../support/tokens.ts';

const customer = '0x1111111111111111111111111111111111111abc';
const never = new AbortController().signal;
const callsFor = (height: number): RpcCall[] => [{ method: 'eth_getBlockByNumber', params: [height] }];

/** Answers when told to; what was given up is said. */
function slowClient() {
  const sent: { calls: readonly RpcCall[]; signal: AbortSignal; answer: (result: unknown) => void }[] = [];
  const send = (calls: readonly RpcCall[], signal: AbortSignal) =>
    new Promise<RpcAnswer[]>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
      sent.push({ calls, signal, answer: (result) => resolve([{ result }]) });
    });
  return { sent, send };
}

test('what was asked ahead is not asked again', async () => {
  const { sent, send } = slowClient();
  const ahead = createPrefetch({ send });
  ahead.ask({ from: 10, to: 20, calls: callsFor(20) }, never);
  expect(ahead.reach(10)).toBe(20);
  const answers = ahead.answers(callsFor(20), never);
  sent[0]?.answer('block 20');
  expect(await answers).toEqual([{ result: 'block 20' }]);
  expect(sent.length).toBe(1);
  expect(ahead.reach(10)).toBeNull();
});

test('another question than the one asked ahead is asked, and the other given up', async () => {
  const { sent, send } = slowClient();
  const ahead = createPrefetch({ send });
  ahead.ask({ from: 10, to: 20, calls: callsFor(20) }, never);
  expect(ahead.reach(11)).toBeNull();
  void ahead.answers(callsFor(15), never);
  expect(sent.map(({ calls, signal }) => [calls, signal.aborted])).toEqual([
    [callsFor(20), true],
    [callsFor(15), false],
  ]);
});

test('what was asked ahead and failed fails when it is wanted, and not before', async () => {
  const failure = new Error('the connection broke');
  const ahead = createPrefetch({ send: () => Promise.reject(failure) });
  ahead.ask({ from: 10, to: 20, calls: callsFor(20) }, never);
  await new Promise(setImmediate);
  await expect(ahead.answers(callsFor(20), never)).rejects.toBe(failure);
});

test('being stopped gives up what was asked ahead', () => {
  const { sent, send } = slowClient();
  const stopping = new AbortController();
  createPrefetch({ send }).ask({ from: 10, to: 20, calls: callsFor(20) }, stopping.signal);
  stopping.abort();
  expect(sent[0]?.signal.aborted).toBe(true);
});

/** A chain with a payment in every tenth block, behind a node that takes so many blocks at a time. */
async function openLongChain(maxLogRange = 5, blocks = 100) {
  const anvil = await anvilForTest();
  const { usdt } = await placeTokens(anvil, 'bsc');
  const { number, hash, timestamp } = await anvil.block('latest');
  const paid: string[] = [];
  for (let i = 0; i < blocks / 10; i++) {
    paid.push(await transferToken(anvil, usdt, customer, 5n));
    await anvil.mine(10);
  }
  const proxy = await faultProxyForTest(anvil.url);
  const source = evmSourceForTest([endpointOf(proxy.url, { maxLogRange })]);
  return { anvil, proxy, source, paid, cursor: { height: number, hash: hash as never, time: timestamp } };
}

test('catching up asks for each block once, and finds everything', async () => {
  const { proxy, source, paid, cursor } = await openLongChain();
  const queries: string[] = [];
  proxy.inject(
    {
      kind: 'rewrite',
      rewrite: (result, { params }) => {
        const { fromBlock, toBlock } = params[0] as { fromBlock: string; toBlock: string };
        queries.push(`${Number(fromBlock)} to ${Number(toBlock)}`);
        return result;
      },
    },
    { method: 'eth_getLogs' },
  );
  const spans = await readToHead(source, cursor, watching(customer));
  expect(spans.flatMap(({ transfers }) => transfers.map(({ txHash }) => txHash))).toEqual(paid);
  const first = cursor.height + 1;
  const expected = Array.from({ length: 20 }, (_, i) => `${first + i * 5} to ${first + i * 5 + 4}`);
  expect(queries.toSorted((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))).toEqual(expected);
});

test('the next blocks are asked for before the last ones are digested', async () => {
  const { anvil, proxy, source, cursor } = await openLongChain();
  const { number, hash, timestamp } = await anvil.block('latest');
  const head = { height: number, hash: hash as never, time: timestamp };
  // Somebody who is not paid: what is found needs a second request.
  const watch = watching('0x2222222222222222222222222222222222222abc');
  const first = await source.poll(pollOf({ cursor, head, watch }));
  if (first.kind !== 'span') throw new Error(first.kind);
  const second = await source.poll(pollOf({ cursor: first.span.to, head, watch }));
  if (second.kind !== 'span') throw new Error(second.kind);
  proxy.resetTraffic();
  // All but the blocks asked for ahead are out of reach now.
  proxy.inject({ kind: 'drop' });
  expect(await source.poll(pollOf({ cursor: second.span.to, head, watch }))).toMatchObject({ kind: 'span' });
  expect(await source.poll(pollOf({ cursor: second.span.to, head, watch }))).toMatchObject({
    kind: 'failed',
  });
});

test('whole blocks that are wanted from now on are not asked for as far as logs were asked ahead', async () => {
  const { anvil, proxy, source, cursor } = await openLongChain(50, 200);
  const { number, hash, timestamp } = await anvil.block('latest');
  const head = { height: number, hash: hash as never, time: timestamp };
  const watch = watching(customer);
  let from: BlockRef = cursor;
  for (let polls = 0; polls < 2; polls++) {
    const outcome = await source.poll(pollOf({ cursor: from, head, watch }));
    if (outcome.kind !== 'span') throw new Error(outcome.kind);
    from = outcome.span.to;
  }
  proxy.resetTraffic();
  const outcome = await source.poll(pollOf({ cursor: from, head, watch, native: true }));
  expect(outcome).toMatchObject({ kind: 'span', span: { to: { height: from.height + 20 } } });
});

test('while catching up, the head is known where it is asked for', async () => {
  const { anvil, source, cursor } = await openLongChain();
  const { number, hash, timestamp } = await anvil.block(cursor.height + 50);
  const head = { height: number, hash: hash as never, time: timestamp };
  const outcome = await source.poll(pollOf({ cursor, head, watch: watching(customer), showHead: true }));
  if (outcome.kind !== 'span') throw new Error(outcome.kind);
  // Whoever locks an address now must know that all this was mined before.
  expect(outcome.span.head.height).toBe(await anvil.height());
});

test('at the head nothing is asked ahead', async () => {
  const { anvil, proxy, source, cursor } = await openLongChain();
  const watch = watching(customer);
  const spans = await readToHead(source, cursor, watch);
  const { to } = spans.at(-1) as (typeof spans)[number];
  await anvil.mine(1);
  proxy.resetTraffic();
  await source.poll(pollOf({ cursor: to, head: to, watch }));
  expect(proxy.traffic()).toMatchObject({ requests: 1 });
});
