import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changeEndpoint } from '../../src/notify/endpoints.ts';
import { findHeaderFaults, hideHeaders } from '../../src/notify/headers.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { listAttempts, listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import { deleteEndpoint, getEndpoint } from '../../src/storage/webhooks/endpoints.ts';
import { describeDecisions } from '../support/databases.ts';
import { captureLog } from '../support/log.ts';
import { startLoopback } from '../support/loopback.ts';
import { manualClock, openShop } from '../support/webhooks.ts';

const faultsOf = (headers: Record<string, string>) => findHeaderFaults(headers, 'X-Shop');

describe('the headers of an endpoint', () => {
  test.each([
    [{}],
    [{ Authorization: 'Bearer 0123456789abcdef' }],
    [{ 'X-Key': 'a', 'X-Key-2': 'b c\td', Cookie: 'a=b', Accept: '*/*', 'CF-Access-Client-Id': 'x' }],
  ])('may be %j', (headers) => {
    expect(faultsOf(headers as Record<string, string>)).toEqual([]);
  });

  test.each([
    'Host',
    'connection',
    'Keep-Alive',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
    'Expect',
    'Content-Type',
    'content-length',
    'Content-Encoding',
    'Proxy-Authorization',
    'User-Agent',
    'Accept-Encoding',
    'webhook-id',
    'Webhook-Signature',
    'X-PayHook-Signature',
    'X-Shop-Event',
    'x-shop-anything',
  ])('must not be what depositd or HTTP writes: %s', (name) => {
    expect(faultsOf({ [name]: 'x' })).toEqual([
      expect.stringContaining('is written by depositd or by HTTP itself'),
    ]);
  });

  test('S49: have no line break, no other letter than HTTP carries, and no more than five', () => {
    for (const value of ['a\r\nX-Evil: 1', 'a\nb', 'a\0', '', ' a', 'a ', 'ä', 'a'.repeat(2_049)]) {
      expect(faultsOf({ 'X-Key': value }), JSON.stringify(value)).toHaveLength(1);
    }
    for (const name of ['', 'a b', 'a:', 'a\r\nb', 'ä', 'a'.repeat(101), ':path']) {
      expect(faultsOf({ [name]: 'x' }), JSON.stringify(name)).toHaveLength(1);
    }
    const six = Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`X-${n}`, 'x']));
    expect(faultsOf(six)).toEqual(['there must not be more than 5']);
    expect(faultsOf({ 'X-A': '1', 'x-a': '2' })).toEqual(['"x-a" is given twice']);
  });

  test('are never told in a fault: not by a value, whatever it is', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.stringMatching(/^[^"\s]{20,40}$/)), (headers) => {
        const told = faultsOf(headers).join();
        for (const [name, value] of Object.entries(headers))
          if (!name.includes(value)) expect(told).not.toContain(value);
      }),
    );
  });
});

describe('what a receiver sends back', () => {
  const secret = 'c0ffee-0123456789';

  test.each([
    [`{"authorization":"Bearer ${secret}"}`, '{"authorization":"[hidden]"}'],
    [`token ${secret} is unknown`, 'token [hidden] is unknown'],
    [`cut ${secret.slice(0, 9)}`, 'cut [hidden]'],
    ['nothing of it', 'nothing of it'],
  ])('%s is kept as %s', (text, kept) => {
    expect(hideHeaders(text, { Authorization: `Bearer ${secret}` })).toBe(kept);
  });

  test('of a user and a password holds neither in any form', () => {
    const basic = Buffer.from('shop:pass-word-1').toString('base64');
    const clean = hideHeaders(`no shop:pass-word-1, no pass-word-1, no ${basic}`, {
      Authorization: `Basic ${basic}`,
    });
    expect(clean).toBe('no [hidden], no [hidden], no [hidden]');
  });

  test('never holds a value, wherever it stands and wherever the text is cut', () => {
    const value = fc.stringMatching(/^[!-~]{8,60}$/);
    fc.assert(
      fc.property(value, fc.string(), fc.string(), fc.nat(300), (given, before, after, cut) => {
        const clean = hideHeaders((before + given + after).slice(0, cut), { 'X-Key': given });
        expect(clean).not.toContain(given);
      }),
    );
  });
});

describeDecisions('an endpoint with headers', (openTestDb) => {
  test('sends them with every attempt, is stored sealed, and keeps no answer that repeats them', async () => {
    const key = 'Bearer s3cret-of-the-shop';
    const server = await startLoopback(({ headers }, response) =>
      response.writeHead(401).end(JSON.stringify({ seen: headers })),
    );
    const { log, lines } = captureLog();
    const clock = manualClock();
    const shop = await openShop(await openTestDb(), clock.now);
    const { id } = await shop.addEndpoint(server.url, undefined, {
      Authorization: key,
      'X-Tenant': 'one-of-many',
    });
    await shop.happen();
    await shop.notifier({ log }).drain();
    expect(server.requests[0]?.headers).toMatchObject({
      authorization: key,
      'x-tenant': 'one-of-many',
      'x-payhook-event': 'payment.confirmed',
    });
    const [delivery] = await listDeliveries(shop.db, { limit: 1 });
    const attempts = await listAttempts(shop.db, delivery?.id ?? 0);
    expect(attempts[0]?.response).toContain('[hidden]');
    const tables = [
      await shop.db.selectFrom('webhook_endpoints').selectAll().execute(),
      await shop.db.selectFrom('delivery_attempts').selectAll().execute(),
      await getEndpoint(shop.db, id),
      lines,
    ];
    expect(JSON.stringify(tables)).not.toMatch(/s3cret|one-of-many/);
    expect(await getEndpoint(shop.db, id)).toMatchObject({ headerNames: ['Authorization', 'X-Tenant'] });
    await inTransaction(shop.db, (trx) => deleteEndpoint(trx, id, clock.now()));
    const row = await shop.db.selectFrom('webhook_endpoints').select('headers').executeTakeFirst();
    expect(row).toEqual({ headers: null });
  });

  test('does not take them to another host with a changed URL, and loses them when told', async () => {
    const shop = await openShop(await openTestDb(), Date.now);
    const { id } = await shop.addEndpoint('https://a.example/hook', undefined, { 'X-Key': 'one' });
    const change = (given: Parameters<typeof changeEndpoint>[3]) =>
      inTransaction(shop.db, async (trx) => {
        const endpoint = await getEndpoint(trx, id);
        if (endpoint === null) throw new Error('gone');
        const rules = { secrets: shop.secrets, allowHosts: [], headerPrefix: 'X-PayHook' };
        return changeEndpoint(trx, rules, endpoint, given);
      });
    expect(await change({ url: 'https://b.example/hook' })).toMatchObject({ headers: [expect.any(String)] });
    expect(await change({ url: 'https://a.example/other' })).toBeNull();
    expect(await change({ url: 'https://b.example/hook', headers: { 'X-Key': 'two' } })).toBeNull();
    expect(await getEndpoint(shop.db, id)).toMatchObject({
      url: 'https://b.example/hook',
      headerNames: ['X-Key'],
    });
    expect(await change({ headers: {} })).toBeNull();
    expect(await getEndpoint(shop.db, id)).toMatchObject({ headerNames: [] });
  });
});
