import { randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { commandHome, offline } from '../commands/support.ts';
import { adminToken } from '../support/daemon.ts';

type Strange = { method: string; path: string; headers?: Record<string, string>; body?: string };

const hex = (bytes: number) => randomBytes(bytes).toString('hex');

/** No two of them alike: paths, queries, tokens, keys, headers, types and bodies that nobody has sent before. */
function strangeRequests(apiKey: string): ((n: number) => Strange)[] {
  const key = { 'x-api-key': apiKey };
  const json = { ...key, 'content-type': 'application/json' };
  const create = '/api/v1/payments/';
  return [
    () => ({ method: 'GET', path: `/${hex(8)}/${hex(20)}?${hex(4)}=${hex(8)}` }),
    (n) => ({
      method: 'POST',
      path: create,
      headers: { ...json, 'idempotency-key': hex(16) },
      body: JSON.stringify({ [hex(8)]: hex(300), amount_usd_cents: n, network: hex(8), currency: hex(8) }),
    }),
    () => ({ method: 'GET', path: create, headers: { 'x-api-key': `pk_${hex(32)}` } }),
    () => ({ method: 'GET', path: '/admin/v1/merchants/', headers: { authorization: `Bearer ${hex(16)}` } }),
    () => ({
      method: 'POST',
      path: create,
      headers: { ...key, 'content-type': `application/${hex(8)}; ${hex(8)}=${hex(8)}` },
      body: hex(1_500),
    }),
    () => ({
      method: 'GET',
      path: `${create}PAY-2026-${hex(8)}/`,
      headers: { ...key, [`x-${hex(8)}`]: hex(500) },
    }),
    () => ({ method: 'GET', path: `${create}?external_order_id=${hex(20)}&status=pending`, headers: key }),
    () => ({ method: hex(1) < '80' ? 'PATCH' : 'PUT', path: `${create}${hex(8)}/`, headers: key }),
    () => ({ method: 'POST', path: create, headers: json, body: `{"${hex(8)}":${'['.repeat(1_000)}` }),
    () => ({
      method: 'POST',
      path: create,
      headers: { ...json, 'idempotency-key': hex(16) },
      body: JSON.stringify({
        amount_usd_cents: 100,
        network: 'bsc',
        currency: 'usdt',
        metadata: { [hex(8)]: hex(2_000) },
      }),
    }),
    () => ({ method: 'POST', path: create, headers: json, body: hex(35_000) }),
    () => ({
      method: 'GET',
      path: `/admin/v1/deliveries/?endpoint_id=${hex(8)}&cursor=${hex(8)}`,
      headers: { authorization: `Bearer ${adminToken}` },
    }),
  ];
}

/** Requests between two looks; what is compiled and learned at first is mostly over after the first of them. */
const perPart = 2_000;

test('memory does not grow with the number of strange requests', async () => {
  const home = commandHome({ ...offline, listen: { port: 0 }, api: { requestsPerSecond: 100_000 } });
  const { api_key } = await home.runJson<{ api_key: string }>('merchant', 'add', 'Shop');
  const { url } = await home.start();
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  onTestFinished(() => agent.destroy());
  const kinds = strangeRequests(api_key);
  const statuses = new Map<number, number>();
  let sent = 0;

  function send(): Promise<void> {
    const { method, path, headers = {}, body } = (kinds[sent % kinds.length] as (n: number) => Strange)(sent);
    sent += 1;
    return new Promise((resolve, reject) => {
      const outgoing = request(url + path, { method, headers, agent }, (answer) => {
        const status = answer.statusCode ?? 0;
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        answer.resume().once('end', resolve).once('error', reject);
      });
      outgoing.once('error', reject).end(body);
    });
  }

  async function sendUpTo(count: number): Promise<number> {
    await Promise.all(
      Array.from({ length: 32 }, async () => {
        while (sent < count) await send();
      }),
    );
    return home.liveBytes();
  }

  const sizes: number[] = [];
  for (let part = 1; part <= 4; part++) sizes.push(await sendUpTo(part * perPart));
  const growth = sizes.slice(1).map((size, n) => size - (sizes[n] as number));
  // What is kept of every request shows in each part; what is compiled, cached or given back once shows in one.
  expect(Math.min(...growth), `grew by ${growth.join(', ')} bytes`).toBeLessThan(perPart * 100);
  expect([...statuses.keys()].toSorted()).toEqual([200, 400, 401, 404, 405, 413, 415]);
  expect(home.stray).toEqual([]);
}, 300_000);
