import { describe, expect, onTestFinished, test } from 'vitest';
import { updateRefund } from '../../src/storage/providers/refunds.ts';
import { openTestSqlite } from '../support/databases.ts';
import { openProviderShop } from '../support/providers/shop.ts';
import { fourpochSubject, gatenocSubject } from '../support/providers/subjects.ts';

type Open = { id: string; status: string; amount: string; payment_number: string };

/** A confirmed payment whose refund was reset on its way: the provider never did it, and tells nothing of it. */
async function openShop(subject: typeof gatenocSubject) {
  const db = await openTestSqlite();
  onTestFinished(() => db.destroy());
  const shop = await openProviderShop(db, subject);
  const { payment, charge } = await shop.begin();
  charge.status = 'captured';
  await shop.deliver(subject.webhook(charge));
  await shop.pass(1);
  const refund = () =>
    shop.api.send<{ status: string; code?: string }>(
      'POST',
      `/api/v1/payments/${payment.payment_number}/refunds/`,
      { key: shop.merchant.key, json: {} },
    );
  const path = `/admin/v1/providers/${shop.config.name}/open-refunds/`;
  const list = async () => (await shop.api.send<{ data: Open[] }>('GET', path, { admin: true })).body.data;
  const settle = (id: string, json: object, at = path) =>
    shop.api.send<Open & { code?: string }>('POST', `${at}${id}/settle/`, { admin: true, json });
  shop.standIn.failNext(
    { kind: 'reset' },
    ({ method, path: asked }) => method === 'POST' && asked.includes('refund'),
  );
  expect((await refund()).body.status).toBe('unknown');
  return { db, shop, payment, charge, refund, list, settle };
}

describe.each([
  ['4poch', fourpochSubject],
  ['gatenoc', gatenocSubject],
] as const)('a refund whose answer was lost and of which nobody tells, %s', (_, subject) => {
  test('stands in the way of another until an operator says that it failed, which is then made once', async () => {
    const { shop, charge, refund, list, settle, payment } = await openShop(subject);
    await shop.pass(600, 3600, 86_400);
    expect(charge.refunds).toHaveLength(0);
    expect(await refund()).toMatchObject({ status: 409, body: { code: 'not_refundable' } });
    const [open, ...more] = await list();
    expect(more).toEqual([]);
    expect(open).toMatchObject({ status: 'unknown', payment_number: payment.payment_number });
    const id = open?.id ?? '';

    const said = { status: 'failed', reason: 'the dashboard has none' };
    expect(await settle(id, said)).toMatchObject({ status: 200, body: { id, status: 'failed' } });
    expect(await settle(id, said)).toMatchObject({ status: 409, body: { code: 'not_settleable' } });
    expect(await list()).toEqual([]);
    expect(await refund()).toMatchObject({ status: 201, body: { status: 'succeeded' } });
    await shop.pass(600, 3600);
    expect(charge.refunds.reduce((total, { amount }) => total + amount, 0)).toBe(charge.amount);
    const { body } = await shop.api.send<{ data: { action: string; actor: string; detail: object }[] }>(
      'GET',
      '/admin/v1/audit/',
      { admin: true },
    );
    expect(body.data).toContainEqual(
      expect.objectContaining({
        action: 'payment.refund_settled',
        actor: 'admin',
        detail: expect.objectContaining({ refund: id, status: 'failed', reason: said.reason }),
      }),
    );
  });

  test('said to have succeeded is never made again', async () => {
    const { shop, charge, refund, list, settle } = await openShop(subject);
    const [open] = await list();
    const said = { status: 'succeeded', provider_refund_id: 'by-hand-1', reason: 'seen in the dashboard' };
    expect(await settle(open?.id ?? '', said)).toMatchObject({ status: 200, body: { status: 'succeeded' } });
    await shop.pass(600, 3600);
    expect(await refund()).toMatchObject({ status: 409, body: { code: 'not_refundable' } });
    expect(charge.refunds).toHaveLength(0);
  });
});

describe('what an operator says of a refund', () => {
  test('is not taken while its answer may still come, of another provider, of none, or without a reason', async () => {
    const { db, shop, list, settle } = await openShop(gatenocSubject);
    const [open] = await list();
    const id = open?.id ?? '';
    const said = { status: 'failed', reason: 'seen' };
    expect((await settle(id, said, '/admin/v1/providers/other/open-refunds/')).status).toBe(404);
    expect((await settle(`re_${'0'.repeat(24)}`, said)).status).toBe(404);
    expect((await settle('re_1', said)).status).toBe(400);
    expect((await settle(id, { status: 'failed' })).status).toBe(400);
    expect((await settle(id, { status: 'unknown', reason: 'x' })).status).toBe(400);

    const stored = await db.selectFrom('refunds').selectAll().executeTakeFirstOrThrow();
    await db.updateTable('refunds').set({ status: 'sending', updated_at: stored.updated_at }).execute();
    expect(await settle(id, said)).toMatchObject({ status: 409, body: { code: 'not_settleable' } });
    shop.api.advance(121);
    expect((await settle(id, said)).status).toBe(200);
    expect(stored.status).toBe('unknown');
  });

  test('is not taken back by a loop that finds out nothing, but by the provider’s late answer', async () => {
    const { db, list, settle } = await openShop(gatenocSubject);
    const [open] = await list();
    const id = open?.id ?? '';
    await settle(id, { status: 'failed', reason: 'seen' });
    const status = async () =>
      (await db.selectFrom('refunds').select('status').executeTakeFirstOrThrow()).status;
    await db
      .transaction()
      .execute((trx) => updateRefund(trx, id, { status: 'unknown', providerRefundId: null, at: 1 }));
    expect(await status()).toBe('failed');
    await db
      .transaction()
      .execute((trx) => updateRefund(trx, id, { status: 'succeeded', providerRefundId: '7', at: 2 }));
    expect(await status()).toBe('succeeded');
  });
});
