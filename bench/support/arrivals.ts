import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A receiver that takes every webhook and notes when its first byte came. */
export type Arrivals = {
  url: string;
  /** When `EVENT PAYMENT_NUMBER` came, as `performance.now()`; waits for it. */
  of(what: string): Promise<number>;
  stop(): Promise<void>;
};

export async function startArrivals(): Promise<Arrivals> {
  const arrivals = new Map<string, PromiseWithResolvers<number>>();
  const arrival = (what: string) => {
    const known = arrivals.get(what) ?? Promise.withResolvers<number>();
    arrivals.set(what, known);
    return known;
  };
  const server = createServer(async (request, response) => {
    const at = performance.now();
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { event: string; payment_id: string };
    arrival(`${body.event} ${body.payment_id}`).resolve(at);
    response.writeHead(200).end();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    of: (what) => arrival(what).promise,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
