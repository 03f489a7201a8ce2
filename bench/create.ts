import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LoadResult, load } from './support/load.ts';
import { writeResults } from './support/results.ts';

/*
 * Creating payments over HTTP: the API, validation, the quote, the lock and the durable commit as in the
 * daemon, at pools of 10^3 and 10^6 free addresses. Beside it, in the same process and by turns, a bare route
 * that does one raw SQLite transaction with the same durability: what HTTP and the disk allow at most.
 */

const connections = 32;
const perRound = 800;
const rounds = 12;

export type Ready = {
  limit: number;
  small: { port: number; key: string };
  large: { port: number; key: string };
};

/** What a round cost the server's process. */
export type RoundDone = { cpuMs: number };

type Round = LoadResult & { cpuMs: number };

export async function run(args: string[]): Promise<void> {
  const large = Number(args[0] ?? 1_000_000);
  const folder = mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  const server = fork(join(import.meta.dirname, 'support/create-server.ts'), [folder, String(large)]);
  const mailbox = createMailbox(server);
  try {
    console.log(`filling a pool of 1,000 and one of ${large.toLocaleString('en')} addresses…`);
    const ready = (await mailbox.next()) as Ready;
    const results = new Map<string, Round[]>();
    let n = 0;
    for (let round = 0; round <= rounds; round++) {
      for (const [name, port, request] of [
        ['limit', ready.limit, limitRequest],
        ['10³', ready.small.port, createRequest(ready.small.key)],
        ['10⁶', ready.large.port, createRequest(ready.large.key)],
      ] as const) {
        const result = await load({ port, connections, total: perRound, request: () => request(n++) });
        const expected = name === 'limit' ? 200 : 201;
        if (result.statuses[expected] !== perRound)
          throw new Error(`${name}: ${JSON.stringify(result.statuses)}`);
        server.send('reset');
        const { cpuMs } = (await mailbox.next()) as RoundDone;
        // The first round warms up.
        if (round > 0) results.set(name, [...(results.get(name) ?? []), { ...result, cpuMs }]);
      }
    }
    report(results, large);
  } finally {
    server.removeAllListeners();
    if (server.exitCode === null && server.kill()) await once(server, 'exit');
    rmSync(folder, { recursive: true });
  }
}

/** Asks for what comes next; whoever dies instead of answering ends the benchmark. */
function createMailbox(server: ChildProcess): { next(): Promise<unknown> } {
  let receive = Promise.withResolvers<unknown>();
  server.on('message', (message) => receive.resolve(message));
  server.once('exit', (code) => receive.reject(new Error(`the server ended with ${code}`)));
  return {
    next: async () => {
      const message = await receive.promise;
      receive = Promise.withResolvers();
      return message;
    },
  };
}

function createRequest(key: string): (n: number) => Buffer {
  return (n) => {
    const body = JSON.stringify({
      amount_usd_cents: 5000 + (n % 1000),
      network: 'bsc',
      currency: 'usdt',
      external_order_id: `order-${n}`,
      customer_email: 'customer@example.com',
      redirect_url: `https://merchant.example/orders/${n}/thanks`,
      metadata: { sku: 'GOLD-PLAN', quantity: 1 },
    });
    return post(
      '/api/v1/payments/',
      body,
      `X-API-Key: ${key}\r\nIdempotency-Key: bench-${process.pid}-${n}\r\n`,
    );
  };
}

function limitRequest(n: number): Buffer {
  return post('/', JSON.stringify({ n }), '');
}

function post(path: string, body: string, headers: string): Buffer {
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n${headers}` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function report(results: Map<string, Round[]>, large: number): void {
  const median = (numbers: number[]) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;
  const rows = [...results].map(([name, all]) => ({
    name,
    rate: median(all.map((one) => one.rate)),
    p50: median(all.map((one) => one.p50)),
    p99: median(all.map((one) => one.p99)),
    max: median(all.map((one) => one.max)),
    cpuMs: median(all.map((one) => one.cpuMs)) / perRound,
  }));
  const limit = rows[0]?.rate ?? 0;
  const labels: Record<string, string> = {
    limit: 'bare route, one raw transaction',
    '10³': 'create, 10³ free addresses',
    '10⁶': `create, ${large === 1_000_000 ? '10⁶' : large} free addresses`,
  };
  const lines = [
    `${connections} connections, median of ${rounds} rounds of ${perRound} requests by turns; SQLite, WAL, synchronous=FULL, each answer after its commit.`,
    '',
    '| | requests/s | of the limit | p50 ms | p99 ms | max ms | CPU ms a request |',
    '|---|---|---|---|---|---|---|',
    ...rows.map(
      (row) =>
        `| ${labels[row.name]} | ${row.rate.toFixed(0)} | ${(row.rate / limit).toFixed(2)} | ${row.p50.toFixed(1)} | ${row.p99.toFixed(1)} | ${row.max.toFixed(0)} | ${row.cpuMs.toFixed(2)} |`,
    ),
  ];
  console.log(lines.join('\n'));
  writeResults('create', lines);
}
