import { expect, test } from 'vitest';
import { keyOfHex } from '../../../src/core/address.ts';
import type { BlockHash, BlockRef } from '../../../src/core/chain.ts';
import { knownChains } from '../../../src/core/chains/known.ts';
import { ConfigError } from '../../../src/errors.ts';
import { transferTopic } from '../../../src/watchers/evm/calls.ts';
import type { ChainSource, PollOutcome } from '../../../src/watchers/source.ts';
import { anvilForTest, type TestAnvil } from '../../support/anvil.ts';
import { assetsOf, evmSourceForTest, pollOf, watching } from '../../support/evm.ts';
import { type FaultProxy, faultProxyForTest } from '../../support/fault-proxy.ts';
import { inclusionsBy } from '../../support/inclusions.ts';
import { captureLog } from '../../support/log.ts';
import { startStubNode } from '../../support/stub-node.ts';
import { placeTokens, transferToken } from '../../support/tokens.ts';

/*
 * Where something was found, the same node is asked once more: for the time of its block, or its receipt.
 * That answer can be wrong too.
 */

const customer = '0x1111111111111111111111111111111111111abc';

test('transfers at the end of the range need no second request, those below it one', async () => {
  const chain = await open();
  await chain.pay();
  await chain.anvil.mine();
  const atTheEnd = await chain.read();
  expect(atTheEnd).toMatchObject({ kind: 'span', span: { transfers: [{ amount: 5n }] } });
  expect(chain.proxy.traffic().requests).toBe(1 + identification);
  await chain.anvil.mine(3);
  chain.proxy.resetTraffic();
  const below = await chain.read();
  expect(below).toMatchObject({ kind: 'span', span: { transfers: [{ amount: 5n }] } });
  expect(chain.proxy.traffic().requests).toBe(2);
});

test('where every block pays, no more are read at once than can be asked about in a few requests', async () => {
  const top = 10_000;
  const hashOf = (height: number) => `0x${height.toString(16).padStart(64, '0')}` as BlockHash;
  const hex = (value: number) => `0x${value.toString(16)}`;
  const heightOf = (block: unknown) =>
    block === 'latest' ? top : block === 'finalized' ? top - 2 : Number(block);
  const payment = (height: number) => ({
    address: knownChains.bsc.tokens.usdt?.address,
    topics: [transferTopic, hashOf(1), `0x${customer.slice(2).padStart(64, '0')}`],
    data: hashOf(5),
    blockNumber: hex(height),
    blockHash: hashOf(height),
    transactionHash: hashOf(height),
    logIndex: '0x0',
  });
  const node = await startStubNode((method, [first]) => {
    if (method === 'eth_chainId') return '0x38';
    if (method === 'eth_getLogs') {
      const { fromBlock, toBlock } = first as { fromBlock: string; toBlock: string };
      const [from, to] = [Number(fromBlock), Number(toBlock)];
      return Array.from({ length: to - from + 1 }, (_, i) => payment(from + i));
    }
    const height = heightOf(first);
    return {
      number: hex(height),
      hash: hashOf(height),
      parentHash: hashOf(height - 1),
      timestamp: hex(height),
    };
  });
  const refOf = (height: number) => ({ height, hash: hashOf(height), time: height });
  const source = evmSourceForTest([node.url]);
  let cursor = refOf(100);
  const widths: number[] = [];
  while (cursor.height < top) {
    const outcome = await source.poll(pollOf({ cursor, head: refOf(top), watch: watching(customer) }));
    if (outcome.kind !== 'span') throw new Error(outcome.kind);
    widths.push(outcome.span.transfers.length);
    cursor = outcome.span.to as typeof cursor;
  }
  expect(widths.reduce((sum, width) => sum + width)).toBe(top - 100);
  expect(Math.max(...widths)).toBeLessThanOrEqual(1_000);
});

test.each<[string, (block: unknown) => unknown]>([
  ['another block', (block) => ({ ...(block as object), hash: `0x${'f0'.repeat(32)}` })],
  ['a block of another height', (block) => ({ ...(block as object), number: '0x1' })],
  ['no block', () => null],
])('logs of a block for which the node then shows %s are not believed', async (_, rewrite) => {
  const chain = await open();
  await chain.pay();
  const paidAt = (await chain.anvil.height()) + 1;
  await chain.anvil.mine(4);
  chain.proxy.inject(
    { kind: 'rewrite', rewrite },
    { matches: ({ params }) => params[0] === `0x${paidAt.toString(16)}` },
  );
  expect(await chain.read()).toMatchObject({ kind: 'failed' });
});

test.each<[string, (receipt: unknown) => unknown]>([
  ['is missing', () => null],
  ['is of another block', (receipt) => ({ ...(receipt as object), blockHash: `0x${'f0'.repeat(32)}` })],
  [
    'is of another transaction',
    (receipt) => ({ ...(receipt as object), transactionHash: `0x${'f0'.repeat(32)}` }),
  ],
  ['is nonsense', () => 'ok'],
])('a native payment whose receipt %s is not believed', async (_, rewrite) => {
  const chain = await open();
  await chain.anvil.send({ to: customer, value: 5n });
  await chain.anvil.mine();
  chain.proxy.inject({ kind: 'rewrite', rewrite }, { method: 'eth_getTransactionReceipt' });
  expect(await chain.read({ native: true })).toMatchObject({ kind: 'failed' });
  chain.proxy.clear();
});

test('a native payment that failed is none', async () => {
  const chain = await open();
  // The token takes no coins: its code refuses them.
  const failing = await chain.anvil.send({ to: chain.token, value: 5n });
  await chain.anvil.mine();
  expect((await chain.anvil.receipt(failing))?.status).toBe('0x0');
  expect(await chain.read({ native: true, watched: chain.token })).toMatchObject({
    kind: 'span',
    span: { transfers: [] },
  });
});

test('a final block that is gone for every node is a reorg, and nobody is distrusted', async () => {
  const chain = await open();
  await chain.anvil.mine(3);
  const source = evmSourceForTest([chain.proxy.url, chain.anvil.url]);
  const { number } = await chain.anvil.block('finalized');
  const gone = { height: number, hash: `0x${'f0'.repeat(32)}` as BlockHash, time: 0 };
  const outcome = await source.poll(
    pollOf({ cursor: gone, head: gone, finalizedHeight: number, watch: watching() }),
  );
  expect(outcome).toEqual({ kind: 'reorg' });
  expect(source.endpoints().map(({ lastError }) => lastError)).toEqual([null, null]);
});

test('a payment in the block that took the place of the head seen before is found, and nobody blamed', async () => {
  const chain = await open();
  await chain.anvil.mine(2);
  await chain.pay();
  await chain.anvil.mine();
  const height = await chain.anvil.height();
  const { hash, timestamp } = await chain.anvil.block(height);
  // So far above that no header of the answer shows what stands there.
  await chain.anvil.mine(20);
  const orphan = { height, hash: `0x${'f0'.repeat(32)}` as BlockHash, time: timestamp };
  const outcome = await chain.read({ head: orphan });
  expect(outcome).toMatchObject({ kind: 'span', span: { to: { hash }, transfers: [{ amount: 5n }] } });
  expect(chain.source.endpoints()).toMatchObject([{ state: 'ready', failed: 0 }]);
});

test('a transaction of which the node cannot tell is unknown, and the others are told all the same', async () => {
  const chain = await open();
  const hashes = [await chain.pay(), await chain.pay()];
  await chain.anvil.mine(3);
  const outcome = await chain.read();
  if (outcome.kind !== 'span') throw new Error(outcome.kind);
  chain.proxy.inject(
    { kind: 'refuse', code: -32000, message: 'transaction indexing is in progress' },
    { matches: ({ method, params }) => method === 'eth_getTransactionReceipt' && params[0] === hashes[0] },
  );
  const { transfers } = outcome.span;
  const looks = await inclusionsBy(chain.source, transfers);
  expect(transfers.map((transfer) => [transfer.txHash, looks.get(transfer)?.kind])).toEqual([
    [hashes[0], 'unknown'],
    [hashes[1], 'included'],
  ]);
});

test.each<[string, string, RegExp]>([
  ['nobody deployed', `0x${'9'.repeat(40)}`, /tokens\.usdt: there is no contract at 0x9+$/],
  ['that is no token', 'the multicall', /tokens\.usdt: the contract at 0x[0-9a-fA-F]+ has no decimals\(\)/],
])('a token %s is named as a mistake of the configuration', async (_, address, expected) => {
  const chain = await open();
  // Code that does nothing and returns nothing.
  const token = address.startsWith('0x') ? address : await chain.anvil.deploy('0x6001600c60003960016000f300');
  const assets = assetsOf('bsc').map((asset) =>
    asset.currency === 'usdt' ? { ...asset, token: keyOfHex(token) } : asset,
  );
  const source = evmSourceForTest([chain.anvil.url], { assets });
  const failure = await source.verify(new AbortController().signal).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ConfigError);
  expect((failure as ConfigError).faults).toEqual([expect.stringMatching(expected)]);
});

test('every wrong token is named at once, with what its contract says', async () => {
  const chain = await open();
  const assets = assetsOf('bsc').map((asset) =>
    asset.token === 'native' ? asset : { ...asset, decimals: 6 },
  );
  const source = evmSourceForTest([chain.anvil.url], { assets });
  const failure = await source.verify(new AbortController().signal).catch((error: unknown) => error);
  expect((failure as ConfigError).faults).toEqual(
    ['usdt', 'usdc', 'busd'].map((currency) =>
      expect.stringMatching(
        new RegExp(`^chains\\.bsc\\.tokens\\.${currency}: the contract at 0x\\w+ has 18 decimals, not 6$`),
      ),
    ),
  );
});

test('a node that has no contract there yet is passed over for one that has', async () => {
  const chain = await open();
  // A node that is still loading the chain calls its first block the latest.
  const empty = await anvilForTest({ chainId: 56 });
  const { log, lines } = captureLog();
  await evmSourceForTest([empty.url, chain.anvil.url], { log }).verify(new AbortController().signal);
  expect(lines).toContainEqual(
    expect.objectContaining({ level: 'warn', reason: expect.stringMatching(/there is no contract at 0x/) }),
  );
});

test('one node of the right chain is enough to go on', async () => {
  const chain = await open();
  const other = await anvilForTest({ chainId: 1 });
  await evmSourceForTest([other.url, chain.anvil.url]).verify(new AbortController().signal);
});

/** The question for the chain id, before the first use. */
const identification = 1;

type Chain = {
  anvil: TestAnvil;
  proxy: FaultProxy;
  source: ChainSource;
  token: string;
  pay(): Promise<string>;
  /** One poll from the block after the tokens were placed to the head. */
  read(options?: { native?: boolean; watched?: string; head?: BlockRef }): Promise<PollOutcome>;
};

async function open(): Promise<Chain> {
  const anvil = await anvilForTest();
  const { usdt } = await placeTokens(anvil, 'bsc');
  const cursor = await refAt(anvil, await anvil.height());
  const proxy = await faultProxyForTest(anvil.url);
  const source = evmSourceForTest([proxy.url]);
  return {
    anvil,
    proxy,
    source,
    token: usdt,
    pay: () => transferToken(anvil, usdt, customer, 5n),
    read: async ({ native = false, watched = customer, head: seen } = {}) => {
      const head = seen ?? (await refAt(anvil, await anvil.height()));
      return source.poll(pollOf({ cursor, head, watch: watching(watched), native }));
    },
  };
}

async function refAt(anvil: TestAnvil, height: number): Promise<BlockRef> {
  const { hash, timestamp } = await anvil.block(height);
  return { height, hash: hash as BlockHash, time: timestamp };
}
