import { expect, test } from 'vitest';
import type { BlockHash } from '../../../src/core/chain.ts';
import type { DepositStatus } from '../../../src/core/payment.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { listDeposits } from '../../../src/storage/deposits/deposits.ts';
import { insertPayment } from '../../../src/storage/payments/insert.ts';
import { createRecheck } from '../../../src/watchers/recheck/recheck.ts';
import type { Span } from '../../../src/watchers/source.ts';
import { createWatcher } from '../../../src/watchers/watcher.ts';
import { createWatchlist } from '../../../src/watchers/watchlist.ts';
import { evmAddress, evmKey } from '../../support/addresses.ts';
import { anvilForTest } from '../../support/anvil.ts';
import { openTestSqlite } from '../../support/databases.ts';
import {
  chainConfig,
  endpointOf,
  evmSourceForTest,
  pollOf,
  readToHead,
  testClock,
  watching,
} from '../../support/evm.ts';
import { type FaultProxy, faultProxyForTest } from '../../support/fault-proxy.ts';
import { inclusionsBy } from '../../support/inclusions.ts';
import { silentLog } from '../../support/log.ts';
import { deployPayer } from '../../support/payers.ts';
import { addTestAddresses, addTestMerchant, lockedAt, testPayment } from '../../support/payments.ts';
import { placeTokens, transferToken } from '../../support/tokens.ts';

/*
 * S1 on a real node: the preferred node invents transfers and tells the same story however it is asked. A second node
 * shows the chain as it is.
 */

const forgedTx = `0x${'fa'.repeat(32)}`;
const honest = evmAddress(1);
const token = evmAddress(2);
const coin = evmAddress(3);
const inner = evmAddress(4);

type Log = { topics: string[]; transactionHash: string; logIndex: string };
type Block = { transactions: { hash: string; to: string | null; value: string; input: string }[] };

/** A chain on which `honest` is paid truly, and the reading of it through the liar first, or through it last of two. */
async function open({ nodes, liarLast = false }: { nodes: number; liarLast?: boolean }) {
  const anvil = await anvilForTest();
  const { usdt } = await placeTokens(anvil, 'bsc');
  const payer = await deployPayer(anvil);
  const liar = await faultProxyForTest(anvil.url);
  const second = await faultProxyForTest(anvil.url);
  const clock = testClock();
  const db = await openTestSqlite();
  const merchantId = await addTestMerchant(db);
  const [, , addressId = 0] = await addTestAddresses(db, merchantId, { count: 4 });
  // A payment in the coin, so that blocks are read whole.
  const { id: _, ...open } = testPayment({
    merchantId,
    addressId,
    currency: 'native',
    token: 'native',
    ...lockedAt(0),
    lockChainTime: 0,
    expiresAt: clock() + 3_600_000,
    blockTimeLimit: clock() / 1000 + 3_600,
  });
  await inTransaction(db, (trx) => insertPayment(trx, open));
  const inOrder = liarLast ? [second.url, liar.url] : [liar.url, second.url, anvil.url];
  const urls = inOrder.slice(0, nodes);
  const deps = {
    db,
    chain: chainConfig(urls.map((url) => endpointOf(url))),
    source: evmSourceForTest(urls, { clock }),
    watch: createWatchlist('evm'),
    latePolicy: 'flag' as const,
    clock,
    log: silentLog,
    onEvents: () => {},
    found: () => {},
  };
  const watcher = createWatcher(deps);
  const { signal } = new AbortController();
  const live = async (seconds: number, { grows = false } = {}) => {
    const stepSeconds = seconds > 60 ? 10 : 5;
    for (const end = clock() + seconds * 1000; clock() < end; clock.advance(stepSeconds * 1000)) {
      if (grows) {
        await anvil.increaseTime(stepSeconds);
        await anvil.mine();
      }
      await watcher.step(signal);
    }
  };
  async function recipientsOf(wanted: DepositStatus): Promise<string[]> {
    const { deposits } = await listDeposits(db, { limit: 100 });
    expect(deposits).toHaveLength(liarLast ? 2 : 4);
    const found = deposits.filter(({ status }) => status === wanted);
    return found.map(({ recipient }) => recipient).toSorted();
  }
  await live(10);
  await transferToken(anvil, usdt, honest, 5n);
  // Names the address and gives it nothing.
  const call = await anvil.send(payer.batch({ to: inner, amount: 0n }));
  await anvil.mine();
  forge(liar, call);
  await anvil.mine(20);
  return {
    liar,
    second,
    live,
    recheck: () => createRecheck(deps).step(signal),
    confirmed: () => recipientsOf('confirmed'),
    orphaned: () => recipientsOf('orphaned'),
    close: () => db.destroy(),
  };
}

/** A token, a coin by its own transaction, and one by a contract in `call`: each in lists and asked for by name. */
function forge(liar: FaultProxy, call: string): void {
  const toldAs = (one: unknown) => {
    const log = one as Log;
    const [transfer, from] = log.topics as [string, string];
    const topics = [transfer, from, `0x${token.slice(2).toLowerCase().padStart(64, '0')}`];
    return { ...log, topics, transactionHash: forgedTx, logIndex: '0x7' };
  };
  const rewrite = (method: string, change: (result: unknown, params: unknown[]) => unknown) =>
    liar.inject({ kind: 'rewrite', rewrite: (result, { params }) => change(result, params) }, { method });
  let log: Log | null = null;
  let place: object = {};
  rewrite('eth_getLogs', (result) => {
    const logs = result as Log[];
    log = logs[0] ?? log;
    return logs.flatMap((one) => [one, toldAs(one)]);
  });
  const coins = { hash: `0x${'fb'.repeat(32)}`, to: coin, value: '0x5', input: '0x' };
  rewrite('eth_getBlockByNumber', (result, [, full]) => {
    const block = result as (Block & { number: string; hash: string }) | null;
    if (full !== true || !block?.transactions.some(({ hash }) => hash === call)) return result;
    place = { blockNumber: block.number, blockHash: block.hash };
    const template = block.transactions[0];
    return { ...block, transactions: [...block.transactions, { ...template, ...coins }] };
  });
  rewrite('eth_getTransactionByHash', (result, [hash]) =>
    hash === coins.hash ? { ...coins, ...place } : result,
  );
  rewrite('eth_getTransactionReceipt', (result, [hash]) => {
    if (hash !== forgedTx && hash !== coins.hash) return result;
    const logs = hash === forgedTx && log !== null ? [toldAs(log)] : [];
    return { transactionHash: hash, status: '0x1', logs, ...place };
  });
  const paysNothing = /("to":"0x[^"]*0004","input":"0x","value":)"0x0"/g;
  rewrite('debug_traceTransaction', (result) =>
    JSON.parse(JSON.stringify(result).replace(paysNothing, '$1"0x5"')),
  );
}

function refuseTraces(node: FaultProxy): void {
  for (const method of ['debug_traceTransaction', 'trace_transaction'])
    node.inject({ kind: 'refuse', code: -32601, message: 'method not found' }, { method });
}

const tenMinutes = 600;

test('S1: what a node invents is never confirmed beside an honest second one; the truth is, in the same step', async () => {
  const reader = await open({ nodes: 2 });
  await reader.live(20);
  expect(await reader.confirmed()).toEqual([evmKey(1)]);
  reader.second.resetTraffic();
  // Of a chain that stands still each node would be asked whether it does.
  await reader.live(2 * tenMinutes, { grows: true });
  expect(await reader.confirmed()).toEqual([evmKey(1)]);
  // The second is asked once a minute about them, twice what is final (before the second reading too) and, as this clock is
  // days behind, for its head: not in a step.
  expect(reader.second.traffic().requests).toBeLessThan((3 + 3) * 25);
  await reader.close();
});

test('S1: nor while the second is away for a moment, nor where it cannot trace what contracts paid', async () => {
  const reader = await open({ nodes: 2 });
  refuseTraces(reader.second);
  const away = reader.second.inject({ kind: 'status', status: 502 });
  await reader.live(50);
  expect(away.hits).toBeGreaterThan(0);
  expect(await reader.confirmed()).toEqual([]);
  away.remove();
  await reader.live(60);
  expect(await reader.confirmed()).toEqual([evmKey(1)]);
  await reader.live(2 * tenMinutes);
  expect(await reader.confirmed()).toEqual([evmKey(1)]);
  await reader.close();
});

test('S1: what the only node with traces invents of a contract is not confirmed by the next trace', async () => {
  const reader = await open({ nodes: 2, liarLast: true });
  refuseTraces(reader.second);
  await reader.live(2 * tenMinutes);
  expect(await reader.confirmed()).toEqual([evmKey(1)]);
  await reader.close();
});

test('S1: what a node invents is taken back by the second reading where there are three', async () => {
  const reader = await open({ nodes: 3 });
  await reader.live(20);
  expect(await reader.recheck()).toMatchObject({ kind: 'rechecked' });
  expect(await reader.confirmed()).toEqual([evmKey(1)]);
  expect(await reader.orphaned()).toEqual([2, 3, 4].map((n) => evmKey(n)));
  await reader.close();
});

test('a node that is a little behind is believed about blocks that it calls final, and about no others', async () => {
  const anvil = await anvilForTest();
  const { usdt } = await placeTokens(anvil, 'bsc');
  const lagging = await faultProxyForTest(anvil.url);
  lagging.inject({ kind: 'stale-tags', by: 3 });
  const clock = testClock();
  const source = evmSourceForTest([anvil.url, lagging.url], { clock });
  const { number, hash, timestamp } = await anvil.block('latest');
  const cursor = { height: number, hash: hash as BlockHash, time: timestamp };
  for (let blocks = 0; blocks < 10; blocks++) {
    await transferToken(anvil, usdt, honest, 5n);
    await anvil.mine();
  }
  const spans = await readToHead(source, cursor, watching(honest));
  const transfers = spans.flatMap((span) => span.transfers);
  const { to, head, finalizedHeight } = spans.at(-1) as Span;
  // From now on the source knows how much is final.
  await source.poll(pollOf({ cursor: to, head, finalizedHeight, watch: watching(honest) }));
  const final = (finalizedHeight ?? 0) - 3;
  const shown: string[] = [];
  for (const query of transfers) {
    const looks = await inclusionsBy(source, [query], new URL(lagging.url).host);
    shown.push(looks.get(query)?.kind ?? '');
    clock.advance(60_000);
  }
  expect(shown).toEqual(transfers.map(({ block }) => (block.height <= final ? 'included' : 'unknown')));
  expect(new Set(shown).size).toBe(2);
});

test('a story like that is believed where there is no second node, so that this test would notice one that is not told well', async () => {
  const reader = await open({ nodes: 1 });
  await reader.live(20);
  expect(await reader.confirmed()).toEqual([1, 2, 3, 4].map((n) => evmKey(n)));
  await reader.close();
});
