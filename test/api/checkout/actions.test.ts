import { describe, expect, onTestFinished, test } from 'vitest';
import { messagesIn } from '../../../src/checkout/languages/languages.ts';
import { lookMessages } from '../../../src/checkout/languages/look.ts';
import type { Finding } from '../../../src/checkout/verdict.ts';
import type { PresentedPayment } from '../../../src/present/payments.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { type ApiServer, openApiServer, type TestMerchant } from '../../support/api-server.ts';
import { testConfig } from '../../support/config.ts';
import { describeDecisions, openTestSqlite } from '../../support/databases.ts';
import { txHash } from '../../support/payments.ts';

const form = { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html' };
const { requote, verdicts, notOne } = lookMessages.en;

async function openPayment(api: ApiServer, shop: TestMerchant) {
  const json = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' };
  const { body } = await api.send<PresentedPayment>('POST', '/api/v1/payments/', { key: shop.key, json });
  const { pathname: path } = new URL(body.checkout_url);
  return {
    path,
    number: body.payment_number,
    page: () => api.send<string>('GET', path, { headers: { accept: 'text/html' } }),
    requote: (headers = {}) =>
      api.send<string>('POST', `${path}/requote`, { raw: '', headers: { ...form, ...headers } }),
    find: (typed: string, headers = {}) =>
      api.send<string>('POST', `${path}/find`, {
        raw: `transaction=${encodeURIComponent(typed)}`,
        headers: { ...form, ...headers },
      }),
    /** As the watcher leaves it when its time is over. */
    expire: () =>
      inTransaction(api.db, async (trx) => {
        await trx
          .updateTable('payments')
          .set({ status: 'expired', ended_at: api.now() })
          .where('payment_number', '=', body.payment_number)
          .execute();
        await trx.updateTable('onchain_payments').set({ released_at: api.now() }).execute();
        await trx.updateTable('addresses').set({ locked_by: null, released_at: api.now() }).execute();
      }),
  };
}

describeDecisions('a form for a fresh quote', (openTestDb) => {
  test('stands on the page of an expired payment alone, and leads to the new one however often it is sent', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1);
    const payment = await openPayment(api, shop);
    expect((await payment.page()).text).not.toContain(requote.button);
    expect((await payment.requote()).status).toBe(409);
    await payment.expire();
    expect((await payment.page()).text).toContain(requote.button);
    const answers = await Promise.all([payment.requote(), payment.requote()]);
    answers.push(await payment.requote());
    const [first] = answers.map(({ headers }) => headers.get('location'));
    expect(answers.map(({ status, headers }) => [status, headers.get('location')])).toEqual(
      Array(3).fill([303, first]),
    );
    type Page = { data: PresentedPayment[] };
    const { data } = (await api.send<Page>('GET', '/api/v1/payments/', { key: shop.key })).body;
    expect(data.map(({ status, replaces }) => [status, replaces])).toEqual([
      ['pending', payment.number],
      ['expired', null],
    ]);
    expect((await payment.requote({ 'sec-fetch-site': 'cross-site' })).status).toBe(403);
  });
});

test('a form for a fresh quote that is none is refused in the payer’s language, as where there is no price now; nothing is made', async () => {
  const db = await openTestSqlite();
  onTestFinished(() => db.destroy());
  const api = await openApiServer(db);
  const shop = await api.addMerchant();
  await api.addAddresses(shop, 'bsc', 1);
  const payment = await openPayment(api, shop);
  await payment.expire();
  const french = { ...form, 'accept-language': 'fr' };
  const post = async (raw: string, headers = {}) => {
    const answer = await api.send<string>('POST', `${payment.path}/requote`, {
      raw,
      headers: { ...french, ...headers },
    });
    expect(answer.headers.get('content-type')).toContain('text/html');
    return [answer.status, /<h1>(.*?)<\/h1>/.exec(answer.text)?.[1]];
  };
  const { badRequest, unavailable } = messagesIn('fr');
  expect(await post('a=1&a=2')).toEqual([400, badRequest.title]);
  expect(await post(`a=${'x'.repeat(1024 * 1024)}`)).toEqual([413, badRequest.title]);
  expect(await post('{}', { 'content-type': 'application/json' })).toEqual([415, badRequest.title]);
  expect(await post('', { origin: 'https://evil.example' })).toEqual([403, badRequest.title]);
  api.setRates({});
  expect(await post('')).toEqual([503, unavailable.title]);
  await api.setChain('bsc', { stoppedReason: 'a test' });
  expect(await post('')).toEqual([503, unavailable.title]);
  const { body } = await api.send<{ data: unknown[] }>('GET', '/api/v1/payments/', { key: shop.key });
  expect(body.data).toHaveLength(1);
});

describe('a form for what is paid and not shown', () => {
  async function open(finding: Finding = { kind: 'unknown' }) {
    const db = await openTestSqlite();
    onTestFinished(() => db.destroy());
    const asked: string[] = [];
    const lookUp = async (network: string) => {
      asked.push(network);
      return finding;
    };
    const api = await openApiServer(db, {}, { lookUp });
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 2);
    return { api, asked, payment: await openPayment(api, shop) };
  }

  test('answers with the verdict of every chain of the family, and when to look again', async () => {
    const { api, asked, payment } = await open();
    expect((await payment.page()).text).toContain(lookMessages.en.title);
    const link = `https://bscscan.com/tx/${txHash(7)}`;
    const answer = await payment.find(link);
    expect(answer.status).toBe(200);
    expect(answer.text).toContain(verdicts.not_found);
    expect(answer.text).toContain(lookMessages.en.again(20));
    expect(answer.text).toContain(payment.path);
    expect(asked.sort()).toEqual(
      Object.values(api.config.chains)
        .filter(({ family }) => family === 'evm')
        .map(({ network }) => network)
        .sort(),
    );
    const soon = await payment.find(link);
    expect([soon.status, asked.length]).toEqual([429, 2]);
    expect(soon.text).toContain(lookMessages.en.tooSoon(20));
  });

  test('leads back to the payment when its answer is loaded again or wanted in another language', async () => {
    const { api, payment } = await open();
    for (const path of ['find', 'requote', 'sandbox']) {
      const answer = await api.send('GET', `${payment.path}/${path}?lang=fr`, { headers: form });
      expect([answer.status, answer.headers.get('location')]).toEqual([303, `${payment.path}?lang=fr`]);
    }
  });

  test('answers in a frame too, of an origin that may embed the page', async () => {
    const db = await openTestSqlite();
    onTestFinished(() => db.destroy());
    const checkout = { ...testConfig().checkout, embedOrigins: ['https://shop.example'] };
    const api = await openApiServer(db, { checkout }, { lookUp: async () => ({ kind: 'unknown' }) });
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1);
    const payment = await openPayment(api, shop);
    for (const answer of [
      await payment.find(txHash(1)),
      await payment.find(''),
      await payment.find(txHash(1), { origin: 'https://evil.example' }),
      await payment.requote(),
      await api.send('GET', '/pay/none', { headers: form }),
    ]) {
      expect(answer.headers.get('content-security-policy')).toContain(
        'frame-ancestors https://shop.example;',
      );
      expect(answer.headers.has('x-frame-options')).toBe(false);
    }
  });

  test('looks for nothing that is no hash, and logs nothing that was typed', async () => {
    const { api, asked, payment } = await open();
    for (const typed of [
      '',
      'my money!!',
      '0x55d398326f99059fF775485246999027B3197955',
      `${txHash(1)} ${txHash(2)}`,
      '<script>',
    ]) {
      const answer = await payment.find(typed);
      expect(answer.status).toBe(400);
      expect(answer.text).toContain(notOne);
      expect(answer.text).not.toContain('<script>');
    }
    expect((await payment.find('x'.repeat(1024 * 1024))).status).toBe(413);
    expect((await payment.find(txHash(1), { origin: 'https://evil.example' })).status).toBe(403);
    const post = (raw: string, type = form['content-type']) =>
      api.send('POST', `${payment.path}/find`, { raw, headers: { ...form, 'content-type': type } });
    expect((await post(`transaction=${txHash(1)}&transaction=${txHash(2)}`)).status).toBe(400);
    expect((await post(JSON.stringify({ transaction: txHash(1) }), 'application/json')).status).toBe(415);
    expect((await post('x', 'multipart/form-data; boundary=x')).status).toBe(415);
    expect(asked).toEqual([]);
    expect(JSON.stringify(api.logs)).not.toMatch(/my money|0x55d39/);
  });
});
