import { createServer, type Socket } from 'node:net';

/*
 * The receivers that bench/deliver.ts sends to, in a process of their own: bare sockets, so that they take
 * little of the machine from the sender. The first part of the path says how one behaves: /fast, /slow (100 ms)
 * or /hang. A body begins with {"at":<ms>, from which it learns how old the event is.
 */

export type ReceiverReport = {
  /** Requests by the first part of their path. */
  counts: Record<string, number>;
  /** Milliseconds from the event to its arrival, of /fast, in order of arrival. */
  ages: number[];
  /** Most requests unanswered at a time, by path. */
  mostAtOnce: Record<string, number>;
  /** Most requests unanswered at a time, of all paths but those that hang. */
  mostOpen: number;
};

let openInAll = 0;

const slowMs = 100;
const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

let report: ReceiverReport = { counts: {}, ages: [], mostAtOnce: {}, mostOpen: 0 };
const open: Record<string, number> = {};

const server = createServer((socket) => {
  socket.setNoDelay(true).on('error', () => {});
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += chunk;
    for (let end = endOfRequest(text); end > 0; end = endOfRequest(text)) {
      receive(socket, text.slice(0, end));
      text = text.slice(end);
    }
  });
});

function endOfRequest(text: string): number {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return 0;
  const length = Number(/content-length: (\d+)/i.exec(text.slice(0, head))?.[1] ?? 0);
  return text.length >= head + 4 + length ? head + 4 + length : 0;
}

function receive(socket: Socket, request: string): void {
  const path = request.slice(5, request.indexOf(' ', 5));
  const kind = path.split('/')[1] ?? '';
  report.counts[kind] = (report.counts[kind] ?? 0) + 1;
  const now = open[path] ?? 0;
  open[path] = now + 1;
  report.mostAtOnce[path] = Math.max(report.mostAtOnce[path] ?? 0, now + 1);
  const body = request.slice(request.indexOf('\r\n\r\n') + 4);
  if (kind === 'fast') report.ages.push(Date.now() - Number(/^\{"at":(\d+)/.exec(body)?.[1] ?? 0));
  if (kind === 'hang') {
    socket.once('close', () => leave(path));
    return;
  }
  report.mostOpen = Math.max(report.mostOpen, ++openInAll);
  if (kind === 'slow') setTimeout(() => respond(socket, path), slowMs);
  else respond(socket, path);
}

function respond(socket: Socket, path: string): void {
  leave(path);
  openInAll--;
  socket.write(answer);
}

function leave(path: string): void {
  open[path] = (open[path] ?? 1) - 1;
}

server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as { port: number }).port }));
process.on('message', (message) => {
  if (message === 'reset') report = { counts: {}, ages: [], mostAtOnce: {}, mostOpen: 0 };
  process.send?.(report);
});
process.once('disconnect', () => process.exit(0));
