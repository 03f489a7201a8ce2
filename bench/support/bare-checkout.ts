import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerQuestions, tell } from './measured.ts';

/*
 * What Node alone can do of what bench/checkout.ts asks of the daemon: the same bytes at every request, and streams that
 * are held open, told that they live, and told all at once.
 */

const heartbeatMs = 15_000;

let page = Buffer.alloc(0);
const streams = new Set<ServerResponse>();

const server = createServer((request, response) => {
  if (request.url !== '/events') {
    response.writeHead(200, { 'content-type': 'text/html', 'content-length': page.length }).end(page);
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write('event: status\ndata: {"state":"waiting"}\n\n');
  streams.add(response);
  const beat = setInterval(() => response.write(': still here\n\n'), heartbeatMs);
  response.once('close', () => {
    clearInterval(beat);
    streams.delete(response);
  });
});
// As the daemon's.
server.keepAliveTimeout = 72_000;
server.listen(0, '127.0.0.1', () => {
  answerQuestions({
    page: (text) => {
      page = Buffer.from(text as string);
    },
    /** The first of the streams; when that began, Unix ms. */
    tell: (count) => {
      const at = Date.now();
      for (const stream of [...streams].slice(0, count as number))
        stream.write('event: status\ndata: {"received":"50.000000 USDT"}\n\n');
      return at;
    },
  });
  tell('started', (server.address() as AddressInfo).port);
});
