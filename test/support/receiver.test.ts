import { createHmac } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { type Receiver, startReceiver } from './receiver.ts';

async function receiverForTest(clockOffsetMs = 0): Promise<Receiver> {
  const receiver = await startReceiver({ clockOffsetMs: () => clockOffsetMs });
  onTestFinished(receiver.stop);
  receiver.trust('whsec_secret');
  return receiver;
}

const body = '{"event":"payment.confirmed","payment_id":"PAY-1"}';

function signed(text: string, time: number, secret = 'whsec_secret'): RequestInit {
  const t = Math.floor(time / 1000);
  const v1 = createHmac('sha256', secret).update(`${t}.${text}`).digest('hex');
  return { method: 'POST', body: text, headers: { 'x-payhook-signature': `t=${t},v1=${v1}` } };
}

test('a request is kept byte for byte and found by its event', async () => {
  const receiver = await receiverForTest();
  await fetch(receiver.url(), { method: 'POST', body: `${body} ` });
  const [request] = await receiver.waitForEvent('payment.confirmed', 'PAY-1');
  expect(request?.body.toString()).toBe(`${body} `);
  expect(receiver.received('payment.confirmed', 'PAY-2')).toEqual([]);
});

test('the verifier accepts a right signature and nothing else', async () => {
  const receiver = await receiverForTest();
  await fetch(receiver.url(), signed(body, Date.now()));
  await fetch(receiver.url(), signed(body, Date.now(), 'whsec_other'));
  await fetch(receiver.url(), { ...signed(body, Date.now()), body: `${body} ` });
  await fetch(receiver.url(), signed(body, Date.now() - 400_000));
  await fetch(receiver.url(), { method: 'POST', body });
  expect(receiver.requests.map((request) => request.verified)).toEqual([true, false, false, false, false]);
});

test('the verifier goes by the clock of the sender', async () => {
  const receiver = await receiverForTest(3_600_000);
  await fetch(receiver.url(), signed(body, Date.now()));
  await fetch(receiver.url(), signed(body, Date.now() + 3_600_000));
  expect(receiver.requests.map((request) => request.verified)).toEqual([false, true]);
});

test('it answers as told, then as always', async () => {
  const receiver = await receiverForTest();
  const statusNow = async () => (await fetch(receiver.url(), { method: 'POST', body })).status;
  receiver.answerNext(500, { status: 429, headers: { 'retry-after': '7' } });
  expect(await statusNow()).toBe(500);
  const limited = await fetch(receiver.url(), { method: 'POST', body });
  expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '7']);
  expect(await statusNow()).toBe(200);
  receiver.answerAlways(410);
  expect([await statusNow(), await statusNow()]).toEqual([410, 410]);
});

test('it fails in the ways receivers fail: no answer, a broken connection, a body without end', async () => {
  const receiver = await receiverForTest();
  receiver.answerNext('reset', 'hang', 'endless');
  await expect(fetch(receiver.url(), { method: 'POST', body })).rejects.toThrow('fetch failed');

  const waiting = new AbortController();
  const hanging = fetch(receiver.url(), { method: 'POST', body, signal: waiting.signal });
  await receiver.waitForEvent('payment.confirmed', 'PAY-1', 2);
  waiting.abort();
  await expect(hanging).rejects.toThrow('aborted');

  const endless = await fetch(receiver.url(), { method: 'POST', body });
  expect(endless.status).toBe(200);
  let length = 0;
  for await (const chunk of endless.body ?? []) {
    length += chunk.length;
    if (length > 1_000_000) break;
  }
  expect(length).toBeGreaterThan(1_000_000);
});
