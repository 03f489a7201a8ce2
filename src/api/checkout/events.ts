import type { FastifyReply } from 'fastify';
import type { Feed } from '../../checkout/feed.ts';
import type { Snapshot } from '../../checkout/status.ts';
import { detailError } from '../http/errors.ts';

/** A payer who reads more slowly than this has left or is hostile, bytes. */
const mostUnread = 64 * 1024;

/** After a stream ended: how long a browser's own client waits, ms. */
const retryMs = 3_000;

/**
 * Follows a payment over server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): a snapshot
 * at once and after each change, a comment every 15 s. It ends when nothing can happen any more.
 *
 * @throws HttpError 429 where too many follow already: the page asks for the status instead.
 */
export function streamPayment(feed: Feed, paymentId: number, reply: FastifyReply): void {
  const { raw } = reply;
  let leave: (() => void) | null = null;
  let begun = false;

  function write(text: string): void {
    if (raw.destroyed) return;
    if (!begun) begin();
    raw.write(text);
    if (raw.writableLength > mostUnread) raw.destroy();
  }

  function begin(): void {
    begun = true;
    reply.hijack();
    // Nobody reads them any more, and thousands of streams may be open for an hour.
    Object.assign(reply.request.raw, { headers: {}, rawHeaders: [] });
    // When it has ended, nothing else comes on this connection: a daemon that stops need not wait for it.
    raw.shouldKeepAlive = false;
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      // Nginx would keep events back until its buffer is full.
      'x-accel-buffering': 'no',
    });
    // By itself, so that the head is kept as one string and not as the eighty that it was put together from.
    raw.flushHeaders();
    raw.write(`retry: ${retryMs}\n\n`);
  }

  const subscriber = {
    send: ({ json, version }: Snapshot) => write(`id: ${version}\nevent: status\ndata: ${json}\n\n`),
    beat: () => write(': still here\n\n'),
    end: () => raw.end(),
  };
  raw.once('close', () => leave?.());
  leave = feed.subscribe(paymentId, subscriber);
  if (leave === null) throw detailError(429, 'Too many streams are open.', { 'retry-after': '15' });
  if (!begun) begin();
  // Who has gone already never closes again.
  if (raw.destroyed) leave();
}
