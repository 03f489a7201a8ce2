import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompiledQuery, sql } from 'kysely';
import { openDatabase } from '../src/storage/database.ts';
import { readOverview, sumByDay } from '../src/storage/payments/overview.ts';
import { listPayments } from '../src/storage/payments/views.ts';
import type { Db } from '../src/storage/schema.ts';
import { listenToQueries } from '../test/support/asked-queries.ts';
import { fillDatabase } from '../test/support/filled-database.ts';
import { openDashboardServer } from './support/dashboard-server.ts';
import { writeResults } from './support/results.ts';

/*
 * What the dashboard asks for, on SQLite with a million payments: the first view of Home, whose requests a page sends at
 * once, lists far down, a report, and an export. `npm run bench -- dashboard [PAYMENTS]`.
 */

const rounds = 40;
const exported = 100_000;
/** Of the payment in the middle. */
const number = 'PAY-2026-7K2M9QXW4T';

/** Payments over two years, and all of them within the 30 days that Home shows. */
const spreads = [
  { name: 'over two years', everyMs: 60_000 },
  { name: 'in 30 days', everyMs: 2_500 },
] as const;

/** As dashboard/src/pages/home.tsx asks for them, for an operator. */
const home = [
  '/alerts/',
  '/overview/',
  '/payments/?limit=10',
  '/chains/',
  '/merchants/',
  '/merchants/mer_1/addresses/?limit=1',
  '/merchants/mer_1/webhooks/',
  '/payments/?status=confirmed&limit=1',
];

export async function run([size = '1000000']: string[]): Promise<void> {
  const payments = Number(size);
  const lines = [
    `SQLite, ${payments.toLocaleString('en')} payments. Home: from the first of the ${home.length} requests that it sends at once to the last answer, ${rounds} times. Target: p95 of 150 ms.`,
    '',
    '| payments made | request | first, ms | p50, ms | p95, ms |',
    '|---|---|---|---|---|',
  ];
  for (const { name, everyMs } of spreads) {
    const folder = mkdtempSync(join(tmpdir(), 'depositd-dashboard-'));
    try {
      const path = join(folder, 'depositd.db');
      const now = Date.now();
      await fill(path, { payments, now, everyMs });
      console.log(`${name}: ${Math.round(statSync(path).size / 1e6)} MB`);
      lines.push(...(await measure(path, { name, now, everyMs, payments })));
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
  console.log(lines.join('\n'));
  writeResults('dashboard', lines);
}

async function fill(path: string, options: Parameters<typeof fillDatabase>[1]): Promise<void> {
  const db = await openDatabase(`sqlite:${path}`);
  console.log(`filling in ${options.payments.toLocaleString('en')} payments…`);
  await fillDatabase(db, options);
  await sql`update payments set reason = 'overpaid' where status = 'confirmed' and id % 100 = 0`.execute(db);
  await sql`update payments set payment_number = ${number} where id = ${Math.floor(options.payments / 2)}`.execute(
    db,
  );
  await sql`analyze`.execute(db);
  await db.destroy();
}

type Measured = { name: string; now: number; everyMs: number; payments: number };

async function measure(path: string, { name, now, everyMs, payments }: Measured): Promise<string[]> {
  const server = await openDashboardServer(path);
  const lines: string[] = [];
  const row = (what: string, times: readonly number[]) => {
    const sorted = times.toSorted((a, b) => a - b);
    const at = (part: number) =>
      (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(1);
    lines.push(`| ${name} | ${what} | ${(times[0] ?? 0).toFixed(1)} | ${at(0.5)} | ${at(0.95)} |`);
  };
  const timed = async (work: () => Promise<unknown>, times = rounds) => {
    const all: number[] = [];
    for (let round = 0; round < times; round++) {
      const begun = performance.now();
      await work();
      all.push(performance.now() - begun);
    }
    return all;
  };
  try {
    row('**Home**', await timed(() => Promise.all(home.map((one) => server.get(one)))));
    for (const one of home) row(`\`${one}\``, await timed(() => server.get(one)));
    const deep = Math.floor(payments / 2);
    const others = [
      '/pool/',
      `/payments/?cursor=id-${deep}`,
      `/payments/?status=failed`,
      `/deposits/?cursor=id-${deep}`,
      `/deliveries/?cursor=id-${deep}`,
      '/deposits/?status=unmatched',
      '/audit/',
      `/payments/search/?q=order-${deep}`,
      `/payments/${number}/timeline/`,
    ];
    for (const one of others) row(`\`${one}\``, await timed(() => server.get(one)));
    const since = new Date(now - 30 * 86_400_000).toISOString();
    const report = `/reports/sums/?since=${since}&until=${new Date(now).toISOString()}`;
    row('`/reports/sums/` of 30 days', await timed(() => server.get(report), 5));
    lines.push(...(await measureExport(server, { name, now, everyMs })));
    await explainAll(server.db);
  } finally {
    await server.close();
  }
  return lines;
}

type Server = Awaited<ReturnType<typeof openDashboardServer>>;

/** How much memory an export takes, whose answer is read as fast as it comes, and how long the rest waits for it. */
async function measureExport(
  server: Server,
  { name, now, everyMs }: Omit<Measured, 'payments'>,
): Promise<string[]> {
  const after = new Date(now - exported * everyMs).toISOString();
  const before = process.memoryUsage().rss;
  let most = before;
  let longest = 0;
  let done = false;
  const watching = (async () => {
    while (!done) {
      const begun = performance.now();
      await server.get('/merchants/');
      longest = Math.max(longest, performance.now() - begun);
      most = Math.max(most, process.memoryUsage().rss);
    }
  })();
  const begun = performance.now();
  const { bytes, rows } = await server.drain(`/payments/export/?created_after=${after}`);
  const took = performance.now() - begun;
  done = true;
  await watching;
  return [
    `| ${name} | \`/payments/export/\`: ${rows.toLocaleString('en')} rows, ${(bytes / 1e6).toFixed(0)} MB, ${((most - before) / 1e6).toFixed(0)} MB more memory, another request waits ${longest.toFixed(0)} ms at most | ${took.toFixed(0)} | | |`,
  ];
}

/** Prints how each query of Home is planned. */
async function explainAll(db: Db): Promise<void> {
  const asked = new Map<string, readonly unknown[]>();
  await listenToQueries(
    ({ text, parameters }) => asked.set(text, parameters),
    async () => {
      const since = Date.now() - 86_400_000;
      await readOverview(db, { merchantId: null, since });
      await sumByDay(db, { merchantId: null, since: since - 29 * 86_400_000, until: Date.now() });
      await listPayments(db, { merchantId: null, limit: 10 });
    },
  );
  for (const [text, parameters] of asked) {
    const { rows } = await db.executeQuery<{ detail: string }>(
      CompiledQuery.raw(`explain query plan ${text}`, [...parameters]),
    );
    console.log(`${text.slice(0, 160)}\n${rows.map(({ detail }) => `    ${detail}`).join('\n')}`);
  }
}
