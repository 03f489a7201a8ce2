import { describe, expect, test } from 'vitest';
import type { RecheckFinding } from '../../../src/metrics.ts';
import { listDeposits } from '../../../src/storage/deposits/deposits.ts';
import { createRecheck } from '../../../src/watchers/recheck/recheck.ts';
import { createWatcher } from '../../../src/watchers/watcher.ts';
import { createWatchlist } from '../../../src/watchers/watchlist.ts';
import { evmAddress } from '../../support/addresses.ts';
import { anvilForTest } from '../../support/anvil.ts';
import { openTestSqlite } from '../../support/databases.ts';
import { chainConfig, endpointOf, evmSourceForTest, testClock } from '../../support/evm.ts';
import { faultProxyForTest } from '../../support/fault-proxy.ts';
import type { LogFault } from '../../support/faults.ts';
import { silentLog } from '../../support/log.ts';
import { addTestAddresses, addTestMerchant } from '../../support/payments.ts';
import { placeTokens, transferToken } from '../../support/tokens.ts';

/*
 * L2 on a real node: the faults of a list of logs that one answer cannot show. The node has the blocks, proves it, and
 * leaves something out.
 */

const silent: LogFault['kind'][] = ['empty-logs', 'short-logs', 'drop-middle-log', 'drop-last-block'];

/** Six transfers to us in three blocks, read through a proxy, with as many blocks on top as make them final. */
async function open(others: number) {
  const anvil = await anvilForTest();
  const { usdt } = await placeTokens(anvil, 'bsc');
  const proxy = await faultProxyForTest(anvil.url);
  const nodes = [proxy.url, ...(others > 0 ? [anvil.url] : [])];
  const clock = testClock();
  const db = await openTestSqlite();
  await addTestAddresses(db, await addTestMerchant(db), { count: 1 });
  const chain = chainConfig(nodes.map((url) => endpointOf(url)));
  const source = evmSourceForTest(nodes, { clock });
  const findings: RecheckFinding[] = [];
  const deps = {
    db,
    chain,
    source,
    watch: createWatchlist('evm'),
    latePolicy: 'flag' as const,
    clock,
    log: silentLog,
    onEvents: () => {},
    found: (_: string, finding: RecheckFinding) => findings.push(finding),
  };
  const watcher = createWatcher(deps);
  const recheck = createRecheck(deps);
  const { signal } = new AbortController();

  async function read(): Promise<void> {
    let quiet = 0;
    for (let steps = 0; quiet < 2; steps++) {
      if (steps > 100) throw new Error('never read to its end');
      const { kind, nextAt } = await watcher.step(signal);
      clock.advance(Math.max(0, nextAt - clock()));
      quiet = kind === 'unmoved' ? quiet + 1 : 0;
    }
  }
  await read();
  const paid: string[] = [];
  for (let n = 0; n < 6; n++) {
    paid.push(await transferToken(anvil, usdt, evmAddress(1), BigInt(n + 1)));
    if (n % 2 === 1) await anvil.mine();
  }
  await anvil.mine(20);
  return {
    proxy,
    read,
    findings,
    paid,
    async recheck(): Promise<void> {
      for (let steps = 0; ; steps++) {
        if (steps > 100) throw new Error('never rechecked to its end');
        const { kind, nextAt } = await recheck.step(signal);
        if (kind === 'nothing') return;
        clock.advance(Math.max(0, nextAt - clock()));
      }
    },
    async recorded(): Promise<string[]> {
      const { deposits } = await listDeposits(db, { limit: 100 });
      return deposits
        .toSorted((a, b) => a.height - b.height || (a.logIndex ?? 0) - (b.logIndex ?? 0))
        .map(({ txHash }) => txHash);
    },
    close: () => db.destroy(),
  };
}

describe.each(silent)('L2: %s by a node that has the blocks', (kind) => {
  test('is found from another node, each transfer once, and again not twice', async () => {
    const reader = await open(1);
    const lie = reader.proxy.inject({ kind }, { method: 'eth_getLogs' });
    await reader.read();
    expect(lie.hits).toBeGreaterThan(0);
    const seen = await reader.recorded();
    expect(seen.length).toBeLessThan(6);
    await reader.recheck();
    expect(await reader.recorded()).toEqual(reader.paid);
    expect(reader.findings).toEqual(Array.from({ length: 6 - seen.length }, () => 'missed'));
    await reader.read();
    await reader.recheck();
    expect(await reader.recorded()).toEqual(reader.paid);
    await reader.close();
  });

  test('is found from the same node once it is over, where there is no other', async () => {
    const reader = await open(0);
    reader.proxy.inject({ kind }, { method: 'eth_getLogs' });
    await reader.read();
    expect((await reader.recorded()).length).toBeLessThan(6);
    reader.proxy.clear();
    await reader.recheck();
    expect(await reader.recorded()).toEqual(reader.paid);
    await reader.close();
  });
});
