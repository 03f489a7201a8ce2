import { expect, test } from 'vitest';
import type { Deposit } from '../../../src/core/payment.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { insertDeposit } from '../../../src/storage/deposits/deposits.ts';
import { findPaymentId } from '../../../src/storage/payments/numbers.ts';
import { listRefundRecords, noteRefundCheck } from '../../../src/storage/payments/refund-records.ts';
import { evmAddress } from '../../support/addresses.ts';
import { type ApiServer, openApiServer, type TestMerchant } from '../../support/api-server.ts';
import { describeDatabases } from '../../support/databases.ts';
import { testDeposit, txHash, usdt } from '../../support/payments.ts';
import { addPerson } from '../../support/people.ts';

type Row = Record<string, string | number | null>;

const today = '2026-05-24';
const span = `since=2026-05-01T00:00:00Z&until=2026-06-01T00:00:00Z`;
const reason = 'for this test';

async function create(api: ApiServer, shop: TestMerchant): Promise<string> {
  const json = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' };
  const made = await api.send<{ payment_number: string }>('POST', '/api/v1/payments/', {
    key: shop.key,
    json,
  });
  return made.body.payment_number;
}

async function receive(
  api: ApiServer,
  shop: TestMerchant,
  number: string | null,
  coins: number,
  more: Partial<Deposit> = {},
): Promise<void> {
  const paymentId = number === null ? null : await findPaymentId(api.db, number);
  const { n } = await api.db
    .selectFrom('deposits')
    .select(({ fn }) => fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow();
  const deposit = testDeposit({ amount: usdt(coins), status: 'confirmed', txHash: txHash(1 + Number(n)) });
  await inTransaction(api.db, (trx) =>
    insertDeposit(trx, {
      ...deposit,
      merchantId: shop.id,
      addressId: 1,
      paymentId,
      seenAt: api.now(),
      ...more,
    }),
  );
}

/** Two shops: one with a payment that was overpaid and partly refunded, late, short and unmatched money; one paid by card. */
async function openShops(api: ApiServer) {
  const [shop, other] = [await api.addMerchant(), await api.addMerchant('Other')];
  await api.addAddresses(shop, 'bsc', 5);
  const [paid, short, late] = [await create(api, shop), await create(api, shop), await create(api, shop)];
  await receive(api, shop, paid, 60);
  await receive(api, shop, short, 20);
  await receive(api, shop, late, 50, { role: 'late' });
  await receive(api, shop, null, 7, { role: 'unmatched', unmatchedReason: 'no_payment' });
  await receive(api, shop, null, 9, { role: 'unmatched', unmatchedReason: 'no_payment', status: 'orphaned' });
  api.advance(60);
  const path = `/admin/v1/payments/${paid}/`;
  await api.send('POST', `${path}accept/`, { admin: true, json: { reason } });
  for (const [number, status, why] of [
    [short, 'failed', 'underpaid'],
    [late, 'expired', 'late'],
  ]) {
    const ended = { status: status ?? '', reason: why ?? '', ended_at: api.now() };
    await api.db
      .updateTable('payments')
      .set(ended)
      .where('payment_number', '=', number ?? '')
      .execute();
  }
  for (const [amount, n] of [
    ['10', 70],
    ['2', 71],
  ] as const) {
    const json = { amount, to: evmAddress(4_000), tx_hash: txHash(n), reason };
    await api.send('POST', `${path}refunds/`, { admin: true, json });
  }
  const [refund] = await listRefundRecords(api.db, (await findPaymentId(api.db, paid)) ?? 0, 1);
  if (refund === undefined) throw new Error('no refund');
  await inTransaction(api.db, (trx) =>
    noteRefundCheck(trx, refund, {
      status: 'verified',
      detail: '',
      checkedAt: api.now(),
      nextCheckAt: null,
      block: { height: 1, time: api.now() },
    }),
  );
  await payByCard(api, other);
  return { shop, other, paid };
}

async function payByCard({ db, now }: ApiServer, shop: TestMerchant): Promise<void> {
  await db.insertInto('providers').values({ name: 'cards', inbound_path: 'sealed', rejected: 0 }).execute();
  const { id } = await db
    .insertInto('payments')
    .values({
      payment_number: 'PAY-2026-CARD01',
      merchant_id: shop.id,
      kind: 'provider',
      status: 'confirmed',
      network: 'cards',
      chain: 'Cards',
      currency: 'usd',
      decimals: 2,
      expected_amount: '8000',
      price_amount: 8000,
      price_currency: 'USD',
      amount_usd_cents: 8000,
      external_order_id: '',
      customer_email: '',
      redirect_url: '',
      metadata: '{}',
      payment_token: 'card',
      token_hash: 'card',
      created_at: now(),
      expires_at: now(),
      confirmed_at: now(),
      ended_at: now(),
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  await db
    .insertInto('provider_payments')
    .values({
      payment_id: id,
      provider: 'cards',
      type: 'fourpoch',
      mode: 'live',
      reference: 'ref',
      charge_status: 'captured',
      status_text: 'captured',
      checkout_url: '',
      fee: '262',
      net: '7738',
      refunded: '1000',
      disputed: 0,
      capture: 'none',
      fetches: 0,
    })
    .execute();
}

const none = {
  fees: '0.000000',
  late: '0.000000',
  over: '0.000000',
  under: '0.000000',
  unmatched: '0.000000',
};
const coins = {
  network: 'bsc',
  currency: 'usdt',
  count: 1,
  usd_cents: 5000,
  average_usd_cents: 5000,
  ...none,
  refunds: 1,
  refunded: '10.000000',
  late: '50.000000',
  over: '10.000000',
  under: '30.000000',
  unmatched: '7.000000',
};
const cards = {
  network: 'cards',
  currency: 'usd',
  count: 1,
  usd_cents: 8000,
  average_usd_cents: 8000,
  fees: '2.62',
  refunds: 1,
  refunded: '10.00',
  late: '0.00',
  over: '0.00',
  under: '0.00',
  unmatched: '0.00',
};

describeDatabases('a report', (openTestDb) => {
  test('sums what came, fees, verified refunds, and late, surplus, missing and unmatched money, by merchant and period', async () => {
    const api = await openApiServer(await openTestDb());
    const { shop, other } = await openShops(api);
    const report = async (more = '') =>
      (await api.send<{ data: Row[] }>('GET', `/admin/v1/reports/sums/?${span}${more}`, { admin: true })).body
        .data;
    const all = { merchant_id: null };
    expect(await report()).toEqual([
      { from: today, ...all, ...coins },
      { from: today, ...all, ...cards },
    ]);
    expect((await report('&by=week')).map(({ from }) => from)).toEqual(['2026-05-18', '2026-05-18']);
    expect((await report('&by=month')).map(({ from }) => from)).toEqual(['2026-05-01', '2026-05-01']);
    expect(await report(`&merchant_id=${other.id}`)).toEqual([{ from: today, ...all, ...cards }]);
    const own = (await report('&per_merchant=true')).map(({ merchant_id, network }) => [
      merchant_id,
      network,
    ]);
    expect(own.toSorted()).toEqual(
      [
        [other.id, 'cards'],
        [shop.id, 'bsc'],
      ].toSorted(),
    );
    const shopkeeper = await addPerson(api, { name: 'kim', role: 'merchant', merchant_id: shop.id });
    const seen = await shopkeeper.send<{ data: Row[] }>('GET', `/admin/v1/reports/sums/?${span}`);
    expect(seen.body.data).toEqual([{ from: today, ...all, ...coins }]);
    const unusual = await api.send<{ data: Row[] }>('GET', '/admin/v1/payments/?reason=underpaid', {
      admin: true,
    });
    expect(unusual.body.data.map((one) => one.reason)).toEqual(['underpaid']);
    const before = `since=2026-04-01T00:00:00Z&until=2026-05-24T00:00:00Z`;
    expect((await shopkeeper.send('GET', `/admin/v1/reports/sums/?${before}`)).body).toEqual({ data: [] });
    const long = `since=2020-04-01T00:00:00Z&until=2026-05-24T00:00:00Z`;
    expect((await shopkeeper.send('GET', `/admin/v1/reports/sums/?${long}`)).status).toBe(400);
  });

  test('is the same as CSV for a spreadsheet', async () => {
    const api = await openApiServer(await openTestDb());
    await openShops(api);
    const path = `/admin/v1/reports/sums/export/?${span}&separator=semicolon`;
    const { text, headers } = await api.send('GET', path, { admin: true });
    expect(headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(text.startsWith('"from";"merchant_id";"network";"currency";"payments";"received_usd"')).toBe(true);
    const [, first, second] = text.trimEnd().split('\r\n');
    expect(first).toBe(
      '"2026-05-24";"";"bsc";"usdt";"1";"50.00";"50.00";"0.000000";"1";"10.000000";"50.000000";"10.000000";"30.000000";"7.000000"',
    );
    expect(second).toContain('"cards";"usd";"1";"80.00";"80.00";"2.62";"1";"10.00"');
  });
});
