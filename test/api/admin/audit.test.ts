import { HDKey } from '@scure/bip32';
import { expect, test } from 'vitest';
import { keyOfHex } from '../../../src/core/address.ts';
import type { BlockHash, TxHash } from '../../../src/core/chain.ts';
import { knownChains } from '../../../src/core/chains/known.ts';
import type { Deposit } from '../../../src/core/payment.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { insertDeposit } from '../../../src/storage/deposits/deposits.ts';
import { recordAudit } from '../../../src/storage/operators/audit.ts';
import { findPaymentId } from '../../../src/storage/payments/numbers.ts';
import { evmAddress, evmKey } from '../../support/addresses.ts';
import { type ApiServer, openApiServer } from '../../support/api-server.ts';
import { describeDecisions } from '../../support/databases.ts';
import { fourpaySubject } from '../../support/providers/fourpay.ts';
import { openProviderShop } from '../../support/providers/shop.ts';
import { forhoppSubject, fourpochSubject } from '../../support/providers/subjects.ts';

type Entry = { id: number; actor: string; action: string; subject: string; detail: Record<string, unknown> };
type Page = { data: Entry[]; next_cursor: string | null };
type Document = { paths: Record<string, Record<string, unknown>> };

async function audit(api: ApiServer, query = ''): Promise<Page> {
  return (await api.send<Page>('GET', `/admin/v1/audit/${query}`, { admin: true })).body;
}

async function addDeposit(
  api: ApiServer,
  merchantId: string,
  changes: Partial<Deposit> = {},
): Promise<number> {
  const deposit = await inTransaction(api.db, (trx) =>
    insertDeposit(trx, {
      network: 'bsc',
      txHash: `0x${'1'.repeat(64)}` as TxHash,
      token: evmKey(99),
      currency: 'usdt',
      decimals: 18,
      recipient: evmKey(1),
      ordinal: 0,
      amount: 20n * 10n ** 18n,
      height: 990,
      blockHash: `0x${'b'.repeat(64)}` as BlockHash,
      blockTime: 1_779_622_600,
      logIndex: 3,
      status: 'confirmed',
      role: 'unmatched',
      unmatchedReason: 'wrong_token',
      merchantId,
      addressId: 1,
      paymentId: null,
      seenAt: 1_779_622_601_000,
      reportedBy: null,
      ...changes,
    }),
  );
  return deposit.id;
}

/** Does `operation` (`POST /merchants/{merchant_id}/…`) on the path that the ids make of it, and looks for its entry. */
function operator(api: ApiServer, done = new Set<string>()) {
  async function act<T>(operation: string, ids: string[], json?: object): Promise<T> {
    const [method = '', template = ''] = operation.split(' ');
    let next = 0;
    const path = template.replace(/\{\w+\}/g, () => ids[next++] ?? '');
    const before = (await audit(api)).data[0]?.id ?? 0;
    const answer = await api.send<T>(method, `/admin/v1${path}`, {
      admin: true,
      ...(json === undefined ? {} : { json }),
    });
    expect([operation, answer.status < 300, answer.text]).toEqual([operation, true, answer.text]);
    const entries = (await audit(api)).data.filter((entry) => entry.id > before);
    expect([operation, entries.length > 0]).toEqual([operation, true]);
    expect(entries.every((entry) => entry.actor === 'admin')).toBe(true);
    done.add(operation);
    return answer.body;
  }
  return { act, done };
}

async function changingOperations(api: ApiServer): Promise<string[]> {
  const { body } = await api.send<Document>('GET', '/admin/v1/schema/', { admin: true });
  return Object.entries(body.paths)
    .flatMap(([path, operations]) =>
      Object.keys(operations)
        .filter((method) => ['post', 'put', 'patch', 'delete'].includes(method))
        .map((method) => `${method.toUpperCase()} ${path.replace('/admin/v1', '')}`),
    )
    .toSorted();
}

describeDecisions('the audit log', (openTestDb) => {
  test('has an entry for every operation of the operator’s API that changes something', async () => {
    const api = await openApiServer(await openTestDb());
    const { act, done } = operator(api);

    const shop = await act<{ id: string; api_key: string }>('POST /merchants/', [], { name: 'Shop' });
    const merchant = '/merchants/{merchant_id}';
    await act(`PATCH ${merchant}/`, [shop.id], { display_name: 'Blue Fox Books' });
    const key = await act<{ id: string }>(`POST ${merchant}/api-keys/`, [shop.id]);
    await act(`DELETE ${merchant}/api-keys/{key_id}/`, [shop.id, key.id]);
    const addresses = { network: 'bsc', addresses: [evmAddress(1), evmAddress(2)] };
    await act(`POST ${merchant}/addresses/`, [shop.id], addresses);
    await act(`POST ${merchant}/addresses/{address_id}/retire/`, [shop.id, '1']);
    await act(`POST ${merchant}/addresses/{address_id}/restore/`, [shop.id, '1']);

    const xpub = HDKey.fromMasterSeed(Buffer.alloc(32, 3)).derive("m/44'/60'/0'").publicExtendedKey;
    const pool = { network: 'bsc', xpub };
    const derived = await act<{ id: number }>(`POST ${merchant}/derived-pools/`, [shop.id], pool);
    const poolIds = [shop.id, String(derived.id)];
    await act(`PATCH ${merchant}/derived-pools/{pool_id}/`, poolIds, { limit: 5 });
    await act(`DELETE ${merchant}/derived-pools/{pool_id}/`, poolIds);

    const hook = { url: 'https://shop.example/hooks' };
    const endpoint = await act<{ id: string }>(`POST ${merchant}/webhooks/`, [shop.id], hook);
    const ids = [shop.id, endpoint.id];
    await act(`POST ${merchant}/webhooks/{endpoint_id}/rotate/`, ids);
    await act(`POST ${merchant}/webhooks/{endpoint_id}/rotate/finish/`, ids);
    const sent = await act<{ id: number }>(`POST ${merchant}/webhooks/{endpoint_id}/test/`, ids);
    await act('POST /deliveries/{delivery_id}/replay/', [String(sent.id)]);
    await act('POST /deliveries/replay/', [], { endpoint_id: endpoint.id, since: '2026-01-01T00:00:00Z' });
    await act(`PATCH ${merchant}/webhooks/{endpoint_id}/`, ids, { description: 'orders' });
    await act(`DELETE ${merchant}/webhooks/{endpoint_id}/`, ids);

    const order = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' };
    const made = await api.send<{ payment_number: string }>('POST', '/api/v1/payments/', {
      key: shop.api_key,
      json: order,
    });
    const { payment_number } = made.body;
    const reason = 'the customer is known';
    const deposit = await addDeposit(api, shop.id);
    await act('POST /deposits/{deposit_id}/ignore/', [String(deposit)], { reason });
    await act('POST /deposits/{deposit_id}/unignore/', [String(deposit)], { reason });
    await act('POST /deposits/{deposit_id}/attach/', [String(deposit)], { payment_number, reason });
    const second = await api.send<{ payment_number: string }>('POST', '/api/v1/payments/', {
      key: shop.api_key,
      json: order,
    });
    await addDeposit(api, shop.id, {
      txHash: `0x${'2'.repeat(64)}` as TxHash,
      token: keyOfHex(knownChains.bsc.tokens.usdt?.address ?? ''),
      role: 'counted',
      unmatchedReason: null,
      paymentId: await findPaymentId(api.db, second.body.payment_number),
    });
    await act('POST /payments/{payment_number}/accept/', [second.body.payment_number], { reason });
    const third = await api.send<{ payment_number: string }>('POST', '/api/v1/payments/', {
      key: shop.api_key,
      json: order,
    });
    await act('POST /payments/{payment_number}/cancel/', [third.body.payment_number], { reason });
    const sentBack = { amount: '5', to: evmAddress(4_000), tx_hash: 'e'.repeat(64), reason };
    const refunds = 'POST /payments/{payment_number}/refunds/';
    const refund = await act<{ id: number }>(refunds, [payment_number], sentBack);
    const refundIds = [payment_number, String(refund.id)];
    await act('DELETE /payments/{payment_number}/refunds/{refund_id}/', refundIds);
    const other = await act<{ id: string }>('POST /merchants/', [], { name: 'Added twice' });
    await act(`DELETE ${merchant}/`, [other.id]);

    const chain = 'POST /chains/{network}/rescans/';
    const rescan = await act<{ id: number }>(chain, ['bsc'], { from: 900, to: 1000 });
    await act(`${chain}{rescan_id}/cancel/`, ['bsc', String(rescan.id)]);

    const user = await act<{ user: { id: string } }>('POST /users/', [], { name: 'ada', role: 'viewer' });
    await act('POST /users/{user_id}/reset-password/', [user.user.id]);
    await act('DELETE /users/{user_id}/', [user.user.id]);

    // What users do with their own account is in test/api/admin/users.test.ts.
    const elsewhere = (operation: string) => / \/(session|sessions|setup)\/|\/providers\//.test(operation);
    expect([...done].toSorted()).toEqual((await changingOperations(api)).filter((one) => !elsewhere(one)));
  });

  test('has an entry for every operation that changes something at a fiat provider', async () => {
    const db = await openTestDb();
    const done = new Set<string>();
    const forhopp = await openProviderShop(db, forhoppSubject);
    const atForhopp = operator(forhopp.api, done);
    const provider = '/providers/{name}';
    await atForhopp.act(`POST ${provider}/webhook-endpoints/`, ['forhopp'], {});
    await atForhopp.act(`POST ${provider}/keys/`, ['forhopp'], { name: 'Shop', environment: 'test' });
    await atForhopp.act(`DELETE ${provider}/keys/{key_id}/`, ['forhopp', 'key_2']);
    const fourpoch = await openProviderShop(db, fourpochSubject);
    await operator(fourpoch.api, done).act(`POST ${provider}/test-webhook/`, ['fourpoch']);
    const { payment, charge } = await fourpoch.begin();
    charge.status = 'captured';
    await fourpoch.pass(15);
    fourpoch.standIn.failNext({ kind: 'reset' }, ({ path }) => path.includes('refund'));
    const { api, merchant } = fourpoch;
    const refunds = `/api/v1/payments/${payment.payment_number}/refunds/`;
    const { body } = await api.send<{ id: string }>('POST', refunds, { key: merchant.key, json: {} });
    await operator(api, done).act(
      `POST ${provider}/open-refunds/{refund_id}/settle/`,
      ['fourpoch', body.id],
      { status: 'failed', reason: 'the dashboard has none' },
    );
    const fourpay = await openProviderShop(db, fourpaySubject);
    const atFourpay = operator(fourpay.api, done);
    await atFourpay.act(`PUT ${provider}/webhook-config/`, ['fourpay']);
    await atFourpay.act(`DELETE ${provider}/webhook-config/`, ['fourpay']);
    const changing = await changingOperations(fourpay.api);
    expect([...done].toSorted()).toEqual(changing.filter((operation) => operation.includes('/providers/')));
  });

  test('is read newest first, page by page, or about one subject alone', async () => {
    const api = await openApiServer(await openTestDb());
    for (let n = 1; n <= 5; n++) {
      await inTransaction(api.db, (trx) =>
        recordAudit(trx, {
          at: api.now(),
          actor: 'cli',
          action: 'key.added',
          subject: `m${n % 2}`,
          detail: { n },
        }),
      );
    }
    const first = await audit(api, '?limit=3');
    const second = await audit(api, `?limit=3&cursor=${first.next_cursor}`);
    expect([...first.data, ...second.data].map((entry) => entry.detail.n)).toEqual([5, 4, 3, 2, 1]);
    expect(second.next_cursor).toBeNull();
    expect((await audit(api, '?subject=m1')).data.map((entry) => entry.detail.n)).toEqual([5, 3, 1]);
  });

  test('cannot be rewritten: the database refuses to change or remove an entry', async () => {
    const db = await openTestDb();
    await inTransaction(db, (trx) =>
      recordAudit(trx, { at: 0, actor: 'cli', action: 'key.added', subject: 'mer_1', detail: {} }),
    );
    await expect(db.updateTable('audit_log').set({ actor: 'nobody' }).execute()).rejects.toThrow(
      'append only',
    );
    await expect(db.deleteFrom('audit_log').execute()).rejects.toThrow('append only');
    expect(await db.selectFrom('audit_log').select('actor').execute()).toEqual([{ actor: 'cli' }]);
  });
});
