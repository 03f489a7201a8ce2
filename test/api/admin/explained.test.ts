import fc from 'fast-check';
import { expect, test } from 'vitest';
import { searchPayments } from '../../../src/payments/search.ts';
import { csvCell, csvRow } from '../../../src/present/payments-csv.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { insertDeposit } from '../../../src/storage/deposits/deposits.ts';
import { findPaymentId } from '../../../src/storage/payments/numbers.ts';
import { type ApiServer, openApiServer } from '../../support/api-server.ts';
import { describeDatabases } from '../../support/databases.ts';
import { testDeposit, txHash } from '../../support/payments.ts';

type Payment = { payment_number: string; assigned_address: string; external_order_id: string };

async function shopWithPaid(api: ApiServer) {
  const shop = await api.addMerchant();
  await api.addAddresses(shop, 'bsc', 3);
  const create = async (order: string) => {
    const json = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt', external_order_id: order };
    return (await api.send<Payment>('POST', '/api/v1/payments/', { key: shop.key, json })).body;
  };
  const [paid, open] = [await create('=cmd|1'), await create('00123')];
  const paymentId = await findPaymentId(api.db, paid.payment_number);
  await inTransaction(api.db, (trx) =>
    insertDeposit(trx, {
      ...testDeposit({ amount: 60n * 10n ** 18n, status: 'confirmed' }),
      merchantId: shop.id,
      paymentId,
      seenAt: api.now() + 1000,
    }),
  );
  api.advance(60);
  await api.send('POST', `/admin/v1/payments/${paid.payment_number}/accept/`, {
    admin: true,
    json: { reason: 'known' },
  });
  return { shop, paid, open };
}

describeDatabases('payments explained', (openTestDb) => {
  test('a payment is found by its number, order, address and transaction, and by nobody else’s', async () => {
    const api = await openApiServer(await openTestDb());
    const { paid, open } = await shopWithPaid(api);
    const search = async (q: string) => {
      const path = `/admin/v1/payments/search/?q=${encodeURIComponent(q)}`;
      const { body } = await api.send<{ data: Payment[] }>('GET', path, { admin: true });
      return body.data.map(({ payment_number }) => payment_number);
    };
    expect(await search(paid.payment_number.toLowerCase())).toEqual([paid.payment_number]);
    expect(await search(' 00123 ')).toEqual([open.payment_number]);
    expect(await search(open.assigned_address.toLowerCase())).toEqual([open.payment_number]);
    expect(await search(txHash(1))).toEqual([paid.payment_number]);
    expect(await search(txHash(1).slice(2).toUpperCase())).toEqual([paid.payment_number]);
    expect(await search('nothing')).toEqual([]);
  });

  test('a payment is found by its price, by what was asked for and by what was sent, exactly, and by its merchant alone', async () => {
    const api = await openApiServer(await openTestDb());
    const { shop, paid, open } = await shopWithPaid(api);
    const other = await api.addMerchant();
    await api.addAddresses(other, 'bsc', 1);
    const json = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt', external_order_id: '1,250' };
    const theirs = (await api.send<Payment>('POST', '/api/v1/payments/', { key: other.key, json })).body;
    const read = (q: string) =>
      api.send<{ data: Payment[]; errors?: object }>(
        'GET',
        `/admin/v1/payments/search/?q=${encodeURIComponent(q)}`,
        { admin: true },
      );
    const search = async (q: string) => (await read(q)).body.data.map((one) => one.payment_number);
    const all = [paid, open, theirs].map((one) => one.payment_number).toSorted();
    for (const q of ['50', '50.00', '50,00', '$50', '50 USD', '50 usdt'])
      expect((await search(q)).toSorted()).toEqual(all);
    // What was sent, not asked for.
    expect(await search('60.0')).toEqual([paid.payment_number]);
    for (const q of ['50.01', '50 bnb', '$60', '49.999999', '5000', '0', '9'.repeat(30)])
      expect(await search(q)).toEqual([]);

    // An order is called so, and nothing is left to be guessed.
    expect(await search('1,250')).toEqual([theirs.payment_number]);
    const { status, body } = await read('1,251');
    expect({ status, body }).toEqual({
      status: 400,
      body: { errors: { q: ['may be 1251 or 1.251: write the one that is meant'] } },
    });

    const chains = api.config.chains;
    const own = await searchPayments(api.db, chains, '50', other.id);
    expect(own).toMatchObject({ kind: 'found', views: [{ payment: { merchantId: other.id } }] });
    expect(shop.id).not.toBe(other.id);
  });

  test('a timeline tells the quote, the transfer, what was told and what an operator did, in order', async () => {
    const api = await openApiServer(await openTestDb());
    const { paid } = await shopWithPaid(api);
    const path = `/admin/v1/payments/${paid.payment_number}/timeline/`;
    const { body } = await api.send<{ data: { kind: string; title: string; actor: string | null }[] }>(
      'GET',
      path,
      {
        admin: true,
      },
    );
    const told = body.data.map(({ kind, title }) => `${kind}: ${title}`);
    expect(told[0]).toBe('quote: 50.000000 usdt asked for');
    expect(told).toContain('deposit: 60.000000 usdt confirmed');
    const found = body.data.find(({ kind }) => kind === 'deposit');
    expect(found).toMatchObject({ explorer_url: `https://bscscan.com/tx/${txHash(1)}` });
    expect(told).toContain('event: payment.confirmed');
    expect(body.data.find(({ kind }) => kind === 'action')).toMatchObject({
      title: 'payment.accepted',
      actor: 'admin',
    });
  });

  test('the overview counts what was made and paid in a day, and its bars what was confirmed on each', async () => {
    const api = await openApiServer(await openTestDb());
    await shopWithPaid(api);
    const { body } = await api.send('GET', '/admin/v1/overview/', { admin: true });
    const sum = { network: 'bsc', currency: 'usdt', count: 1, usd_cents: 5000 };
    expect(body).toEqual({
      created: 2,
      paid: 1,
      received_usd_cents: 5000,
      median_seconds_to_paid: 60,
      days: [{ day: '2026-05-24', ...sum }],
    });
    const span = 'since=2026-05-01T00:00:00Z&until=2026-06-01T00:00:00Z';
    const report = await api.send('GET', `/admin/v1/reports/received/?${span}`, { admin: true });
    expect(report.body).toEqual({ data: [{ day: '2026-05-24', ...sum }] });
  });

  test('an export holds every payment once, with rate, late, over and under in columns of their own', async () => {
    const api = await openApiServer(await openTestDb());
    const { paid, open } = await shopWithPaid(api);
    const { text, headers } = await api.send('GET', '/admin/v1/payments/export/?separator=semicolon', {
      admin: true,
    });
    expect(headers.get('content-type')).toBe('text/csv; charset=utf-8');
    const lines = text
      .trimEnd()
      .split('\r\n')
      .map((line) => line.split(';').map((cell) => cell.slice(1, -1)));
    const [titles = [], ...rows] = lines;
    const read = rows.map((cells) => Object.fromEntries(titles.map((title, at) => [title, cells[at]])));
    expect(read.map((row) => row.payment_number).toSorted()).toEqual(
      [paid.payment_number, open.payment_number].toSorted(),
    );
    expect(read.find((row) => row.payment_number === paid.payment_number)).toMatchObject({
      order_id: "'=cmd|1",
      status: 'confirmed',
      amount_usd: '50.00',
      usd_per_coin: '1',
      expected_amount: '50.000000',
      counted_amount: '60.000000',
      over_amount: '10.000000',
      under_amount: '0.000000',
      late_amount: '0.000000',
      transaction: txHash(1),
    });
    expect(read.find((row) => row.payment_number === open.payment_number)).toMatchObject({
      order_id: "'00123",
      under_amount: '50.000000',
    });
  });
});

test('no cell of an export is a formula to a spreadsheet, and what is in it can be read again', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const cell = csvCell(text);
      expect(cell).toMatch(/^"(?![=+@\t\r＝＋－＠])/);
      const inner = cell
        .slice(1, -1)
        .replaceAll('""', '"')
        .replaceAll(/([,;]["\s]*)'(?=[=+\-@＝＋－＠])/g, '$1');
      expect(inner === text || inner === `'${text}`).toBe(true);
    }),
  );
  expect(csvCell('-1.5')).toBe('"-1.5"');
  // Where cells are parted by the other of the two, quotes in the middle of a cell mean nothing.
  for (const text of ['1;=cmd|1;', '1,=cmd|1,', '1; "+cmd|1', '1;＝cmd|1;'])
    for (const cell of csvRow(['7', text], ',').split(/[,;]/))
      expect(cell.replaceAll(/["\s]/g, '')).not.toMatch(/^[=+\-@＝＋－＠]/);
  expect(csvCell("-1+cmd|' /C calc'!A0")).toBe("\"'-1+cmd|' /C calc'!A0\"");
});
