import { expect, test } from 'vitest';
import { listDeposits } from '../../../src/storage/deposits/deposits.ts';
import { createWatcher } from '../../../src/watchers/watcher.ts';
import { createWatchlist } from '../../../src/watchers/watchlist.ts';
import { evmAddress } from '../../support/addresses.ts';
import { anvilForTest } from '../../support/anvil.ts';
import { openTestSqlite } from '../../support/databases.ts';
import { chainConfig, endpointOf, evmSourceForTest, testClock } from '../../support/evm.ts';
import { type FaultProxy, faultProxyForTest } from '../../support/fault-proxy.ts';
import { captureLog } from '../../support/log.ts';
import { addTestAddresses, addTestMerchant } from '../../support/payments.ts';
import { placeTokens, transferToken } from '../../support/tokens.ts';

/*
 * S1 on a real node, whose finality does not help: the preferred node comes to sit on a fork of its own, below what was
 * confirmed, and tells it without a contradiction.
 */

type Numbered = { number: string; hash: string; parentHash: string };

/** From this block on the node's chain is another one, in which nobody pays. Returns how to end that. */
function forkFrom(node: FaultProxy, height: number): () => void {
  const elsewhere = (hash: string) =>
    `0x${(15 - Number.parseInt(hash.slice(2, 3), 16)).toString(16)}${hash.slice(3)}`;
  const blocks = node.inject(
    {
      kind: 'rewrite',
      rewrite: (result) => {
        const block = result as Numbered | null;
        if (block === null || Number(block.number) < height) return block;
        const parentHash = Number(block.number) > height ? elsewhere(block.parentHash) : block.parentHash;
        return { ...block, hash: elsewhere(block.hash), parentHash, transactions: [] };
      },
    },
    { method: 'eth_getBlockByNumber' },
  );
  const logs = node.inject(
    {
      kind: 'rewrite',
      rewrite: (result) =>
        (result as { blockNumber: string }[]).filter(({ blockNumber }) => Number(blockNumber) < height),
    },
    { method: 'eth_getLogs' },
  );
  const receipts = node.inject(
    { kind: 'rewrite', rewrite: () => null },
    { method: 'eth_getTransactionReceipt' },
  );
  return () => {
    for (const each of [blocks, logs, receipts]) each.remove();
  };
}

/** A deposit of which two nodes have the block, confirmed 15 deep, and then the first node's fork below it. */
async function open() {
  // As on Ethereum, the finalized block is far below.
  const anvil = await anvilForTest({ slotsInAnEpoch: 32 });
  const { usdt } = await placeTokens(anvil, 'bsc');
  await anvil.mine(3);
  const first = await faultProxyForTest(anvil.url);
  const second = await faultProxyForTest(anvil.url);
  const urls = [first.url, second.url];
  const clock = testClock();
  const { log, lines } = captureLog();
  const db = await openTestSqlite();
  await addTestAddresses(db, await addTestMerchant(db), { count: 1 });
  const watcher = createWatcher({
    db,
    chain: chainConfig(
      urls.map((url) => endpointOf(url)),
      { finality: 'depth' },
    ),
    source: evmSourceForTest(urls, { clock, finality: 'depth', log }),
    watch: createWatchlist('evm'),
    latePolicy: 'flag',
    clock,
    log,
    onEvents: () => {},
  });
  /** A block and a look at it every ten seconds. */
  const live = async (seconds: number) => {
    for (const end = clock() + seconds * 1000; clock() < end; clock.advance(10_000)) {
      await anvil.mine();
      await watcher.step(new AbortController().signal);
    }
  };
  await live(20);
  await transferToken(anvil, usdt, evmAddress(1), 5n);
  await anvil.mine(16);
  await live(50);
  const shown = async () => (await listDeposits(db, { limit: 9 })).deposits.map(({ status }) => status);
  expect(await shown()).toEqual(['confirmed']);
  const [deposit] = (await listDeposits(db, { limit: 1 })).deposits;
  const told = (msg: string) => lines.filter((line) => line.msg === msg && line.level !== 'debug');
  const cursor = async () => {
    const row = await db.selectFrom('chain_cursors').select(['height', 'hash']).executeTakeFirstOrThrow();
    return { stands: (await anvil.block(row.height)).hash === row.hash, ...row };
  };
  const host = (node: FaultProxy) => new URL(node.url).host;
  return {
    first,
    second,
    live,
    shown,
    told,
    cursor,
    host,
    height: deposit?.height ?? 0,
    close: () => db.destroy(),
  };
}

test('S1: what is confirmed stands while another node has it, and reading goes on with that one', async () => {
  const { first, second, live, shown, told, cursor, host, height, close } = await open();
  const before = (await cursor()).height;
  forkFrom(first, height - 1);
  await live(1200);
  expect(await shown()).toEqual(['confirmed']);
  expect(await cursor()).toMatchObject({ stands: true });
  expect((await cursor()).height).toBeGreaterThan(before + 100);
  expect(told('chain reorganized')).toEqual([]);
  expect(told('nodes disagree about a block')).toEqual([
    expect.objectContaining({ height, upheld_by: [host(second)], denied_by: [host(first)] }),
  ]);
  await close();
});

test('S1: what two nodes have no longer is taken back at once, and found where it is again', async () => {
  const { first, second, live, shown, told, height, close } = await open();
  const ends = [first, second].map((node) => forkFrom(node, height - 1));
  await live(10);
  expect(await shown()).toEqual(['orphaned']);
  expect(told('confirmed deposits taken back without second node')).toEqual([]);
  for (const end of ends) end();
  await live(60);
  expect(await shown()).toEqual(['confirmed']);
  await close();
});

test('S1: the other node does not hold it up for ever when it is away', async () => {
  const { first, second, live, shown, told, cursor, host, height, close } = await open();
  forkFrom(first, height - 1);
  second.inject({ kind: 'status', status: 502 });
  await live(50);
  expect(await shown()).toEqual(['confirmed']);
  await live(60);
  expect(await shown()).toEqual(['orphaned']);
  expect(told('confirmed deposits taken back without second node')).toMatchObject([
    { height, denied_by: [host(first)] },
  ]);
  expect(await cursor()).toMatchObject({ stands: false });
  await close();
});
