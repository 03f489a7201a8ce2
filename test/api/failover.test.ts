import { expect, onTestFinished, test } from 'vitest';
import { inTransaction, openDatabase } from '../../src/storage/database.ts';
import { appendEvent } from '../../src/storage/webhooks/events.ts';
import { openApiServer } from '../support/api-server.ts';
import { startCluster } from '../support/cluster.ts';
import { firstOperator } from '../support/people.ts';
import { waitFor } from '../support/wait.ts';

type Page = { data: { body: object }[]; next_cursor: string };

/** What an open stream has said so far. */
async function follow(url: string, headers: Record<string, string> = {}) {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const answer = await fetch(url, { signal: stop.signal, headers });
  const said = { text: '', ended: false };
  void (async () => {
    for await (const chunk of answer.body ?? []) said.text += Buffer.from(chunk).toString();
    said.ended = true;
  })().catch(() => {});
  return said;
}

test('whoever follows what happens learns of a failover that lost commits, and goes on behind it: shop, payer and dashboard', async () => {
  const cluster = await startCluster();
  onTestFinished(() => cluster.stop());
  const db = await openDatabase(await cluster.lendDatabase(false));
  onTestFinished(() => db.destroy());
  const api = await openApiServer(db);
  const ada = await firstOperator(api);
  const shop = await api.addMerchant();
  await api.addAddresses(shop, 'bsc', 3);
  const create = async () => {
    const json = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' };
    const made = await api.send<{ payment_number: string; payment_token: string }>(
      'POST',
      '/api/v1/payments/',
      { key: shop.key, json },
    );
    return made.body;
  };
  const cancel = ({ payment_number }: { payment_number: string }) =>
    api.send('POST', `/api/v1/payments/${payment_number}/cancel/`, { key: shop.key });
  const events = (after = '') =>
    api.send<Page & { code: string }>('GET', `/api/v1/events/?limit=100${after}`, { key: shop.key });

  await cancel(await create());
  const kept = await create();
  const { data, next_cursor: known } = (await events()).body;
  const body = JSON.stringify(data[0]?.body);
  const failOver = await cluster.standby();
  const lost = await create();
  for (let n = 0; n < 50; n++) {
    await inTransaction(db, (trx) =>
      appendEvent(trx, { merchantId: shop.id, type: 'payment.late', paymentId: null, body, at: n }),
    );
  }
  const { next_cursor: gone } = (await events()).body;
  const payer = await follow(`${api.url}/pay/${kept.payment_token}/events`);
  const lostPayer = await follow(`${api.url}/pay/${lost.payment_token}/events`);
  const accept = 'text/event-stream';
  const dashboard = await follow(`${api.url}/admin/v1/changes/`, { cookie: ada.cookie, accept });
  await waitFor('the snapshots', () => payer.text.includes('waiting') && lostPayer.text.includes('waiting'));
  await waitFor('a sign of life', () => dashboard.text.includes('still here'));

  await failOver();
  await waitFor('the server', async () => (await events(`&after=${known}`)).status === 200);
  expect(await events(`&after=${gone}`)).toMatchObject({ status: 409, body: { code: 'unknown_cursor' } });
  await waitFor('the dashboard to be told', () => dashboard.text.includes('event: changed'));
  await waitFor('the end of a stream whose payment is lost', () => lostPayer.ended);
  const told = dashboard.text.length;
  await cancel(kept);
  await waitFor('the payer to be told', () => payer.text.includes('cancelled'));
  await waitFor('the dashboard to be told again', () =>
    dashboard.text.slice(told).includes('event: changed'),
  );
  expect((await events(`&after=${known}`)).body.data).toHaveLength(1);
}, 60_000);
