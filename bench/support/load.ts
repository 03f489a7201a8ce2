import { connect, type Socket } from 'node:net';

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
      const socket = await open(options.port);
      const answers = readAnswers(socket);
      while (next < options.total) {
        const sent = performance.now();
        socket.write(options.request(next++));
        const { value: status, done } = await answers.next();
        if (done === true) throw new Error('the server closed a connection');
        latencies.push(performance.now() - sent);
        statuses[status] = (statuses[status] ?? 0) + 1;
      }
      socket.destroy();
    }),
  );
  const seconds = (performance.now() - begun) / 1000;
  return { rate: latencies.length / seconds, ...percentiles(latencies), statuses };
}

export function percentiles(latencies: readonly number[]): { p50: number; p99: number; max: number } {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
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
