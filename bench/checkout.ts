import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { transferCall } from '../src/demo/token.ts';
import { evmAddress } from '../test/support/addresses.ts';
import { startTestAnvil, type TestAnvil } from '../test/support/anvil.ts';
import type { List, PaymentBody } from '../test/support/api.ts';
import { usdt } from '../test/support/payments.ts';
import { placeTokens } from '../test/support/tokens.ts';
import { type Arrivals, startArrivals } from './support/arrivals.ts';
import { load, percentiles } from './support/load.ts';
import { writeResults } from './support/results.ts';

/*
 * The page that payers see, of the real daemon on a chain: how long it takes at a steady 200 requests a second, each sent on
 * time whatever became of those before; creating a payment, and the way from a block to the webhook. All of it alone, then
 * beside thousands of open streams, of which also the memory is told, and when the last one hears of a block that concerns it.
 * `npm run bench -- checkout [streams] [seconds]`; takes two minutes.
 */

export type Started = { port: number };
export type Memory = { heapUsed: number; rss: number };

const perSecond = 200;
const creates = 400;
const blocks = 30;
const blockMs = 450;
const paidAtOnce = 100;

type Percentiles = ReturnType<typeof percentiles>;
type Measured = Record<'page' | 'create' | 'webhook', Percentiles>;

type Bench = {
  port: number;
  key: string;
  payments: PaymentBody[];
  anvil: TestAnvil;
  token: string;
  arrivals: Arrivals;
  seconds: number;
};

export async function run(args: string[]): Promise<void> {
  const streams = Number(args[0] ?? 5_000);
  const seconds = Number(args[1] ?? 15);
  const folder = mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  const anvil = await startTestAnvil();
  const arrivals = await startArrivals();
  let server: ChildProcess | undefined;
  try {
    const { usdt: token } = await placeTokens(anvil, 'bsc');
    await anvil.mine(20);
    const adminToken = randomBytes(16).toString('hex');
    server = fork(join(import.meta.dirname, 'support/checkout-server.ts'), [folder, anvil.url, adminToken], {
      execArgv: ['--expose-gc'],
    });
    const { port } = await heard<Started>(server);
    say(`making ${streams.toLocaleString('en')} payments`);
    const shop = await openShop(port, adminToken, { arrivals, addresses: streams + 3 * creates });
    await makePayments(port, shop.key, streams + blocks);
    const payments = await listAll(port, shop.key);
    const bench = { port, key: shop.key, payments, anvil, token, arrivals, seconds };

    say('measuring alone');
    const alone = await measure(bench, 0);
    const before = await memoryOf(server);
    say(`opening ${streams.toLocaleString('en')} streams`);
    const open = await openStreams(bench);
    const after = await memoryOf(server);
    say('measuring beside them');
    const beside = await measure(bench, blocks);
    say(`paying ${paidAtOnce} in one block`);
    const last = await payAtOnce(bench, open);
    for (const { socket } of open) socket.destroy();
    report({ alone, beside, streams, seconds, last, before, after });
  } finally {
    if (server !== undefined && server.exitCode === null && server.kill()) await once(server, 'exit');
    await arrivals.stop();
    await anvil.stop();
    rmSync(folder, { recursive: true });
  }
}

const begun = performance.now();
const say = (text: string) => console.log(`${((performance.now() - begun) / 1000).toFixed(0)} s: ${text}…`);

async function heard<T>(server: ChildProcess): Promise<T> {
  const died = once(server, 'exit').then(([code]) => {
    throw new Error(`the daemon ended with ${code}`);
  });
  died.catch(() => {});
  return Promise.race([once(server, 'message').then(([message]) => message as T), died]);
}

async function memoryOf(server: ChildProcess): Promise<Memory> {
  // The streams of a moment ago are closed, and the cache of the page has what it will have.
  await setTimeout(1_000);
  server.send('memory');
  return heard<Memory>(server);
}

async function openShop(
  port: number,
  adminToken: string,
  { arrivals, addresses }: { arrivals: Arrivals; addresses: number },
): Promise<{ key: string }> {
  const post = async <T>(path: string, body: object): Promise<T> => {
    const answer = await fetch(`http://127.0.0.1:${port}/admin/v1${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${adminToken}` },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(await answer.text());
    return (await answer.json()) as T;
  };
  const { id, api_key: key } = await post<{ id: string; api_key: string }>('/merchants/', { name: 'Bench' });
  const all = Array.from({ length: addresses }, (_, n) => evmAddress(n + 1));
  for (let n = 0; n < all.length; n += 5_000) {
    const some = all.slice(n, n + 5_000);
    await post(`/merchants/${id}/addresses/`, { network: 'bsc', addresses: some });
  }
  await post(`/merchants/${id}/webhooks/`, { url: arrivals.url, events: ['payment.confirmed'] });
  return { key };
}

async function makePayments(port: number, key: string, total: number): Promise<Percentiles> {
  const body = JSON.stringify({ amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' });
  const text = `POST /api/v1/payments/ HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nX-API-Key: ${key}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const request = Buffer.from(text);
  const result = await load({ port, connections: 8, total, request: () => request });
  if (result.statuses[201] !== total) throw new Error(JSON.stringify(result.statuses));
  return result;
}

async function listAll(port: number, key: string): Promise<PaymentBody[]> {
  const payments: PaymentBody[] = [];
  for (let cursor = ''; ; ) {
    const url = `http://127.0.0.1:${port}/api/v1/payments/?limit=100${cursor}`;
    const answer = await fetch(url, { headers: { 'x-api-key': key } });
    const { data, next_cursor: next } = (await answer.json()) as List<PaymentBody>;
    payments.push(...data);
    if (next === null) return payments;
    cursor = `&cursor=${encodeURIComponent(next)}`;
  }
}

/** `from`: the first of the payments that are paid meanwhile, one in a block. */
async function measure(bench: Bench, from: number): Promise<Measured> {
  const page = await pages(bench);
  const create = await makePayments(bench.port, bench.key, creates);
  const webhook = await webhooks(bench, bench.payments.slice(from, from + blocks));
  return { page, create, webhook };
}

/** Latencies of pages that are asked for on time. */
async function pages({ port, payments, seconds }: Bench): Promise<Percentiles> {
  const latencies: number[] = [];
  const asked: Promise<void>[] = [];
  const begun = performance.now();
  for (let n = 0; n < perSecond * seconds; n++) {
    const due = begun + (n * 1000) / perSecond;
    const wait = due - performance.now();
    if (wait > 1) await setTimeout(wait);
    const url = `http://127.0.0.1:${port}/pay/${payments[n % payments.length]?.payment_token}`;
    const ask = async () => {
      const answer = await fetch(url);
      await answer.text();
      if (answer.status !== 200) throw new Error(`answered ${answer.status}`);
      latencies.push(performance.now() - due);
    };
    asked.push(ask());
  }
  await Promise.all(asked);
  return percentiles(latencies);
}

/** From the block that pays to the webhook at the merchant, one payment in a block. */
async function webhooks({ anvil, token, arrivals }: Bench, paid: PaymentBody[]): Promise<Percentiles> {
  const delays: Promise<number>[] = [];
  for (const { assigned_address: address, payment_number: number } of paid) {
    await anvil.send(transferCall(token, address, usdt(50)));
    await setTimeout(blockMs * (0.5 + Math.random()));
    await anvil.mine();
    const minedAt = performance.now();
    delays.push(arrivals.of(`payment.confirmed ${number}`).then((at) => at - minedAt));
  }
  return percentiles(await Promise.all(delays));
}

type Stream = {
  socket: Socket;
  payment: PaymentBody;
  /** When its snapshot first had this text, as `performance.now()`. */
  told(text: string): Promise<number>;
};

/** Of those that wait, a few at a time: more than a listening socket holds would be dropped and tried again. */
async function openStreams({ port, payments }: Bench): Promise<Stream[]> {
  const open: Stream[] = [];
  const waiting = payments.slice(blocks);
  for (let n = 0; n < waiting.length; n += 100) {
    const some = await Promise.all(waiting.slice(n, n + 100).map((one) => openStream(port, one)));
    await Promise.all(some.map(({ told }) => told('"state":"waiting"')));
    open.push(...some);
  }
  return open;
}

async function openStream(port: number, payment: PaymentBody): Promise<Stream> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(`GET /pay/${payment.payment_token}/events HTTP/1.1\r\nHost: bench\r\n\r\n`);
  let read = '';
  let look = () => {};
  let ended = false;
  socket.on('data', (chunk) => {
    read += chunk.toString();
    look();
  });
  socket.on('close', () => {
    ended = true;
    look();
  });
  const told = (text: string) =>
    new Promise<number>((resolve, reject) => {
      look = () => {
        if (read.includes(text)) resolve(performance.now());
        else if (ended) reject(new Error(`a stream ended: ${read.slice(0, 200)}`));
      };
      look();
    });
  return { socket, payment, told };
}

/** From a block that pays many payments to the last of their streams that says so, ms. */
async function payAtOnce({ anvil, token }: Bench, open: readonly Stream[]): Promise<number> {
  const paid = open.slice(blocks, blocks + paidAtOnce);
  for (const { payment } of paid) {
    await anvil.send(transferCall(token, payment.assigned_address, usdt(50)));
  }
  const told = Promise.all(paid.map((stream) => stream.told('"received":"50.000000 USDT"')));
  await anvil.mine();
  const minedAt = performance.now();
  return Math.max(...(await told)) - minedAt;
}

function report(figures: {
  alone: Measured;
  beside: Measured;
  streams: number;
  seconds: number;
  last: number;
  before: Memory;
  after: Memory;
}): void {
  const { alone, beside, streams, seconds, last, before, after } = figures;
  const row = (name: string, { p50, p99, max }: Percentiles) =>
    `| ${name} | ${p50.toFixed(1)} | ${p99.toFixed(1)} | ${max.toFixed(0)} |`;
  const both = (name: string, what: keyof Measured) => [
    row(name, alone[what]),
    row(`${name}, beside ${streams.toLocaleString('en')} streams`, beside[what]),
  ];
  const perStream = (what: keyof Memory) => ((after[what] - before[what]) / streams / 1024).toFixed(1);
  const lines = [
    `The real daemon on a local chain, SQLite, ${streams.toLocaleString('en')} payments that wait. Pages at ${perSecond} requests a second for ${seconds} s, each sent on time; ${creates} payments made over 8 connections; ${blocks} blocks of about ${blockMs} ms, polled every 0.45 s, each paying one.`,
    '',
    '| | p50 ms | p99 ms | max ms |',
    '|---|---|---|---|',
    ...both('page', 'page'),
    ...both('create', 'create'),
    ...both('block → webhook `payment.confirmed`', 'webhook'),
    '',
    `An open stream takes ${perStream('heapUsed')} KB of the daemon's heap, and ${perStream('rss')} KB of its resident memory. When a block pays ${paidAtOnce} of the payments, the last of their streams is told ${last.toFixed(0)} ms after it was mined.`,
  ];
  console.log(lines.join('\n'));
  writeResults('checkout', lines);
}
