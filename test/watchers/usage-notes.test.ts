import { expect, onTestFinished, test } from 'vitest';
import { createUsageMeter } from '../../src/nodes/usage.ts';
import { listNodeUsage } from '../../src/storage/chains/usage.ts';
import type { Db } from '../../src/storage/schema.ts';
import { observeChain } from '../../src/watchers/observe.ts';
import { noteUsage } from '../../src/watchers/usage-notes.ts';
import { createWatchlist } from '../../src/watchers/watchlist.ts';
import { testChain } from '../support/config.ts';
import { describeDatabases } from '../support/databases.ts';
import { endpointOf } from '../support/evm.ts';
import { faultProxyForTest } from '../support/fault-proxy.ts';
import { InjectedFault, makeFaulty } from '../support/faulty-db.ts';
import { captureLog } from '../support/log.ts';
import { txHash } from '../support/payments.ts';
import { createScriptedChain } from '../support/scripted-chain.ts';
import { startScriptedNode } from '../support/scripted-node.ts';

const day = Date.UTC(2026, 4, 24) / 86_400_000;
const clock = () => day * 86_400_000 + 3_600_000;

async function callsByMethod(db: Db): Promise<Record<string, number>> {
  const rows = await listNodeUsage(db, day);
  return Object.fromEntries(rows.map(({ method, calls }) => [method, calls]));
}

describeDatabases('what nodes are asked', (openTestDb) => {
  test('by several processes at once is added up, whatever the order in which each of them asked', async () => {
    const db = await openTestDb();
    const methods = ['eth_getLogs', 'eth_blockNumber', 'eth_getBlockByNumber', 'eth_call'];
    const processes = methods.map((_, n) => ({
      meter: createUsageMeter(clock),
      methods: [...methods.slice(n), ...methods.slice(0, n)],
    }));
    for (let round = 0; round < 5; round++) {
      for (const { meter, methods } of processes)
        for (const method of methods) meter.counterOf('node.example')(method, 10);
      await Promise.all(processes.map(({ meter }) => noteUsage({ db, network: 'bsc', meter })));
    }
    expect(await callsByMethod(db)).toEqual(Object.fromEntries(methods.map((method) => [method, 20])));
  });

  test('is written down by the next note where one failed, once', async () => {
    const { db, failAt } = makeFaulty(await openTestDb());
    const meter = createUsageMeter(clock);
    const count = meter.counterOf('node.example');
    count('eth_call', 10);
    failAt(1);
    await expect(noteUsage({ db, network: 'bsc', meter })).rejects.toThrow(InjectedFault);
    count('eth_call', 10);
    await noteUsage({ db, network: 'bsc', meter });
    await noteUsage({ db, network: 'bsc', meter });
    expect(await callsByMethod(db)).toEqual({ eth_call: 2 });
  });

  test('by a process that only looks up is counted with the rest, call for call', async () => {
    const db = await openTestDb();
    const chain = createScriptedChain({ network: 'bsc', clock, finalityLag: 4, height: 3 });
    const node = await startScriptedNode(chain);
    onTestFinished(() => node.close());
    const proxy = await faultProxyForTest(node.url);
    const { log } = captureLog();
    const bsc = testChain('bsc', { rpc: [endpointOf(proxy.url)] });
    const watch = observeChain({
      db,
      chain: bsc,
      watch: createWatchlist('evm'),
      latePolicy: 'flag',
      clock,
      log,
      onEvents: () => {},
      found: () => {},
    });
    await watch.lookUp({ txHash: txHash(1), since: 0, signal: new AbortController().signal });
    await watch.stop();
    const { byMethod } = proxy.traffic();
    expect(byMethod.eth_getTransactionByHash).toBeGreaterThan(0);
    expect(await callsByMethod(db)).toEqual(byMethod);
  });
});
