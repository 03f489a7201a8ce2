import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/*
 * What PgBouncer does in transaction mode: a client has a connection to the server for one transaction at a time, and another one
 * for the next. What belongs to a session (LISTEN, SET, advisory locks, named statements) is left with whichever it was.
 * https://www.pgbouncer.org/features.html
 */

export type TransactionPooler = { port: number; close(): Promise<void> };

type Server = { socket: Socket; client: Client | null; read: (chunk: Buffer) => Frame[] };
type Client = { socket: Socket; server: Server | null; waiting: Buffer[] };
type Frame = { type: string; bytes: Buffer };

/** Until a connection to the server that ended is replaced, ms. */
const reconnectMs = 20;

/** For one user and one database of a server that asks for no password. `size`: connections to the server. */
export async function startTransactionPooler(
  target: { host: string; port: number },
  { size = 8 } = {},
): Promise<TransactionPooler> {
  const sockets = new Set<Socket>();
  const free: Server[] = [];
  const queue: Client[] = [];
  let opened = 0;
  /** The first client's, for all. */
  let startup: Buffer | null = null;
  let greeting: Promise<Buffer> | null = null;

  function open(): Promise<Buffer> {
    opened += 1;
    const greeted = Promise.withResolvers<Buffer>();
    const socket = connect({ ...target, noDelay: true });
    sockets.add(socket);
    const server: Server = { socket, client: null, read: createFrames() };
    const hello: Buffer[] = [];
    let ready = false;
    if (startup !== null) socket.write(startup);
    socket.on('data', (chunk) => {
      for (const { type, bytes } of server.read(chunk)) {
        if (!ready) hello.push(type === 'K' ? keyOfOurOwn(bytes) : bytes);
        else server.client?.socket.write(bytes);
        // Ready for a query, outside of a transaction.
        if (type !== 'Z' || bytes.at(-1) !== 'I'.charCodeAt(0)) continue;
        if (!ready) greeted.resolve(Buffer.concat(hello));
        ready = true;
        if (server.client !== null) server.client.server = null;
        server.client = null;
        serve(server);
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      opened -= 1;
      server.client?.socket.destroy();
      const index = free.indexOf(server);
      if (index >= 0) free.splice(index, 1);
      // A server that is gone is asked again now and then.
      setTimeout(() => {
        if (queue.length > 0 && opened < size) void open();
      }, reconnectMs).unref();
    });
    return greeted.promise;
  }

  function serve(server: Server): void {
    const client = queue.shift();
    if (client === undefined) {
      free.push(server);
      return;
    }
    lend(server, client);
  }

  function lend(server: Server, client: Client): void {
    server.client = client;
    client.server = server;
    for (const bytes of client.waiting.splice(0)) server.socket.write(bytes);
  }

  function ask(client: Client, bytes: Buffer): void {
    if (client.server !== null) {
      client.server.socket.write(bytes);
      return;
    }
    client.waiting.push(bytes);
    if (client.waiting.length > 1) return;
    const server = free.pop();
    if (server !== undefined) lend(server, client);
    else {
      queue.push(client);
      if (opened < size) void open();
    }
  }

  // Messages are passed on one by one: waiting to fill packets would take longer than the server does.
  const listener = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    const client: Client = { socket, server: null, waiting: [] };
    let begun = false;
    const read = createFrames();
    const onFrames = (frames: readonly Frame[]) => {
      for (const { type, bytes } of frames) if (type !== 'X') ask(client, bytes);
    };
    let first = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      if (begun) return onFrames(read(chunk));
      first = Buffer.concat([first, chunk]);
      if (first.length < 4 || first.length < first.readInt32BE(0)) return;
      begun = true;
      startup ??= first.subarray(0, first.readInt32BE(0));
      greeting ??= open();
      const rest = first.subarray(first.readInt32BE(0));
      void greeting.then((hello) => {
        socket.write(hello);
        onFrames(read(rest));
      });
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      const index = queue.indexOf(client);
      if (index >= 0) queue.splice(index, 1);
      // What it began is rolled back.
      client.server?.socket.destroy();
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    port: (listener.address() as AddressInfo).port,
    async close() {
      queue.length = 0;
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}

/** By which a client would cancel a query: what identifies a session of the server stays between it and the pooler. */
function keyOfOurOwn(bytes: Buffer): Buffer {
  const header = 5;
  return Buffer.concat([bytes.subarray(0, header), randomBytes(bytes.length - header)]);
}

/** Cuts a stream into messages: a letter, a length that counts itself, and a body. */
function createFrames(): (chunk: Buffer) => Frame[] {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const frames: Frame[] = [];
    while (rest.length >= 5 && rest.length >= 1 + rest.readInt32BE(1)) {
      const length = 1 + rest.readInt32BE(1);
      frames.push({ type: String.fromCharCode(rest[0] as number), bytes: rest.subarray(0, length) });
      rest = rest.subarray(length);
    }
    return frames;
  };
}
