import { describe, expect, test } from 'vitest';
import type { Network } from '../../src/core/networks.ts';
import { createUsageMeter } from '../../src/nodes/usage.ts';
import { listNodeUsage, listSlowedChains } from '../../src/storage/chains/usage.ts';
import type { Db } from '../../src/storage/schema.ts';
import { createBudget, decidePace, slowestMs } from '../../src/watchers/budget.ts';
import { noteUsage } from '../../src/watchers/usage-notes.ts';
import { testChain } from '../support/config.ts';
import { describeDatabases } from '../support/databases.ts';
import { captureLog } from '../support/log.ts';

const hourMs = 3_600_000;
const midnight = Date.UTC(2026, 4, 24);
const host = '127.0.0.1:1';

/** A chain that is polled every second with three calls, by a clock of its own. */
function openChain(db: Db, quota: number | null, from: number) {
  let now = from;
  const clock = () => now;
  const bsc = testChain('bsc');
  const rpc = bsc.rpc.map((endpoint) => ({ ...endpoint, requestsPerDay: quota }));
  const { log, lines } = captureLog();
  const meter = createUsageMeter(clock);
  const budget = createBudget({ db, chain: { network: bsc.network, rpc }, meter, clock, log });
  const count = meter.counterOf(host);
  /** Until `to`, looking at the budget every five minutes. */
  async function pollUntil(to: number): Promise<void> {
    while (now < to) {
      for (const end = now + 300_000; now < end; now += budget.everyMs() ?? 1_000) {
        for (const method of ['eth_getBlockByNumber', 'eth_getLogs', 'eth_blockNumber']) count(method, 100);
        budget.polled();
      }
      await budget.step();
    }
  }
  /** Another process leads. */
  const follow = (ms: number) => {
    now += ms;
  };
  return { budget, pollUntil, follow, lines, clock };
}

describeDatabases('the quota of a node', (openTestDb) => {
  test('that would be spent before midnight slows polling before it is used up, and says so', async () => {
    const db = await openTestDb();
    const quota = 100_000;
    const chain = openChain(db, quota, midnight);
    await chain.pollUntil(midnight + 15 * 60_000);
    const [line, ...others] = chain.lines.filter(({ msg }) => msg === 'polling slowed');
    expect(others).toEqual([]);
    expect(line).toMatchObject({ level: 'warn', host, requests_per_day: quota, seconds: expect.any(Number) });
    expect(chain.budget.everyMs()).toBeGreaterThan(2_000);
    expect(await listSlowedChains(db, chain.clock())).toMatchObject([{ network: 'bsc', host }]);
    await chain.pollUntil(midnight + 24 * hourMs - 300_000);
    // It never flutters between two paces.
    expect(chain.lines.filter(({ msg }) => msg === 'polling slowed')).toHaveLength(1);
    const rows = await listNodeUsage(db, midnight / (24 * hourMs));
    expect(rows.map(({ method }) => method).toSorted()).toEqual([
      'eth_blockNumber',
      'eth_getBlockByNumber',
      'eth_getLogs',
    ]);
    const calls = rows.reduce((sum, row) => sum + row.calls, 0);
    expect(calls).toBeLessThan(quota);
    expect(calls).toBeGreaterThan(0.8 * quota);
    expect(rows.reduce((sum, row) => sum + row.bytes, 0)).toBe(100 * calls);
  });

  test('that was used up by another process makes it read once a minute, and not never', async () => {
    const db = await openTestDb();
    const other = openChain(db, null, midnight + 10 * hourMs);
    await other.pollUntil(midnight + 11 * hourMs);
    expect(other.budget.everyMs()).toBeNull();
    const chain = openChain(db, 10_000, midnight + 11 * hourMs);
    await chain.pollUntil(midnight + 11 * hourMs + 300_000);
    expect(chain.budget.everyMs()).toBe(slowestMs);
  });

  test('is judged by the pace since this process leads the chain', async () => {
    const db = await openTestDb();
    const chain = openChain(db, 150_000, midnight);
    await chain.budget.step();
    chain.follow(3 * hourMs);
    await chain.pollUntil(midnight + 3 * hourMs + 20 * 60_000);
    // Three calls a second are 226,800 until midnight; over the whole hour they would look like a third of it.
    expect(chain.lines).toMatchObject([{ msg: 'polling slowed', host }]);
  });

  test('is not judged by what another process asked while it led', async () => {
    const db = await openTestDb();
    // Twice what full pace takes in a day.
    const chain = openChain(db, 520_000, midnight);
    await chain.pollUntil(midnight + 20 * 60_000);
    const other = createUsageMeter(chain.clock);
    const count = other.counterOf(host);
    chain.follow(3 * hourMs);
    for (let n = 0; n < 32_400; n++) count('eth_getLogs', 100);
    await noteUsage({ db, network: 'bsc' as Network, meter: other });
    await chain.pollUntil(chain.clock() + 30 * 60_000);
    expect(chain.lines).toEqual([]);
  });

  test('that an API process helps to spend slows polling too', async () => {
    const db = await openTestDb();
    const chain = openChain(db, 300_000, midnight);
    const lookUps = createUsageMeter(chain.clock);
    const count = lookUps.counterOf(host);
    for (let minutes = 5; minutes <= 20; minutes += 5) {
      await chain.pollUntil(midnight + minutes * 60_000);
      for (let n = 0; n < 2_000; n++) count('eth_getTransactionByHash', 100);
      await noteUsage({ db, network: 'bsc' as Network, meter: lookUps });
    }
    expect(chain.lines).toMatchObject([{ msg: 'polling slowed', host }]);
  });

  test('that lasts changes nothing', async () => {
    const db = await openTestDb();
    const chain = openChain(db, 300_000, midnight);
    await chain.pollUntil(midnight + 3 * hourMs);
    expect(chain.budget.everyMs()).toBeNull();
    expect(chain.lines).toEqual([]);
    expect(await listSlowedChains(db, chain.clock())).toEqual([]);
  });
});

describe('the pace that a quota leaves', () => {
  const spending = {
    quota: 100_000,
    spent: 50_000,
    calls: 3_600,
    others: 0,
    polls: 1_200,
    seenMs: hourMs,
    leftMs: 12 * hourMs,
    slowed: false,
  };

  test('is any while the pace of the last hour fits into what is left', () => {
    expect(decidePace(spending)).toBeNull();
    expect(decidePace({ ...spending, calls: 4_200, polls: 1_400 })).toBe(2_880);
  });

  test('is given back only when it is well below what is left', () => {
    expect(decidePace({ ...spending, calls: 3_500, slowed: true })).not.toBeNull();
    expect(decidePace({ ...spending, calls: 3_000, slowed: true })).toBeNull();
  });

  test('has room for what other processes look up, at their pace of the last hour', () => {
    // 12 hours at 300 calls an hour: 3,600 of the 45,000 that are left.
    expect(decidePace({ ...spending, others: 300, calls: 4_200, polls: 1_400 })).toBe(
      Math.ceil((12 * hourMs) / ((45_000 - 3_600) / 3)),
    );
    expect(decidePace({ ...spending, others: 100_000 })).toBe(slowestMs);
  });

  test('is not judged by a few minutes', () => {
    expect(decidePace({ ...spending, calls: 1_000_000, seenMs: 60_000 })).toBeNull();
  });
});
