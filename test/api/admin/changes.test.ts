import { expect, onTestFinished, test } from 'vitest';
import { inTransaction } from '../../../src/storage/database.ts';
import { appendEvent } from '../../../src/storage/webhooks/events.ts';
import { type ApiServer, openApiServer } from '../../support/api-server.ts';
import { openTestSqlite } from '../../support/databases.ts';
import { addPerson, firstOperator } from '../../support/people.ts';

/** What a stream of the operator's API has said so far. */
async function follow(api: ApiServer, cookie: string) {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const answer = await fetch(`${api.url}/admin/v1/changes/`, {
    headers: { cookie, accept: 'text/event-stream' },
    signal: stop.signal,
  });
  let text = '';
  let ended = false;
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of answer.body ?? []) text += decoder.decode(chunk, { stream: true });
    ended = true;
  })().catch(() => {});
  return { answer, text: () => text, ended: () => ended };
}

const told = (text: string) => text.split('event: changed').length - 1;
const soon = (look: () => unknown) => expect.poll(look, { timeout: 10_000 });

test('a stream tells that something has changed, and nothing of what, and ends with the server', async () => {
  const api = await openApiServer(await openTestSqlite());
  const ada = await firstOperator(api);
  const shop = await api.addMerchant();
  await api.addAddresses(shop, 'bsc', 2);
  const stream = await follow(api, ada.cookie);
  expect(stream.answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  await soon(stream.text).toContain('still here');
  const json = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' };
  const made = await api.send<{ payment_number: string }>('POST', '/api/v1/payments/', {
    key: shop.key,
    json,
  });
  const { payment_number } = made.body;
  await soon(() => told(stream.text())).toBe(1);
  await api.send('POST', `/api/v1/payments/${payment_number}/cancel/`, { key: shop.key });
  await soon(() => told(stream.text())).toBe(2);
  expect(stream.text()).not.toContain(payment_number);
  await api.close();
  await soon(stream.ended).toBe(true);
});

test('a stream tells of what a database has lost that was put back', async () => {
  const api = await openApiServer(await openTestSqlite());
  const ada = await firstOperator(api);
  const { id: merchantId } = await api.addMerchant();
  await inTransaction(api.db, (trx) =>
    appendEvent(trx, { merchantId, type: 'payment.late', paymentId: null, body: '{}', at: 1 }),
  );
  const stream = await follow(api, ada.cookie);
  await soon(stream.text).toContain('still here');
  await api.db.deleteFrom('events').execute();
  await soon(() => told(stream.text())).toBe(1);
});

test('one user cannot open so many streams that nobody else gets one', async () => {
  const api = await openApiServer(await openTestSqlite());
  const ada = await firstOperator(api);
  const shop = await api.addMerchant();
  const clerk = await addPerson(api, { name: 'clerk', role: 'viewer', merchant_id: shop.id });
  for (let n = 0; n < 20; n++) expect((await follow(api, clerk.cookie)).answer.status).toBe(200);
  expect((await follow(api, clerk.cookie)).answer.status).toBe(429);
  expect((await follow(api, ada.cookie)).answer.status).toBe(200);
});

test('whoever is not signed in follows nothing, and whoever does not ask for a stream is not kept waiting', async () => {
  const api = await openApiServer(await openTestSqlite());
  const path = '/admin/v1/changes/';
  expect((await api.send('GET', path, { headers: { accept: 'text/event-stream' } })).status).toBe(401);
  expect((await api.send('GET', path, { admin: true })).status).toBe(406);
});
