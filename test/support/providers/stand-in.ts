import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { ChargeStatus } from '../../../src/core/charge.ts';

/*
 * Stand-ins for the providers: HTTP servers of ours, written from their pages, each with a ledger, a clock and faults
 * that a test asks for. The daemon talks to them over HTTP only.
 */

/** A charge in a stand-in's ledger. Amounts in minor units. */
export type LedgerCharge = {
  id: string;
  reference: string;
  amount: number;
  currency: string;
  status: ChargeStatus;
  createdAt: number;
  refunds: { id: string; amount: number; key: string }[];
  /** Of what it was asked to capture. */
  captured: number | null;
  notifyUrl: string;
};

export type Asked = { method: string; path: string; headers: IncomingHttpHeaders; body: string };

/** What goes wrong with a request. `lost`: it is done, and nobody hears of it. */
export type Fault =
  | { kind: 'answer'; status: number; body?: string; headers?: Record<string, string> }
  | { kind: 'reset' }
  | { kind: 'lost' }
  | { kind: 'half' };

export type Reply = { status: number; body?: string; headers?: Record<string, string> };

export type StandIn = {
  url: string;
  charges: Map<string, LedgerCharge>;
  asked: Asked[];
  now(): number;
  advance(seconds: number): void;
  /** For the next request that `matches`. */
  failNext(fault: Fault, matches?: (asked: Asked) => boolean): void;
  /** Nobody answers, until it is up again. */
  setDown(down: boolean): void;
  /** Changes what an answer says before it goes out. */
  alter(change: ((path: string, body: string) => string) | null): void;
};

export type StandInOptions = {
  reply(asked: Asked, standIn: StandIn): Reply;
  startAt: number;
};

export async function startStandIn({ reply, startAt }: StandInOptions): Promise<StandIn> {
  let now = startAt;
  let down = false;
  let change: ((path: string, body: string) => string) | null = null;
  const faults: { fault: Fault; matches: (asked: Asked) => boolean }[] = [];

  function answer(response: ServerResponse, { status, body = '', headers = {} }: Reply, path: string): void {
    const text = change === null ? body : change(path, body);
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(status === 204 ? undefined : text);
  }

  function fail(fault: Fault, asked: Asked, response: ServerResponse): void {
    switch (fault.kind) {
      case 'answer':
        response
          .writeHead(fault.status, fault.headers ?? {})
          .end(fault.status === 204 ? undefined : fault.body);
        return;
      case 'reset':
        response.socket?.destroy();
        return;
      case 'lost':
        reply(asked, standIn);
        response.socket?.destroy();
        return;
      case 'half': {
        const { status, body = '' } = reply(asked, standIn);
        response.writeHead(status, {
          'content-type': 'application/json',
          'content-length': body.length + 10,
        });
        response.write(body.slice(0, Math.ceil(body.length / 2)));
        setImmediate(() => response.socket?.destroy());
        return;
      }
      default:
        fault satisfies never;
    }
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const asked: Asked = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      };
      standIn.asked.push(asked);
      if (down) return void response.socket?.destroy();
      const at = faults.findIndex(({ matches }) => matches(asked));
      const [found] = at < 0 ? [] : faults.splice(at, 1);
      if (found !== undefined) return fail(found.fault, asked, response);
      answer(response, reply(asked, standIn), asked.path);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(
    () =>
      new Promise<void>((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  );
  const standIn: StandIn = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    charges: new Map(),
    asked: [],
    now: () => now,
    advance: (seconds) => {
      now += seconds * 1000;
    },
    failNext: (fault, matches = () => true) => faults.push({ fault, matches }),
    setDown: (value) => {
      down = value;
    },
    alter: (next) => {
      change = next;
    },
  };
  return standIn;
}

/** The text of a number with two decimals, as the pages print money. */
export function cents(amount: number): string {
  return (amount / 100).toFixed(2);
}

export function iso(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', '+00:00').replace('Z', '+00:00');
}
