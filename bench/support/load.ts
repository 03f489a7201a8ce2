import { connect, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';

export type LoadResult = {
  /** Answers a second. */
  rate: number;
  p50: number;
  p99: number;
  max: number;
  /** How many answers had each status. */
  statuses: Record<number, number>;
};

/**
 * Keeps `connections` busy with one request each until `total` are answered. The client is a bare socket that
 * reads no more of an answer than it must, so that it takes little of the machine from the server.
 */
export async function load(options: {
  port: number;
  connections: number;
  total: number;
  /** The bytes of the nth request. */
  request: (n: number) => Buffer;
}): Promise<LoadResult> {
  const latencies: number[] = [];
  const statuses: Record<number, number> = {};
  let next = 0;
  const begun = performance.now();
  await Promise.all(
    Array.from({ length: options.connections }, async () => {
      const connection = await openConnection(options.port);
      while (next < options.total) {
        const sent = performance.now();
        const status = await connection.ask(options.request(next++));
        latencies.push(performance.now() - sent);
        statuses[status] = (statuses[status] ?? 0) + 1;
      }
      connection.close();
    }),
  );
  const seconds = (performance.now() - begun) / 1000;
  return { rate: latencies.length / seconds, ...percentiles(latencies), statuses };
}

/**
 * Sends `perSecond` requests a second for `seconds`, each on time whatever became of those before: on a connection that is
 * free, else on a new one. Latencies are from when each was due, so that one that could not be sent yet is not flattered.
 */
export async function steadyLoad(options: {
  port: number;
  perSecond: number;
  seconds: number;
  request: (n: number) => Buffer;
}): Promise<LoadResult> {
  const { port, perSecond, seconds } = options;
  const latencies: number[] = [];
  const statuses: Record<number, number> = {};
  const free: Connection[] = [];
  const asked: Promise<void>[] = [];
  const begun = performance.now();
  const ask = async (n: number, due: number) => {
    const connection = free.pop() ?? (await openConnection(port));
    const status = await connection.ask(options.request(n));
    latencies.push(performance.now() - due);
    statuses[status] = (statuses[status] ?? 0) + 1;
    free.push(connection);
  };
  for (let n = 0; n < perSecond * seconds; n++) {
    const due = begun + (n * 1000) / perSecond;
    const wait = due - performance.now();
    if (wait > 0) await setTimeout(Math.ceil(wait));
    asked.push(ask(n, due));
  }
  await Promise.all(asked);
  for (const { close } of free) close();
  return { rate: latencies.length / seconds, ...percentiles(latencies), statuses };
}

export function percentiles(latencies: readonly number[]): { p50: number; p99: number; max: number } {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

type Connection = {
  /** Sends a request; the status of its answer. */
  ask(request: Buffer): Promise<number>;
  close(): void;
};

async function openConnection(port: number): Promise<Connection> {
  const socket = await open(port);
  const answers = readAnswers(socket);
  return {
    async ask(request) {
      socket.write(request);
      const { value: status, done } = await answers.next();
      if (done === true) throw new Error('the server closed a connection');
      return status;
    },
    close: () => void socket.destroy(),
  };
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.setNoDelay(true);
    socket.once('error', reject);
  });
}

/** The status of each answer; answers must say how long they are. */
async function* readAnswers(socket: Socket): AsyncGenerator<number, void> {
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    for (;;) {
      const headEnd = pending.indexOf('\r\n\r\n');
      if (headEnd < 0) break;
      const head = pending.toString('latin1', 0, headEnd);
      const length = Number(/\r\ncontent-length: ([0-9]+)/i.exec(head)?.[1]);
      const end = headEnd + 4 + length;
      if (pending.length < end) break;
      pending = pending.subarray(end);
      yield Number(head.slice(9, 12));
    }
  }
}
