import { createHash } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** One client of a {@link WebSocketServer}. */
export type Connection = {
  /** The path that was asked for, and the headers. */
  path: string;
  headers: IncomingHttpHeaders;
  /** What the client has sent, in order. */
  received: string[];
  send(message: unknown): void;
  /** Ends it without a word. */
  cut(): void;
  readonly open: boolean;
};

/** A websocket server on 127.0.0.1 that says only what a test makes it say. It never answers a goodbye. */
export type WebSocketServer = {
  url: string;
  connections: Connection[];
  /** Refuses new connections with this status while not null. */
  refuseWith: number | null;
};

/** The key that RFC 6455 has servers answer with. */
const handshake = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export async function webSocketForTest(): Promise<WebSocketServer> {
  const sockets = new Set<Socket>();
  const server = createServer();
  const self: WebSocketServer = { url: '', connections: [], refuseWith: null };
  server.on('upgrade', (request, socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('end', () => socket.destroy());
    if (self.refuseWith !== null) return void socket.end(`HTTP/1.1 ${self.refuseWith} No\r\n\r\n`);
    const key = createHash('sha1')
      .update(`${request.headers['sec-websocket-key']}${handshake}`)
      .digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`,
    );
    const received: string[] = [];
    socket.on('data', (frame) => received.push(textOf(frame)));
    self.connections.push({
      path: request.url ?? '',
      headers: request.headers,
      received,
      send: (message) => socket.write(frameOf(JSON.stringify(message))),
      cut: () => socket.destroy(),
      get open() {
        return !socket.destroyed;
      },
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  self.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((closed) => server.close(closed));
  });
  return self;
}

/** The text of one short masked frame, as clients send them. */
function textOf(frame: Buffer): string {
  const length = (frame[1] ?? 0) & 0x7f;
  const start = length === 126 ? 4 : 2;
  const mask = frame.subarray(start, start + 4);
  const size = length === 126 ? frame.readUInt16BE(2) : length;
  const body = frame.subarray(start + 4, start + 4 + size);
  return Buffer.from(body.map((byte, i) => byte ^ (mask[i % 4] ?? 0))).toString('utf8');
}

/** One unmasked text frame, as servers send them. */
function frameOf(text: string): Buffer {
  const body = Buffer.from(text);
  const head = body.length < 126 ? Buffer.from([0x81, body.length]) : Buffer.from([0x81, 126, 0, 0]);
  if (body.length >= 126) head.writeUInt16BE(body.length, 2);
  return Buffer.concat([head, body]);
}
