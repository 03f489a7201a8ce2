import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createLogger } from '../src/log.ts';
import { createNotifier, type Notifier } from '../src/notify/deliver.ts';
import { createEndpoint } from '../src/notify/endpoints.ts';
import { createSecrets } from '../src/notify/secrets.ts';
import { createOutbound } from '../src/outbound.ts';
import { inTransaction, openDatabase } from '../src/storage/database.ts';
import { addMerchant } from '../src/storage/operators/merchants.ts';
import type { Db } from '../src/storage/schema.ts';
import { appendEvent } from '../src/storage/webhooks/events.ts';
import { percentiles } from './support/load.ts';
import type { ReceiverReport } from './support/receiver.ts';
import { writeResults } from './support/results.ts';

/* From the outbox to receivers in another process. SQLite, WAL, synchronous=FULL, real sockets, both signatures. */

type Bench = {
  db: Db;
  /** Appends `count` events for a merchant with these endpoints, in transactions of 1,000. */
  queue(merchantId: string, count: number): Promise<void>;
  merchant(paths: readonly string[]): Promise<string>;
  notifier: Notifier;
  /** Attempts whose results are committed. */
  recorded(): number;
  report(reset?: boolean): Promise<ReceiverReport>;
  close(): Promise<void>;
};

export async function run(): Promise<void> {
  const receiver = fork(join(import.meta.dirname, 'support/receiver.ts'));
  const [{ port }] = (await once(receiver, 'message')) as [{ port: number }];
  const lines: string[] = [];
  const say = (line: string) => {
    console.log(line);
    lines.push(line);
  };
  try {
    say(
      'From the outbox to receivers in another process: SQLite, WAL, synchronous=FULL; every delivery claimed, signed twice,',
    );
    say('sent over a socket and recorded.');
    say('');
    say('| | result |');
    say('|---|---|');
    const limit = await bareLimit(port);
    say(`| the same requests without any database, 4 at a time | ${limit.toFixed(0)}/s |`);
    for (const endpoints of [1, 10, 100]) {
      const { rate, cpuMs } = await throughput(receiver, port, endpoints, 'fast', 20_000);
      say(
        `| outbox to ${endpoints} fast endpoint(s) | ${rate.toFixed(0)}/s, ${(rate / limit).toFixed(2)} of that; ${cpuMs.toFixed(2)} ms of CPU each |`,
      );
    }
    for (const [endpoints, total] of [
      [1, 400],
      [50, 20_000],
    ] as const) {
      const { rate } = await throughput(receiver, port, endpoints, 'slow', total);
      const most = (endpoints * 4) / 0.1;
      say(
        `| outbox to ${endpoints} endpoint(s) that answer in 100 ms, 4 at a time each | ${rate.toFixed(0)}/s, ${(rate / most).toFixed(2)} of the ${most}/s that is possible so |`,
      );
    }
    const [alone, beside] = await latencies(receiver, port);
    say(`| event to arrival at 200 events/s, one endpoint alone | ${alone} |`);
    say(`| the same beside a hanging and a 100 ms endpoint with the same events | ${beside} |`);
    say(`| 1,000 endpoints, 100 of them hanging, 20 events each | ${await crowd(receiver, port)} |`);
    say(`| restart with 100,000 due for a hanging endpoint | ${await restart(receiver, port)} |`);
    say(
      `| restart with 100,000 due for 1,000 endpoints, 100 hanging and 100 taking 100 ms | ${await restartMany(receiver, port)} |`,
    );
  } finally {
    receiver.kill();
  }
  writeResults('deliver', lines);
}

async function open(receiver: ChildProcess, port: number): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  const db = await openDatabase(`sqlite:${join(folder, 'depositd.db')}`);
  const secrets = createSecrets(randomBytes(32), 'the benchmark');
  const outbound = createOutbound({ allowHosts: ['127.0.0.1'], userAgent: 'depositd/bench' });
  const log = createLogger({ level: 'error', write: (line) => process.stderr.write(line) });
  let recorded = 0;
  const observe = () => {
    recorded++;
  };
  const notifier = createNotifier({
    observe,
    db,
    outbound,
    secrets,
    headerPrefix: 'X-PayHook',
    clock: Date.now,
    log,
  });
  const report = async (reset = false) => {
    const answered = once(receiver, 'message');
    receiver.send(reset ? 'reset' : 'report');
    return ((await answered) as [ReceiverReport])[0];
  };
  await report(true);
  return {
    db,
    notifier,
    report,
    merchant: (paths) =>
      inTransaction(db, async (trx) => {
        const { id: merchantId } = await addMerchant(trx, { name: 'Bench', at: Date.now() });
        for (const path of paths) {
          const endpoint = { merchantId, url: `http://127.0.0.1:${port}/${path}`, at: Date.now() };
          const rules = { secrets, allowHosts: ['127.0.0.1'], headerPrefix: 'X-PayHook' };
          const made = await createEndpoint(trx, rules, endpoint);
          if (made.kind !== 'created') throw new Error(JSON.stringify(made.faults));
        }
        return merchantId;
      }),
    queue: async (merchantId, count) => {
      for (let done = 0; done < count; done += 1_000) {
        await inTransaction(db, async (trx) => {
          for (let i = done; i < Math.min(count, done + 1_000); i++) {
            await appendEvent(trx, {
              merchantId,
              type: 'payment.confirmed',
              paymentId: null,
              body: body(),
              at: Date.now(),
            });
          }
        });
      }
    },
    recorded: () => recorded,
    close: async () => {
      await notifier.stop(0);
      await outbound.close();
      await db.destroy();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** As large as a payment's. */
function body(): string {
  return JSON.stringify({
    at: Date.now(),
    event: 'payment.confirmed',
    payment_id: 'PAY-2026-ABCDEF',
    text: 'x'.repeat(1_100),
  });
}

async function bareLimit(port: number): Promise<number> {
  const outbound = createOutbound({ allowHosts: ['127.0.0.1'], userAgent: 'depositd/bench' });
  const total = 20_000;
  let next = 0;
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      while (next++ < total) {
        const result = await outbound.send({
          method: 'POST',
          url: `http://127.0.0.1:${port}/bare`,
          headers: { 'content-type': 'application/json' },
          body: Buffer.from(body()),
          timeoutMs: 10_000,
          maxBodyBytes: 2_048,
        });
        if (result.kind !== 'answer') throw new Error(result.detail);
      }
    }),
  );
  await outbound.close();
  return (total / (performance.now() - startedAt)) * 1000;
}

async function throughput(
  receiver: ChildProcess,
  port: number,
  endpoints: number,
  kind: string,
  total: number,
): Promise<{ rate: number; cpuMs: number }> {
  const bench = await open(receiver, port);
  const merchantId = await bench.merchant(Array.from({ length: endpoints }, (_, i) => `${kind}/${i}`));
  await bench.queue(merchantId, total / endpoints);
  const startedAt = performance.now();
  const cpu = process.cpuUsage();
  bench.notifier.start();
  while (bench.recorded() < total) await sleep(5);
  const rate = (total / (performance.now() - startedAt)) * 1000;
  const { user, system } = process.cpuUsage(cpu);
  await bench.close();
  return { rate, cpuMs: (user + system) / 1000 / total };
}

/** By turns, so that whatever else the machine does falls on both. */
async function latencies(receiver: ChildProcess, port: number): Promise<[alone: string, beside: string]> {
  const rounds: { p50: number; p99: number }[][] = [[], []];
  for (let round = 0; round < 3; round++) {
    rounds[0]?.push(await latency(receiver, port, []));
    rounds[1]?.push(await latency(receiver, port, ['hang/1', 'slow/1']));
  }
  const [alone, beside] = rounds.map((all) => {
    const median = (key: 'p50' | 'p99') => all.map((one) => one[key]).sort((x, y) => x - y)[1];
    return `p50 ${median('p50')} ms, p99 ${median('p99')} ms (medians of 3 rounds)`;
  });
  return [alone ?? '', beside ?? ''];
}

async function latency(receiver: ChildProcess, port: number, neighbours: readonly string[]) {
  const bench = await open(receiver, port);
  const merchantId = await bench.merchant(['fast/1', ...neighbours]);
  bench.notifier.start();
  for (let i = 0; i < 1_000; i++) {
    await bench.queue(merchantId, 1);
    bench.notifier.wake();
    await sleep(5);
  }
  for (let report = await bench.report(); report.ages.length < 1_000; report = await bench.report())
    await sleep(50);
  const { ages } = await bench.report();
  await bench.close();
  return percentiles(ages);
}

async function crowd(receiver: ChildProcess, port: number): Promise<string> {
  const bench = await open(receiver, port);
  const paths = Array.from({ length: 1_000 }, (_, i) => `${i % 10 === 0 ? 'hang' : 'fast'}/${i}`);
  const merchantId = await bench.merchant(paths);
  await bench.queue(merchantId, 20);
  const before = memory();
  const startedAt = performance.now();
  bench.notifier.start();
  let report = await bench.report();
  for (; (report.counts.fast ?? 0) < 18_000; report = await bench.report()) await sleep(20);
  const seconds = (performance.now() - startedAt) / 1000;
  const most = Math.max(
    ...Object.entries(report.mostAtOnce)
      .filter(([path]) => path.startsWith('/hang'))
      .map(([, n]) => n),
  );
  const grown = memory() - before;
  await bench.close();
  return `the 18,000 of the others in ${seconds.toFixed(1)} s; a hanging one held at most ${most} requests; memory ${signed(grown)} MB`;
}

async function restart(receiver: ChildProcess, port: number): Promise<string> {
  const bench = await open(receiver, port);
  const dead = await bench.merchant(['hang/0']);
  const well = await bench.merchant(['fast/0']);
  await bench.queue(dead, 100_000);
  await bench.db
    .updateTable('webhook_endpoints')
    .set({ failing_since: 1 })
    .where('merchant_id', '=', dead)
    .execute();
  const before = memory();
  bench.notifier.start();
  await sleep(3_000);
  for (let i = 0; i < 100; i++) {
    await bench.queue(well, 1);
    bench.notifier.wake();
    await sleep(20);
  }
  let report = await bench.report();
  for (; report.ages.length < 100; report = await bench.report()) await sleep(20);
  const grown = memory() - before;
  const { p50, p99 } = percentiles(report.ages);
  await bench.close();
  return `${report.mostAtOnce['/hang/0']} requests to it at a time, memory ${signed(grown)} MB; another endpoint's events meanwhile p50 ${p50} ms, p99 ${p99} ms`;
}

async function restartMany(receiver: ChildProcess, port: number): Promise<string> {
  const bench = await open(receiver, port);
  // Of ten endpoints one hangs and one takes 100 ms.
  const kinds = ['hang', 'slow', ...Array<string>(8).fill('restart')];
  const merchantId = await bench.merchant(Array.from({ length: 1_000 }, (_, i) => `${kinds[i % 10]}/${i}`));
  const other = await bench.merchant(['fast/0']);
  await bench.queue(merchantId, 100);
  const heap = [liveHeap()];
  const resident = [memory()];
  const startedAt = performance.now();
  bench.notifier.start();
  const arrived = ({ counts }: ReceiverReport) => (counts.restart ?? 0) + (counts.slow ?? 0);
  let report = await bench.report();
  for (; arrived(report) < 90_000; report = await bench.report()) {
    if (arrived(report) >= 30_000 * heap.length) {
      resident.push(memory());
      heap.push(liveHeap());
    }
    await bench.queue(other, 1);
    bench.notifier.wake();
    await sleep(200);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  resident.push(memory());
  heap.push(liveHeap());
  while (report.ages.length === 0) report = await bench.report();
  const { p50, p99 } = percentiles(report.ages);
  const atOnce = Math.max(...Object.values(report.mostAtOnce));
  await bench.close();
  return [
    `the 90,000 of the others in ${seconds.toFixed(1)} s (${(90_000 / seconds).toFixed(0)}/s)`,
    `at most ${atOnce} requests at a time to one endpoint and ${report.mostOpen} to all that answer`,
    `another endpoint's events meanwhile p50 ${p50} ms, p99 ${p99} ms`,
    `live heap at the start, after each third and at the end ${heap.join(', ')} MB, resident ${resident.join(', ')} MB`,
  ].join('; ');
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What is really in use, in MB: V8 lets garbage lie while there is room. */
function liveHeap(): number {
  collectGarbage();
  return Math.round(process.memoryUsage().heapUsed / 2 ** 20);
}

/** Resident, in MB. */
function memory(): number {
  return Math.round(process.memoryUsage.rss() / 2 ** 20);
}

function signed(n: number): string {
  return n >= 0 ? `+${n}` : `−${-n}`;
}
