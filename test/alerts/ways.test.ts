import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Message, messageOf } from '../../src/alerts/message.ts';
import { createAlertsOutbound, createWay } from '../../src/alerts/ways.ts';
import type { AlertWay } from '../../src/config.ts';
import { generateSecret } from '../../src/notify/secrets.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
});
afterAll(() => receiver.stop());

const beganAt = Date.UTC(2026, 10, 29, 12);
const alert = {
  name: 'pool_exhausted',
  subject: 'mer_1 bsc all',
  text: 'the pool of mer_1 on bsc has no free address: payments are refused',
  beganAt,
  seenAt: beganAt,
  told: 'nothing',
} as const;
const began = messageOf({ ...alert, endedAt: null }, 'pay.example.com');
const ended = messageOf({ ...alert, endedAt: beganAt + 42 * 60_000 }, 'pay.example.com');

/** The answer of the way, and the JSON that arrived. */
async function send(way: AlertWay, message: Message) {
  const outbound = createAlertsOutbound({ to: [way], mute: [] }, 'depositd/test');
  try {
    const answer = await createWay(way, outbound).send(message, Date.now());
    const arrived = receiver.requests.at(-1);
    return { answer, arrived, body: JSON.parse(arrived?.body.toString() ?? 'null') as unknown };
  } finally {
    await outbound.close();
  }
}

describe('a webhook for alerts', () => {
  const secret = generateSecret();

  test('is signed as those to shops are, and tells when it began and ended', async () => {
    receiver.trust(secret, '/alerts');
    const way: AlertWay = { type: 'webhook', url: receiver.url('/alerts'), secret };
    const first = await send(way, began);
    expect(first.answer).toBeNull();
    expect(first.arrived).toMatchObject({ verified: true, headers: { 'x-payhook-event': 'alert.began' } });
    expect(first.body).toMatchObject({
      event: 'alert.began',
      alert: 'pool_exhausted',
      severity: 'page',
      title: 'pay.example.com: pool_exhausted',
      text: 'the pool of mer_1 on bsc has no free address: payments are refused.\ndepositd address import, or address add.\nRunbook: docs/alerts.md#pool_exhausted',
      runbook: 'docs/alerts.md#pool_exhausted',
      began_at: '2026-11-29T12:00:00Z',
      ended_at: null,
    });
    const second = await send(way, ended);
    expect(second.body).toMatchObject({
      event: 'alert.ended',
      text: expect.stringMatching(/^Over after 42 minutes: the pool/),
      ended_at: '2026-11-29T12:42:00Z',
    });
    const id = (request: typeof first) => request.arrived?.headers['webhook-id'];
    expect(id(second)).not.toBe(id(first));
    expect(id(await send(way, began))).toBe(id(first));
  });

  test('with user and password in its URL sends them as a header', async () => {
    const url = receiver.url('/alerts').replace('://', '://user:p%40ss@');
    const { arrived } = await send({ type: 'webhook', url, secret: null }, began);
    const authorization = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
    expect(arrived).toMatchObject({ headers: { authorization } });
  });

  test('without a secret is sent without a signature', async () => {
    const { answer, arrived } = await send({ type: 'webhook', url: receiver.url(), secret: null }, began);
    expect(answer).toBeNull();
    expect(arrived?.headers['x-payhook-signature']).toBeUndefined();
  });

  test('that is refused, or answered by nobody, says so without its path', async () => {
    const way: AlertWay = { type: 'webhook', url: receiver.url('/hook-key-0123456789'), secret: null };
    receiver.answerNext(503);
    expect((await send(way, began)).answer).toBe('it answered 503');
    receiver.answerNext('reset');
    expect((await send(way, began)).answer).toMatch(/^reset: /);
    const nobody = await send({ ...way, url: 'http://127.0.0.1:1/hook-key-0123456789' }, began);
    expect(nobody.answer).toMatch(/^refused: /);
    expect(nobody.answer).not.toContain('hook-key');
  });
});

test('ntfy gets the topic, an urgency by severity, and the token', async () => {
  const way: AlertWay = { type: 'ntfy', url: receiver.url(), topic: 'depositd-1', token: 'tk_secret' };
  const { answer, arrived, body } = await send(way, began);
  expect(answer).toBeNull();
  expect(arrived?.headers.authorization).toBe('Bearer tk_secret');
  expect(body).toMatchObject({ topic: 'depositd-1', title: began.title, message: began.text, priority: 5 });
  expect((await send({ ...way, token: null }, ended)).body).toMatchObject({ priority: 3 });
  expect(receiver.requests.at(-1)?.headers.authorization).toBeUndefined();
});

test('Telegram gets the text of the bot in its chat', async () => {
  const token = '123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11';
  const way: AlertWay = {
    type: 'telegram',
    url: receiver.url('').replace(/\/$/, ''),
    token,
    chatId: '-1001',
  };
  const { answer, arrived, body } = await send(way, began);
  expect(answer).toBeNull();
  expect(arrived?.path).toBe(`/bot${token}/sendMessage`);
  expect(body).toMatchObject({ chat_id: '-1001', text: `${began.title}\n${began.text}` });
  receiver.answerNext(401);
  expect((await send(way, began)).answer).toBe('it answered 401');
});

describe('a mail', () => {
  /** A mail server that knows one user, and what it took. */
  async function startMailServer() {
    const mails: string[] = [];
    const server = new SMTPServer({
      disabledCommands: ['STARTTLS'],
      allowInsecureAuth: true,
      onAuth: ({ username, password }, _session, callback) => {
        const right = username === 'shop' && password === 'p@ss';
        callback(right ? null : new Error('no such user'), right ? { user: 'shop' } : undefined);
      },
      onData: (stream, _session, callback) => {
        let text = '';
        stream.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        stream.on('end', () => {
          mails.push(text);
          callback();
        });
      },
    });
    server.on('error', () => {});
    const listening = server.listen(0, '127.0.0.1');
    await once(listening, 'listening');
    onTestFinished(() => new Promise<void>((closed) => void server.close(() => closed())));
    return { port: (listening.address() as AddressInfo).port, mails };
  }

  const from = 'depositd@shop.example';
  const to = 'you@shop.example';

  test('arrives with the title as its subject, by a server that asks for a login', async () => {
    const { port, mails } = await startMailServer();
    const smtp = `smtp://shop:p%40ss@127.0.0.1:${port}`;
    expect((await send({ type: 'email', smtp, from, to }, began)).answer).toBeNull();
    expect(mails).toHaveLength(1);
    expect(mails[0]).toMatch(/^From: depositd@shop\.example\r$/m);
    expect(mails[0]).toMatch(/^To: you@shop\.example\r$/m);
    expect(mails[0]).toMatch(/^Subject: pay\.example\.com: pool_exhausted\r$/m);
    expect(mails[0]).toMatch(/^Auto-Submitted: auto-generated\r$/m);
    expect(mails[0]).toContain('Runbook: docs/alerts.md#pool_exhausted');
  });

  test('that is refused says why, and not with which password', async () => {
    const { port, mails } = await startMailServer();
    const wrong = `smtp://shop:another-password@127.0.0.1:${port}`;
    const { answer } = await send({ type: 'email', smtp: wrong, from, to }, began);
    expect(answer).toMatch(/no such user/);
    expect(answer).not.toContain('another-password');
    const nobody = await send({ type: 'email', smtp: 'smtp://127.0.0.1:1', from, to }, began);
    expect(nobody.answer).toMatch(/ECONNREFUSED/);
    expect(mails).toEqual([]);
  });
});
