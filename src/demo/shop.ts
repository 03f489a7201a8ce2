import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { renderReceived, type Told } from './shop-page.ts';

/** As many as its page shows. */
const mostKept = 200;

/** The merchant's own server: it receives webhooks, and lets you play the customer. */
export type Shop = {
  url: string;
  /** The secret with which webhooks must be signed. */
  trust(secret: string): void;
  /** Tells of every webhook from now on. */
  listen(listener: (told: Told) => void): void;
  /** Resolves with the first webhook of this kind about a payment, also if it was received already. */
  told(event: string, paymentNumber: string): Promise<Told>;
  stop(): Promise<void>;
};

/** `payAsCustomer` pays a payment in full, as its customer would, and answers the transaction's hash. */
export async function startShop(payAsCustomer: (paymentNumber: string) => Promise<string>): Promise<Shop> {
  const received: Told[] = [];
  const waiting: { event: string; paymentNumber: string; resolve: (told: Told) => void }[] = [];
  let listener: (told: Told) => void = () => {};
  let secret = '';

  function receive(request: IncomingMessage, body: Buffer): number {
    const verified = isSigned(String(request.headers['x-payhook-signature'] ?? ''), body, secret);
    const told = { ...readBody(body), verified };
    received.push(told);
    if (received.length > mostKept) received.shift();
    for (const one of waiting) if (isAbout(told, one)) one.resolve(told);
    listener(told);
    return verified ? 200 : 401;
  }

  async function handle(request: IncomingMessage): Promise<{ status: number; answer: object | string }> {
    const body = await collect(request);
    const customer = /^\/pay\/([\w-]+)\/?$/.exec(request.url ?? '');
    if (request.url === '/' && request.method === 'GET')
      return { status: 200, answer: renderReceived(received) };
    if (request.method !== 'POST') return { status: 405, answer: { error: 'only POST is understood here' } };
    if (request.url === '/webhooks') return { status: receive(request, body), answer: {} };
    if (customer?.[1] === undefined)
      return { status: 404, answer: { error: 'try POST /pay/PAYMENT_NUMBER' } };
    return { status: 200, answer: { tx_hash: await payAsCustomer(customer[1]) } };
  }

  const server = createServer((request, response) => {
    handle(request)
      .catch((error: unknown) => ({ status: 400, answer: { error: String((error as Error).message) } }))
      .then(({ status, answer }) => {
        if (typeof answer === 'string') response.writeHead(status, pageHeaders).end(answer);
        else
          response
            .writeHead(status, { 'content-type': 'application/json' })
            .end(`${JSON.stringify(answer)}\n`);
      });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    trust: (given) => {
      secret = given;
    },
    listen: (given) => {
      listener = given;
    },
    told(event, paymentNumber) {
      const known = received.find((told) => isAbout(told, { event, paymentNumber }));
      if (known !== undefined) return Promise.resolve(known);
      return new Promise((resolve) => waiting.push({ event, paymentNumber, resolve }));
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function isAbout(told: Told, { event, paymentNumber }: { event: string; paymentNumber: string }): boolean {
  return told.event === event && told.paymentNumber === paymentNumber;
}

/** What every receiver must do: `t` is fresh, and `v1` is the HMAC-SHA256 of `t.body` under the secret. */
function isSigned(header: string, body: Buffer, secret: string): boolean {
  const parts = new Map(header.split(',').map((part) => part.trim().split('=') as [string, string]));
  const time = parts.get('t') ?? '';
  if (!/^\d+$/.test(time) || Math.abs(Date.now() / 1000 - Number(time)) > 300) return false;
  const expected = createHmac('sha256', secret).update(`${time}.`).update(body).digest();
  const given = Buffer.from(parts.get('v1') ?? '', 'hex');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
};

function readBody(bytes: Buffer): Omit<Told, 'verified'> {
  const body = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
  const text = (name: string) => (typeof body[name] === 'string' ? body[name] : '');
  const amount = [text('amount'), text('currency')].filter((part) => part !== '').join(' ');
  return {
    at: Date.now(),
    event: text('event'),
    paymentNumber: text('payment_id'),
    orderId: text('external_order_id'),
    amount: text('chain') === '' ? amount : `${amount} on ${text('chain')}`,
  };
}

async function collect(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
