import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { percentiles } from './support/load.ts';
import { writeResults } from './support/results.ts';

/*
 * The page that payers see: how long it takes at a steady 200 requests a second, each sent on time whatever became of those
 * before; what an open stream costs in memory; and how long after the commit of a block the last of those is told whom it
 * concerns, beside thousands of others.
 */

export type FromServer = { port: number; tokens: string[] } | { memory: number } | { committedAt: number };
export type ToServer = 'memory' | { paid: number };

const perSecond = 200;
const paid = 100;

export async function run(args: string[]): Promise<void> {
  const streams = Number(args[0] ?? 5_000);
  const seconds = Number(args[1] ?? 20);
  const folder = mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  const server = fork(join(import.meta.dirname, 'support/checkout-server.ts'), [folder, String(streams)], {
    execArgv: ['--expose-gc'],
  });
  const heard = async <T>(): Promise<T> => (await once(server, 'message'))[0] as T;
  const ask = async <T>(message: ToServer): Promise<T> => {
    const answer = heard<T>();
    server.send(message);
    return answer;
  };
  try {
    console.log(`making ${streams.toLocaleString('en')} payments…`);
    const { port, tokens } = await heard<{ port: number; tokens: string[] }>();
    const alone = await pages(port, tokens, seconds);
    const before = (await ask<{ memory: number }>('memory')).memory;
    const open = await Promise.all(tokens.map((token) => openStream(port, token)));
    await Promise.all(open.map(({ told }) => told(1)));
    const after = (await ask<{ memory: number }>('memory')).memory;
    const beside = await pages(port, tokens, seconds);
    const waiting = Promise.all(open.slice(0, paid).map(({ told }) => told(2)));
    const { committedAt } = await ask<{ committedAt: number }>({ paid });
    const times = await waiting;
    for (const { socket } of open) socket.destroy();
    const last = Math.max(...times) - committedAt;
    report({ alone, beside, streams, seconds, bytes: (after - before) / streams, last });
  } finally {
    server.removeAllListeners();
    if (server.exitCode === null && server.kill()) await once(server, 'exit');
    rmSync(folder, { recursive: true });
  }
}

/** Latencies of pages that are asked for on time. */
async function pages(port: number, tokens: readonly string[], seconds: number) {
  const latencies: number[] = [];
  const asked: Promise<void>[] = [];
  const begun = performance.now();
  for (let n = 0; n < perSecond * seconds; n++) {
    const due = begun + (n * 1000) / perSecond;
    const wait = due - performance.now();
    if (wait > 1) await setTimeout(wait);
    const url = `http://127.0.0.1:${port}/pay/${tokens[n % tokens.length]}`;
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

/** A stream, and when its nth snapshot came, Unix ms. */
async function openStream(port: number, token: string) {
  const socket: Socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(`GET /pay/${token}/events HTTP/1.1\r\nHost: bench\r\n\r\n`);
  const times: number[] = [];
  const waiting: (() => void)[] = [];
  socket.on('data', (chunk) => {
    for (let n = chunk.toString().split('event: status').length - 1; n > 0; n--) times.push(Date.now());
    for (const wake of waiting.splice(0)) wake();
  });
  const told = async (nth: number): Promise<number> => {
    while (times.length < nth) await new Promise<void>((wake) => waiting.push(wake));
    return times[nth - 1] ?? 0;
  };
  return { socket, told };
}

type Figures = Record<'alone' | 'beside', ReturnType<typeof percentiles>> & {
  streams: number;
  seconds: number;
  bytes: number;
  last: number;
};

function report({ alone, beside, streams, seconds, bytes, last }: Figures): void {
  const row = (name: string, { p50, p99, max }: Figures['alone']) =>
    `| ${name} | ${p50.toFixed(1)} | ${p99.toFixed(1)} | ${max.toFixed(0)} |`;
  const lines = [
    `The page at ${perSecond} requests a second for ${seconds} s, each sent on time; SQLite, ${streams.toLocaleString('en')} payments that wait.`,
    '',
    '| page | p50 ms | p99 ms | max ms |',
    '|---|---|---|---|',
    row('alone', alone),
    row(`beside ${streams.toLocaleString('en')} streams`, beside),
    '',
    `An open stream takes ${(bytes / 1024).toFixed(1)} KB of the daemon's resident memory. When a block pays ${paid} of the payments, the last of their streams is told ${last} ms after the commit.`,
  ];
  console.log(lines.join('\n'));
  writeResults('checkout', lines);
}
