import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export type SeenRequest = {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  at: number;
};

export type Loopback = {
  port: number;
  /** `http://127.0.0.1:port` */
  url: string;
  /** Requests whose body has arrived, oldest first. */
  requests: SeenRequest[];
  /** How many connections were opened to it, ever. */
  connections: () => number;
  /** The most requests that were unanswered at one time. */
  mostAtOnce: () => number;
  /** Resolves when `count` requests have arrived. */
  arrived: (count: number) => Promise<void>;
  close: () => Promise<void>;
};

/** A real HTTP server on a loopback port, closed when the test ends; `answer` does what a receiver would do. */
export async function startLoopback(
  answer: (request: SeenRequest, response: ServerResponse, nth: number) => void,
): Promise<Loopback> {
  const requests: SeenRequest[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  let connections = 0;
  let open = 0;
  let most = 0;

  const listener: RequestListener = (incoming, response) => {
    most = Math.max(most, ++open);
    response.once('close', () => open--);
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming;
      const request = { method, path: url, headers, body: Buffer.concat(chunks), at: Date.now() };
      requests.push(request);
      for (const waiter of waiting) if (requests.length >= waiter.count) waiter.resolve();
      answer(request, response, requests.length);
    });
  };
  const server = createServer(listener);
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  onTestFinished(close);

  return {
    port,
    url: `http://127.0.0.1:${port}`,
    requests,
    connections: () => connections,
    mostAtOnce: () => most,
    arrived: (count) =>
      new Promise((resolve) => {
        if (requests.length >= count) resolve();
        else waiting.push({ count, resolve });
      }),
    close,
  };
}

/** Answers `status` with a short body. */
export function respond(status: number, headers: Record<string, string> = {}, body = 'ok') {
  return (_request: SeenRequest, response: ServerResponse): void => {
    response.writeHead(status, headers).end(body);
  };
}
