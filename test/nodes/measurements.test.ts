import { expect, onTestFinished, test } from 'vitest';
import { countOf, percentile } from '../../src/core/histogram.ts';
import { measurementMs } from '../../src/core/measurement.ts';
import { failureOf, NodeError, type NodeFault } from '../../src/nodes/fault.ts';
import { createNodeMeter, noteMeasurements } from '../../src/nodes/measurements.ts';
import { listNodeMeasurements } from '../../src/storage/chains/node-measurements.ts';
import { forgetOnce } from '../../src/storage/retention.ts';
import type { Db } from '../../src/storage/schema.ts';
import { createSource } from '../../src/watchers/sources.ts';
import { testChain } from '../support/config.ts';
import { describeDatabases } from '../support/databases.ts';
import { endpointOf, testClock } from '../support/evm.ts';
import { silentLog } from '../support/log.ts';
import { respond, startLoopback } from '../support/loopback.ts';

const network = 'bsc';
const host = 'node.example';

/** One process that measures, by a clock of the test. */
function openProcess(db: Db, clock: () => number) {
  const measure = createNodeMeter(clock);
  return { measure, note: () => noteMeasurements({ db, network, measure }) };
}

test.each<[NodeFault, string]>([
  [{ kind: 'unavailable', retryAfterMs: null, late: true }, 'timeout'],
  [{ kind: 'unavailable', retryAfterMs: 1000, throttled: true }, 'rate_limited'],
  [{ kind: 'unavailable', retryAfterMs: null, unreachable: true }, 'unavailable'],
  [{ kind: 'lacks', what: 'traces' }, 'refused'],
  [{ kind: 'behind' }, 'behind'],
  [{ kind: 'contradiction' }, 'wrong'],
])('a fault %j is counted as %s', (fault, failure) => {
  expect(failureOf(new NodeError(fault, 'said').fault)).toBe(failure);
});

test.each(['bsc', 'tron'] as const)(
  'a node of %s that wants fewer requests has answered, and failed by that',
  async (name) => {
    const clock = testClock();
    const measure = createNodeMeter(clock);
    const { url } = await startLoopback(respond(429));
    const chain = testChain(name, { rpc: [endpointOf(url, { solidityUrl: null })] });
    const source = createSource({ chain, clock, log: silentLog, measure });
    onTestFinished(() => source.close());
    await source.headsOfEach(new AbortController().signal);
    const rows = measure.take();
    expect(rows.map(({ host, failures }) => [host, failures])).toEqual([
      [new URL(url).host, { rate_limited: 1 }],
    ]);
    expect(countOf(rows[0]?.latency ?? [])).toBeGreaterThan(0);
  },
);

describeDatabases('how nodes answered', (openTestDb) => {
  test('is kept by interval, added up over processes that led one after the other, and forgotten after 30 days', async () => {
    const db = await openTestDb();
    const clock = testClock();
    const begun = Math.ceil(clock() / measurementMs) * measurementMs;
    clock.advance(begun - clock());
    const first = openProcess(db, clock);
    for (const ms of [10, 10, 10, 400]) first.measure.answered(host, ms);
    first.measure.failed(host, 'timeout');
    await first.note();
    const second = openProcess(db, clock);
    second.measure.answered(host, 10);
    second.measure.failed(host, 'timeout');
    second.measure.failed('other.example', 'behind');
    await second.note();
    clock.advance(measurementMs);
    second.measure.answered(host, 20);
    await second.note();

    const rows = await listNodeMeasurements(db, { network, since: begun });
    expect(
      rows.map(({ host, at, latency, failures }) => [host, at - begun, countOf(latency), failures]),
    ).toEqual([
      [host, 0, 5, { timeout: 2 }],
      ['other.example', 0, 0, { behind: 1 }],
      [host, measurementMs, 1, {}],
    ]);
    const [row] = rows;
    expect(percentile(row?.latency ?? [], 0.5)).toBeLessThan(15);
    expect(percentile(row?.latency ?? [], 0.95)).toBeGreaterThan(250);

    const days30 = 30 * 86_400_000;
    await forgetOnce(db, { now: begun + days30 + 1, eventRetentionMs: days30 });
    const left = await listNodeMeasurements(db, { network, since: begun });
    expect(left.map(({ at }) => at - begun)).toEqual([measurementMs]);
  });

  test('that could not be written down is written later, once', async () => {
    const db = await openTestDb();
    const clock = testClock();
    const { measure, note } = openProcess(db, clock);
    measure.answered(host, 10);
    await db.schema.alterTable('node_measurements').renameTo('away').execute();
    await expect(note()).rejects.toThrow();
    await db.schema.alterTable('away').renameTo('node_measurements').execute();
    expect(await note()).toBe(true);
    expect(await note()).toBe(false);
    const rows = await listNodeMeasurements(db, { network, since: 0 });
    expect(rows.map(({ latency }) => countOf(latency))).toEqual([1]);
  });

  test('does not grow in memory while nothing can be written down', async () => {
    const clock = testClock();
    const measure = createNodeMeter(clock);
    for (let interval = 0; interval < 2_000; interval++) {
      measure.answered(host, 10);
      clock.advance(measurementMs);
    }
    expect(measure.take()).toHaveLength(1_000);
  });
});
