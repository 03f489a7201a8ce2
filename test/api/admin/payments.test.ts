import { expect, test } from 'vitest';
import type { BlockHash, TxHash } from '../../../src/core/chain.ts';
import type { Deposit } from '../../../src/core/payment.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { insertDeposit } from '../../../src/storage/deposits/deposits.ts';
import { evmAddress, evmKey } from '../../support/addresses.ts';
import { type ApiServer, openApiServer, type TestMerchant } from '../../support/api-server.ts';
import { describeDecisions } from '../../support/databases.ts';

type OnchainPayment = {
  payment_number: string;
  merchant_id: string;
  assigned_address: string;
  status: string;
};

async function create(api: ApiServer, shop: TestMerchant, changes: object = {}): Promise<string> {
  const json = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt', ...changes };
  const made = await api.send<OnchainPayment>('POST', '/api/v1/payments/', { key: shop.key, json });
  expect(made.status).toBe(201);
  return made.body.payment_number;
}

/** A confirmed deposit of 50 USDT to the first address of the first pool, which is nobody's. */
function unmatched(shop: TestMerchant, changes: Partial<Deposit> = {}): Omit<Deposit, 'id'> {
  return {
    network: 'bsc',
    txHash: `0x${'1'.repeat(64)}` as TxHash,
    token: evmKey(99),
    currency: 'usdt',
    decimals: 18,
    recipient: evmKey(1),
    ordinal: 0,
    amount: 50n * 10n ** 18n,
    height: 1001,
    blockHash: `0x${'b'.repeat(64)}` as BlockHash,
    blockTime: 1_779_622_600,
    logIndex: 3,
    status: 'confirmed',
    role: 'unmatched',
    unmatchedReason: 'no_payment',
    merchantId: shop.id,
    addressId: 1,
    paymentId: null,
    seenAt: 1_779_622_601_000,
    reportedBy: null,
    ...changes,
  };
}

describeDecisions("the operator's payments and deposits", (openTestDb) => {
  test('payments of all merchants are listed newest first with whose they are, and without what opens the checkout', async () => {
    const api = await openApiServer(await openTestDb());
    const [shop, rival] = [await api.addMerchant(), await api.addMerchant('Rival')];
    await api.addAddresses(shop, 'bsc', 1);
    await api.addAddresses(rival, 'bsc', 1);
    const [first, second] = [await create(api, shop), await create(api, rival)];
    const list = await api.send<{ data: OnchainPayment[] }>('GET', '/admin/v1/payments/', { admin: true });
    expect(list.body.data.map((payment) => [payment.payment_number, payment.merchant_id])).toEqual([
      [second, rival.id],
      [first, shop.id],
    ]);
    expect(list.text).not.toMatch(/payment_token|checkout_url|\/pay\//);
    const own = await api.send<{ data: OnchainPayment[] }>(
      'GET',
      `/admin/v1/payments/?merchant_id=${shop.id}&limit=5`,
      {
        admin: true,
      },
    );
    expect(own.body.data.map((payment) => payment.payment_number)).toEqual([first]);
    const one = await api.send('GET', `/admin/v1/payments/${second}/`, { admin: true });
    expect(one.body).toMatchObject({ payment_number: second, merchant_id: rival.id });
    expect((await api.send('GET', '/admin/v1/payments/PAY-2026-AAAAAA/', { admin: true })).status).toBe(404);
  });

  test('deposits are listed newest first, filtered by what they are, with address and payment', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1);
    const late = `0x${'2'.repeat(64)}` as TxHash;
    await inTransaction(api.db, async (trx) => {
      await insertDeposit(trx, unmatched(shop));
      await insertDeposit(trx, unmatched(shop, { txHash: late, role: 'late', unmatchedReason: null }));
    });
    const list = await api.send('GET', '/admin/v1/deposits/?status=unmatched', { admin: true });
    expect(list.body).toEqual({
      data: [
        {
          id: expect.any(Number),
          merchant_id: shop.id,
          payment_number: null,
          network: 'bsc',
          currency: 'usdt',
          amount: '50.000000',
          address: evmAddress(1),
          tx_hash: `0x${'1'.repeat(64)}`,
          block_height: 1001,
          block_time: '2026-05-24T11:36:40Z',
          status: 'unmatched',
          reason: 'no_payment',
          expected: null,
          seen_at: '2026-05-24T11:36:41Z',
        },
      ],
      next_cursor: null,
    });
    type Page = { data: { tx_hash: string }[]; next_cursor: string };
    const first = await api.send<Page>('GET', '/admin/v1/deposits/?limit=1', { admin: true });
    const second = await api.send<Page>(
      'GET',
      `/admin/v1/deposits/?limit=1&cursor=${first.body.next_cursor}`,
      {
        admin: true,
      },
    );
    expect([first.body.data[0]?.tx_hash, second.body.data[0]?.tx_hash]).toEqual([
      late,
      `0x${'1'.repeat(64)}`,
    ]);
    expect(second.body.next_cursor).toBeNull();
  });

  test('an unmatched deposit is attached to the payment it was meant for and confirms it; twice changes nothing', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1);
    const number = await create(api, shop);
    const token = api.config.chains.bsc?.assets.find((asset) => asset.currency === 'usdt')?.token ?? '';
    const { id } = await inTransaction(api.db, (trx) =>
      insertDeposit(trx, unmatched(shop, { token: token.slice(2).toLowerCase() as Deposit['token'] })),
    );
    const attach = (json: object) =>
      api.send('POST', `/admin/v1/deposits/${id}/attach/`, { admin: true, json });
    const attached = await attach({ payment_number: number, reason: 'paid before the quote' });
    expect(attached).toMatchObject({ status: 200, body: { id, payment_number: number } });
    const payment = await api.send<OnchainPayment>('GET', `/api/v1/payments/${number}/`, { key: shop.key });
    expect(payment.body.status).toBe('confirmed');
    expect(await attach({ payment_number: number, reason: 'again' })).toMatchObject({ status: 200 });
    const events = await api.send<{ data: { body: { event: string } }[] }>('GET', '/api/v1/events/', {
      key: shop.key,
    });
    const told = events.body.data.map((event) => event.body.event);
    expect(told.filter((event) => event.startsWith('payment.'))).toEqual(['payment.confirmed']);
  });

  test('attaching needs a deposit, a payment and a reason that exist, and says why it cannot be', async () => {
    const api = await openApiServer(await openTestDb());
    const [shop, rival] = [await api.addMerchant(), await api.addMerchant('Rival')];
    await api.addAddresses(shop, 'bsc', 1);
    await api.addAddresses(rival, 'bsc', 1);
    const foreign = await create(api, rival);
    const { id } = await inTransaction(api.db, (trx) => insertDeposit(trx, unmatched(shop)));
    const attach = (depositId: string | number, json: object) =>
      api.send('POST', `/admin/v1/deposits/${depositId}/attach/`, { admin: true, json });
    const good = { payment_number: foreign, reason: 'test' };
    expect(await attach(id, good)).toMatchObject({ status: 409, body: { code: 'not_attachable' } });
    expect((await attach(id + 1, good)).status).toBe(404);
    expect((await attach('x', good)).status).toBe(404);
    for (const [changes, field] of [
      [{ payment_number: 'PAY-2026-AAAAAA' }, 'payment_number'],
      [{ payment_number: 'x' }, 'payment_number'],
      [{ reason: ' ' }, 'reason'],
      [{ reason: undefined }, 'reason'],
    ] as const) {
      const answer = await attach(id, { ...good, ...changes });
      expect(answer).toMatchObject({ status: 400, body: { errors: { [field]: [expect.any(String)] } } });
    }
  });

  test('accepting a payment for which nothing came answers 409 not_acceptable; an unknown one 404', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1);
    const number = await create(api, shop);
    const accept = (paymentNumber: string, json: object) =>
      api.send('POST', `/admin/v1/payments/${paymentNumber}/accept/`, { admin: true, json });
    const answer = await accept(number, { reason: 'goodwill' });
    expect(answer).toMatchObject({ status: 409, body: { code: 'not_acceptable' } });
    expect((await accept('PAY-2026-AAAAAA', { reason: 'goodwill' })).status).toBe(404);
    expect((await accept(number, {})).body).toMatchObject({ errors: { reason: [expect.any(String)] } });
  });

  test('chains say how far they were read, by which nodes, and whether they can be paid on', async () => {
    const api = await openApiServer(await openTestDb());
    await api.setChain('ethereum', { stoppedReason: 'finality violated' });
    const { body } = await api.send<{ data: Record<string, unknown>[] }>('GET', '/admin/v1/chains/', {
      admin: true,
    });
    expect(body.data).toMatchObject([
      {
        network: 'bsc',
        available: true,
        reason: null,
        confirmations: 15,
        cursor: { height: 1000, hash: `0x${'a'.repeat(64)}`, time: '2026-05-24T11:35:00Z' },
        head: 1000,
        finalized: 990,
        read_at: '2026-05-24T11:35:00Z',
        nodes: [{ host: 'node.example', preferred: true, latency_ms: 13 }],
      },
      { network: 'ethereum', available: false, reason: 'the chain is stopped: finality violated', nodes: [] },
    ]);
  });
});
