import { sql } from 'kysely';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSignals, type Signal } from '../src/signals.ts';
import { openPostgres, runningLimits } from '../src/storage/postgres.ts';
import { freshDatabaseUrl } from './support/databases.ts';
import { captureLog } from './support/log.ts';
import { pgBouncer, startPgBouncer } from './support/pgbouncer.ts';
import { startTcpProxy } from './support/tcp-proxy.ts';
import { startTransactionPooler } from './support/transaction-pooler.ts';
import { waitFor } from './support/wait.ts';

const probeMs = { heard: 50, deaf: 50, patience: 300 };

/** `listens`: where it listens, if not where it sends. */
function processOn(url: string, listens = url) {
  const db = openPostgres(url, runningLimits);
  onTestFinished(() => db.destroy());
  const heard: Signal[] = [];
  const { log, lines } = captureLog();
  const signals = createSignals({ db, url: listens, log, on: (signal) => void heard.push(signal), probeMs });
  onTestFinished(() => signals.stop());
  const said = () => lines.map(({ msg }) => msg);
  return { db, heard, signals, said };
}

type TestProcess = ReturnType<typeof processOn>;

/** Sends until it is heard: who has just begun may not listen yet. */
async function untilHeard(from: TestProcess, to: TestProcess, signal: Signal): Promise<void> {
  await waitFor(`${signal} to be heard`, () => {
    from.signals.send(signal);
    return to.heard.includes(signal);
  });
}

test('a signal wakes the other processes on the database and not the one that sends it', async () => {
  const url = await freshDatabaseUrl('PostgreSQL');
  const [one, other] = [processOn(url), processOn(url)];
  one.signals.start();
  other.signals.start();
  await untilHeard(one, other, 'payment bsc' as Signal);
  expect(one.heard).not.toContain('payment bsc');
});

test('a connection that ends, or dies without a word, is replaced, and what was sent meanwhile is looked for', async () => {
  const url = await freshDatabaseUrl('PostgreSQL');
  const { hostname, port } = new URL(url);
  const proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  onTestFinished(() => proxy.close());
  const [one, other] = [processOn(url), processOn(url, url.replace(`:${port}`, `:${proxy.port}`))];
  other.signals.start();
  await untilHeard(one, other, 'events');
  for (const [breaks, heals] of [
    [proxy.cut, () => {}],
    [proxy.blackHole, proxy.heal],
  ] as const) {
    breaks();
    heals();
    other.heard.length = 0;
    await waitFor('it to look by itself', () => other.heard.includes('events'), { timeoutMs: 40_000 });
    await untilHeard(one, other, 'provider fourpay');
  }
}, 60_000);

const poolers = [
  { name: 'a pooler', start: startTransactionPooler, isHere: true },
  { name: 'PgBouncer itself, where this machine has it', start: startPgBouncer, isHere: pgBouncer !== null },
];

describe.for(poolers.filter(({ isHere }) => isHere))('$name in transaction mode', ({ start }) => {
  async function behindPooler(): Promise<{ pooled: string; url: string; port: number }> {
    const url = await freshDatabaseUrl('PostgreSQL');
    const { hostname, port } = new URL(url);
    const pooler = await start({ host: hostname, port: Number(port) });
    onTestFinished(() => pooler.close());
    return { pooled: url.replace(`:${port}`, `:${pooler.port}`), url, port: Number(port) };
  }

  test('delivers no signal, which is noticed and told once, while sending goes on', async () => {
    const { pooled: behind, url } = await behindPooler();
    const [pooled, direct] = [processOn(behind), processOn(url)];
    // A server connection that LISTEN was left with may deliver to whoever has it: here somebody else always does.
    await sql`select 1`.execute(pooled.db);
    pooled.signals.start();
    direct.signals.start();
    await waitFor('it to say so', () => pooled.said().includes('database signals missing'));
    await untilHeard(pooled, direct, 'events');
    expect(pooled.said().filter((msg) => msg === 'database signals missing')).toHaveLength(1);
  });

  test('delivers none, and processes that listen beside it hear each other, also after their connections broke', async () => {
    const { pooled, url, port } = await behindPooler();
    const proxy = await startTcpProxy({ host: '127.0.0.1', port });
    onTestFinished(() => proxy.close());
    const listens = url.replace(`:${port}`, `:${proxy.port}`);
    const [one, other] = [processOn(pooled, listens), processOn(pooled, listens)];
    one.signals.start();
    other.signals.start();
    await untilHeard(one, other, 'provider fourpay');
    await untilHeard(other, one, 'provider fourpay');
    proxy.cut();
    other.heard.length = 0;
    await waitFor('it to look by itself', () => other.heard.includes('events'));
    await untilHeard(one, other, 'provider fourpay');
    expect(other.said()).not.toContain('database signals missing');
  });
});
