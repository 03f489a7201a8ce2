import { sql } from 'kysely';
import { expect, onTestFinished, test } from 'vitest';
import { createSignals, type Signal } from '../src/signals.ts';
import { openPostgres, runningLimits } from '../src/storage/postgres.ts';
import { freshDatabaseUrl } from './support/databases.ts';
import { captureLog } from './support/log.ts';
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

test('a pooler in transaction mode, which delivers no signal, is noticed and told once, and sending goes on', async () => {
  const url = await freshDatabaseUrl('PostgreSQL');
  const { hostname, port } = new URL(url);
  const pooler = await startTransactionPooler({ host: hostname, port: Number(port) }, { size: 3 });
  onTestFinished(() => pooler.close());
  const [pooled, direct] = [processOn(url.replace(`:${port}`, `:${pooler.port}`)), processOn(url)];
  // A server connection that LISTEN was left with may deliver to whoever has it: here somebody else always does.
  await sql`select 1`.execute(pooled.db);
  pooled.signals.start();
  direct.signals.start();
  await waitFor('it to say so', () => pooled.said().includes('database signals missing'));
  await untilHeard(pooled, direct, 'events');
  expect(pooled.said().filter((msg) => msg === 'database signals missing')).toHaveLength(1);
});
