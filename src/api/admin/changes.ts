import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { Logger } from '../../log.ts';
import { type Loop, runLoop } from '../../loop.ts';
import { type Marks, readChanges, readLatestPaymentId } from '../../storage/payments/changes.ts';
import type { Db } from '../../storage/schema.ts';
import { detailError } from '../http/errors.ts';
import { commonErrors, detailSchema } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';

/** From a commit to the pages that are told, ms. */
const everyMs = 1_000;

/** Between two signs of life, ms. */
const heartbeatMs = 15_000;

/** A stream ends after so long and is asked for again: who is signed out by then is told no more, ms. */
const longestMs = 10 * 60_000;

/** After a stream ended: how long a browser's own client waits, ms. */
const retryMs = 2_000;

/** Pages that are told at once, of all users and of one, who must not keep the others out. */
const mostStreams = 100;
const mostStreamsOfOne = 20;

/** A page that reads more slowly than this has left, bytes. */
const mostUnread = 16 * 1024;

export type ChangeRouteDeps = { db: Db; log: Logger; failed?: ((loop: string) => void) | undefined };

/**
 * Tells open pages that something has changed, and not what: each asks for what it shows, with its own session. One loop
 * looks, however many pages there are, and rests while there is none.
 */
export function registerChangeRoutes(api: Api, { db, log, failed }: ChangeRouteDeps): void {
  const streams = new Set<{ reply: FastifyReply; actor: string; endsAt: number }>();
  let marks: (Marks & { payment: number }) | null = null;
  let beatAt = Number.NEGATIVE_INFINITY;
  let loop: Loop | null = null;

  async function step(): Promise<void> {
    const now = performance.now();
    for (const stream of streams) if (now >= stream.endsAt) stream.reply.raw.end();
    if (streams.size === 0) {
      marks = null;
      return;
    }
    const changes = await readChanges(db, marks);
    const payment = await readLatestPaymentId(db);
    const { isUnknown, paymentIds, addressIds, networks } = changes;
    const found = isUnknown || paymentIds.length + addressIds.length + networks.length > 0;
    const changed = marks !== null && (found || payment !== marks.payment);
    marks = { ...changes.marks, payment };
    if (changed) write('event: changed\ndata: {}\n\n');
    else if (now - beatAt >= heartbeatMs) {
      beatAt = now;
      write(': still here\n\n');
    }
  }

  function write(text: string): void {
    for (const { reply } of streams) {
      reply.raw.write(text);
      if (reply.raw.writableLength > mostUnread) reply.raw.destroy();
    }
  }

  function begin(reply: FastifyReply, actor: string): void {
    const { raw } = reply;
    const stream = { reply, actor, endsAt: performance.now() + longestMs };
    reply.hijack();
    // When it has ended, nothing else comes on this connection: a daemon that stops need not wait for it.
    raw.shouldKeepAlive = false;
    raw.once('close', () => streams.delete(stream));
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      // Nginx would keep events back until its buffer is full.
      'x-accel-buffering': 'no',
    });
    raw.write(`retry: ${retryMs}\n\n`);
    streams.add(stream);
    // Who has gone already never closes again.
    if (raw.destroyed) streams.delete(stream);
    loop ??= runLoop({
      name: 'dashboard',
      step,
      delay: () => (streams.size > 0 ? everyMs : heartbeatMs),
      log,
      ...(failed === undefined ? {} : { failed }),
    });
    loop.wake();
  }

  // Before the server waits for the connections that are open.
  api.addHook('preClose', async () => {
    for (const { reply } of streams) reply.raw.end();
    await loop?.stop();
  });

  api.route({
    method: 'GET',
    url: '/changes/',
    config: { access: 'self' },
    exposeHeadRoute: false,
    schema: {
      tags: ['Payments'],
      operationId: 'followChanges',
      summary: 'Server-sent events: `changed` whenever anything has changed',
      description: 'Ask for what you show then. It ends after ten minutes; open it again.',
      response: {
        ...commonErrors,
        406: detailSchema,
        200: { content: { 'text/event-stream': { schema: z.string() } } },
      },
    },
    handler: async (request, reply) => {
      // Whoever does not know what this is would wait for its end.
      if (request.headers.accept?.includes('text/event-stream') !== true) {
        throw detailError(406, 'Ask for it with Accept: text/event-stream.');
      }
      const { actor } = request;
      const own = [...streams].filter((stream) => stream.actor === actor).length;
      if (streams.size >= mostStreams || own >= mostStreamsOfOne) {
        throw detailError(429, 'Too many streams are open.', { 'retry-after': '15' });
      }
      begin(reply, actor);
      return reply as never;
    },
  });
}
