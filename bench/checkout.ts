import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
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
import { load, percentiles, steadyLoad } from './support/load.ts';
import { askServer, type Effort, heard, type Memory } from './support/measured.ts';
import { writeResults } from './support/results.ts';
import { type OpenStream, openStreams } from './support/streams.ts';

/*
 * The page that payers see, of the real daemon on a chain: how long it takes at a steady 200 requests a second, each sent on
 * time whatever became of those before; creating a payment, and the way from a block to the webhook. All of it alone, then
 * beside thousands of open streams, of which also the memory is told, and when the last one hears of a block that concerns it.
 *
 * Daemon, chain, payers and requests share the processors. What Node can do at all beside such a load, a bare server shows in
 * the same run: the same bytes at the same pace, as many streams, as many of them told at once.
 *
 * `npm run bench -- checkout [streams] [seconds]`; takes two and a half minutes.
 */

const perSecond = 200;
/** Before it is measured: a program that has just started is still being compiled. */
const warmUpSeconds = 3;
const creates = 400;
const blocks = 30;
const blockMs = 450;
const paidAtOnce = 100;

type Percentiles = ReturnType<typeof percentiles>;
type Pages = Percentiles & Effort;
type Measured = { page: Pages } & Record<'create' | 'webhook', Percentiles>;

type Bench = {
  server: ChildProcess;
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
  const servers: ChildProcess[] = [];
  const start = async (file: string, given: string[] = []) => {
    const server = fork(join(import.meta.dirname, 'support', file), given, { execArgv: ['--expose-gc'] });
    servers.push(server);
    return { server, port: await heard<number>(server, 'started') };
  };
  try {
    const { usdt: token } = await placeTokens(anvil, 'bsc');
    await anvil.mine(20);
    const adminToken = randomBytes(16).toString('hex');
    const { server, port } = await start('checkout-server.ts', [folder, anvil.url, adminToken]);
    say(`making ${streams.toLocaleString('en')} payments`);
    const shop = await openShop(port, adminToken, { arrivals, addresses: streams + 3 * creates });
    await makePayments(port, shop.key, streams + blocks);
    const payments = await listAll(port, shop.key);
    const bench = { server, port, key: shop.key, payments, anvil, token, arrivals, seconds };

    say('measuring alone');
    const alone = await measure(bench, 0);
    const before = await memoryOf(server);
    say(`opening ${streams.toLocaleString('en')} streams`);
    const paths = payments.slice(blocks).map((one) => `${payPath(one)}/events`);
    const open = await openStreams(port, paths, '"state":"waiting"');
    const after = await memoryOf(server);
    say('measuring beside them');
    const beside = await measure(bench, blocks);
    say(`paying ${paidAtOnce} in one block`);
    const last = await payAtOnce(bench, open);
    for (const { close } of open) close();

    say('the same of a bare server');
    const peer = await measurePeer(await start('bare-checkout.ts'), bench, streams);
    report({ alone, beside, peer, streams, seconds, last, before, after });
  } finally {
    for (const server of servers) {
      if (!server.connected) continue;
      server.disconnect();
      await once(server, 'exit');
    }
    await arrivals.stop();
    await anvil.stop();
    rmSync(folder, { recursive: true });
  }
}

const begun = performance.now();
const say = (text: string) => console.log(`${((performance.now() - begun) / 1000).toFixed(0)} s: ${text}…`);
const payPath = ({ payment_token: token }: PaymentBody) => `/pay/${token}`;
const get = (path: string) => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`);

async function memoryOf(server: ChildProcess): Promise<Memory> {
  // The streams of a moment ago are closed, and the cache of the page has what it will have.
  await setTimeout(1_000);
  return askServer(server, 'memory');
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
  const { server, port, payments, seconds } = bench;
  const requests = payments.map((one) => get(payPath(one)));
  const page = await pages(server, port, requests, seconds);
  const create = await makePayments(bench.port, bench.key, creates);
  const webhook = await webhooks(bench, bench.payments.slice(from, from + blocks));
  return { page, create, webhook };
}

/** Of pages that are asked for on time, and what they take of the server. */
async function pages(
  server: ChildProcess,
  port: number,
  requests: readonly Buffer[],
  seconds: number,
): Promise<Pages> {
  const request = (n: number) => requests[n % requests.length] ?? Buffer.alloc(0);
  const last = requests.length - 1;
  await steadyLoad({
    port,
    perSecond,
    seconds: warmUpSeconds,
    request: (n) => request(Math.max(0, last - n)),
  });
  await askServer<Effort>(server, 'effort');
  const result = await steadyLoad({ port, perSecond, seconds, request });
  const effort = await askServer<Effort>(server, 'effort');
  if (result.statuses[200] !== perSecond * seconds) throw new Error(JSON.stringify(result.statuses));
  return { ...result, ...effort };
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

type Last = { fromBlock: number; fromCommit: number };

/** To the last of many streams that says so, from the block that pays their payments and from when that was committed, ms. */
async function payAtOnce(
  { server, anvil, token, payments }: Bench,
  open: readonly OpenStream[],
): Promise<Last> {
  const paid = payments.slice(2 * blocks, 2 * blocks + paidAtOnce);
  for (const { assigned_address: address } of paid) await anvil.send(transferCall(token, address, usdt(50)));
  const streams = open.slice(blocks, blocks + paidAtOnce);
  const told = Promise.all(streams.map((stream) => stream.told('"received":"50.000000 USDT"')));
  const begun = Date.now();
  await anvil.mine();
  const minedAt = Date.now();
  // Node keeps what nobody listened to.
  let committedAt = 0;
  while (committedAt < begun) committedAt = await heard<number>(server, 'committed');
  const last = Math.max(...(await told));
  return { fromBlock: last - minedAt, fromCommit: last - committedAt };
}

type Peer = { alone: Pages; beside: Pages; last: number };

async function measurePeer(
  { server, port }: { server: ChildProcess; port: number },
  { port: own, payments: [payment], seconds }: Bench,
  streams: number,
): Promise<Peer> {
  if (payment === undefined) throw new Error('no payment');
  const page = await (await fetch(`http://127.0.0.1:${own}${payPath(payment)}`)).text();
  await askServer(server, 'page', page);
  const alone = await pages(server, port, [get('/page')], seconds);
  const open = await openStreams(port, Array<string>(streams).fill('/events'), '"state":"waiting"');
  const beside = await pages(server, port, [get('/page')], seconds);
  const told = Promise.all(open.slice(0, paidAtOnce).map((stream) => stream.told('"received"')));
  const at = await askServer<number>(server, 'tell', paidAtOnce);
  const last = Math.max(...(await told)) - at;
  for (const { close } of open) close();
  return { alone, beside, last };
}

function report(figures: {
  alone: Measured;
  beside: Measured;
  peer: Peer;
  streams: number;
  seconds: number;
  last: Last;
  before: Memory;
  after: Memory;
}): void {
  const { alone, beside, peer, streams, seconds, last, before, after } = figures;
  const besideThem = `beside ${streams.toLocaleString('en')} streams`;
  const times = ({ p50, p99, max }: Percentiles) =>
    `${p50.toFixed(1)} | ${p99.toFixed(1)} | ${max.toFixed(0)}`;
  const page = (name: string, own: Pages) => {
    const cpu = own.cpuMs / (perSecond * seconds);
    return `| ${name} | ${times(own)} | ${cpu.toFixed(2)} | ${own.loopP99.toFixed(1)} | ${own.loopMax.toFixed(0)} |`;
  };
  const other = (name: string, what: 'create' | 'webhook') => [
    `| ${name} | ${times(alone[what])} | | | |`,
    `| ${name}, ${besideThem} | ${times(beside[what])} | | | |`,
  ];
  const perStream = (what: keyof Memory) => ((after[what] - before[what]) / streams / 1024).toFixed(1);
  const lines = [
    `The real daemon on a local chain, SQLite, ${streams.toLocaleString('en')} payments that wait. Pages at ${perSecond} requests a second for ${seconds} s after ${warmUpSeconds} s of the same, each sent on time and of another payment; ${creates} payments made over 8 connections; ${blocks} blocks of about ${blockMs} ms, polled every 0.45 s, each paying one. Loop: how much later than it should the event loop of the server came. The bare server is Node's, which sends the same bytes from memory.`,
    '',
    '| | p50 ms | p99 ms | max ms | CPU ms a page | loop p99 ms | loop max ms |',
    '|---|---|---|---|---|---|---|',
    page('page', alone.page),
    page(`page, ${besideThem}`, beside.page),
    page('page of the bare server', peer.alone),
    page(`page of the bare server, ${besideThem}`, peer.beside),
    ...other('create', 'create'),
    ...other('block → webhook `payment.confirmed`', 'webhook'),
    '',
    `An open stream takes ${perStream('heapUsed')} KB of the daemon's heap, and ${perStream('rss')} KB of its resident memory. When a block pays ${paidAtOnce} of the payments, the last of their streams is told ${last.fromCommit.toFixed(0)} ms after that was committed, which is ${last.fromBlock.toFixed(0)} ms after it was mined; of the bare server's ${paidAtOnce} the last ${peer.last.toFixed(0)} ms after it began to tell them.`,
  ];
  console.log(lines.join('\n'));
  writeResults('checkout', lines);
}
