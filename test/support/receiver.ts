import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { verifyPayhookSignature } from './seed-verifier.ts';
import { waitFor } from './wait.ts';

/** What a receiver does with a request: a status, or one of the ways in which receivers fail. */
export type Answer =
  | number
  | { status: number; headers?: Record<string, string>; body?: string }
  /** Never answers. */
  | 'hang'
  /** Breaks the connection. */
  | 'reset'
  /** Answers 200 and then sends a body without end. */
  | 'endless';

export type ReceivedRequest = {
  /** Unix ms. */
  at: number;
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  /** The bytes as they came. */
  body: Buffer;
  /** Whether the published verifier accepted it on arrival, with the secret of its path. */
  verified: boolean;
};

/** The keys every webhook body has. */
export type WebhookBody = {
  event: string;
  payment_id: string;
  status: string;
  tx_hash: string;
  amount: string;
} & Record<string, unknown>;

export type Receiver = {
  port: number;
  /** The URL of one of its paths. */
  url(path?: string): string;
  /** Everything received, in order. */
  requests: readonly ReceivedRequest[];
  /** The secret with which the requests to a path must be signed. */
  trust(secret: string, path?: string): void;
  /** The answers to the next requests, in order; all others get 200. */
  answerNext(...answers: Answer[]): void;
  /** The answer to every request from now on, once those of `answerNext` are used up. */
  answerAlways(answer: Answer): void;
  /** The requests whose `event` (and payment) is this. */
  received(event: string, paymentNumber?: string): ReceivedRequest[];
  /** Waits for at least `count` of them. */
  waitForEvent(event: string, paymentNumber?: string, count?: number): Promise<ReceivedRequest[]>;
  stop(): Promise<void>;
};

export type ReceiverOptions = {
  /** How far the sender's clock is ahead of ours, ms. */
  clockOffsetMs?: () => number;
  /** Default: a free one. */
  port?: number;
};

/** A merchant's webhook endpoint: a real HTTP server on loopback that checks signatures as merchants do. */
export async function startReceiver(options: ReceiverOptions = {}): Promise<Receiver> {
  const requests: ReceivedRequest[] = [];
  const secrets = new Map<string, string>();
  const queued: Answer[] = [];
  let always: Answer = 200;

  const server = createServer((request, response) => {
    // A sender that goes away in the middle is its own affair.
    request.on('error', () => {});
    readBody(request).then(
      (body) => {
        requests.push(record(request, body, secrets, options.clockOffsetMs?.() ?? 0));
        answer(response, queued.shift() ?? always);
      },
      () => {},
    );
  });
  await new Promise<void>((listening) => server.listen(options.port ?? 0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;

  const received = (event: string, paymentNumber?: string) =>
    requests.filter((request) => {
      const body = webhookBody(request);
      return body.event === event && (paymentNumber === undefined || body.payment_id === paymentNumber);
    });

  return {
    port,
    url: (path = '/') => `http://127.0.0.1:${port}${path}`,
    requests,
    trust: (secret, path = '/') => void secrets.set(path, secret),
    answerNext: (...answers) => void queued.push(...answers),
    answerAlways: (next) => {
      always = next;
    },
    received,
    waitForEvent: (event, paymentNumber, count = 1) =>
      waitFor(
        `${count} × ${event} of ${paymentNumber ?? 'any payment'}`,
        () => {
          const found = received(event, paymentNumber);
          return found.length >= count && found;
        },
        { describe: () => requests.map((request) => webhookBody(request).event) },
      ),
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** What was sent, as merchants read it. */
export function webhookBody(request: ReceivedRequest): WebhookBody {
  return JSON.parse(request.body.toString('utf8')) as WebhookBody;
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function record(
  request: IncomingMessage,
  body: Buffer,
  secrets: Map<string, string>,
  clockOffsetMs: number,
): ReceivedRequest {
  const path = request.url ?? '/';
  const header = Object.entries(request.headers).find(
    ([name]) => name.endsWith('-signature') && name !== 'webhook-signature',
  );
  const secret = secrets.get(path);
  const verified =
    secret !== undefined &&
    typeof header?.[1] === 'string' &&
    atTime(Date.now() + clockOffsetMs, () => verifyPayhookSignature(body, header[1] as string, secret));
  return { at: Date.now(), method: request.method ?? '', path, headers: request.headers, body, verified };
}

/** Runs `work`, which reads the clock, as if it were `now`. */
function atTime<T>(now: number, work: () => T): T {
  const { now: realNow } = Date;
  Date.now = () => now;
  try {
    return work();
  } finally {
    Date.now = realNow;
  }
}

function answer(response: ServerResponse, given: Answer): void {
  if (typeof given === 'number') {
    response.writeHead(given).end();
    return;
  }
  switch (given) {
    case 'hang':
      return;
    case 'reset':
      response.socket?.resetAndDestroy();
      return;
    case 'endless':
      response.writeHead(200);
      pour(response);
      return;
    default:
      response.writeHead(given.status, given.headers).end(given.body ?? '');
  }
}

function pour(response: ServerResponse): void {
  const chunk = Buffer.alloc(16_384, 'x');
  const more = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', more).on('error', () => {});
  more();
}
