import { describe, expect, onTestFinished, test } from 'vitest';
import { openTestSqlite } from '../support/databases.ts';
import { testSecrets } from '../support/providers/accounts.ts';
import { atFourpay, fourpaySubject } from '../support/providers/fourpay.ts';
import { openProviderShop } from '../support/providers/shop.ts';

async function open() {
  const db = await openTestSqlite();
  onTestFinished(() => db.destroy());
  const shop = await openProviderShop(db, fourpaySubject);
  const path = `/admin/v1/providers/${shop.config.name}/webhook-config/`;
  const admin = (method: string, json?: unknown) =>
    shop.api.send<{ configured: boolean; url: string }>(method, path, {
      admin: true,
      ...(json === undefined ? {} : { json }),
    });
  return { shop, admin };
}

const event = fourpaySubject.webhook({} as never);

describe('4pay', () => {
  test('is configured, shown and left alone again by the operator, with the secret each time', async () => {
    const { shop, admin } = await open();
    expect((await admin('GET')).body).toMatchObject({ configured: false });
    expect((await admin('PUT', {})).body).toMatchObject({
      configured: true,
      url: shop.api.bridges[0]?.inboundUrl,
    });
    expect(atFourpay.configured?.secret).toBe(testSecrets.fourpayWebhook);
    expect((await admin('GET')).body).toMatchObject({ configured: true, secret_set: true, active: true });
    expect((await admin('DELETE')).body).toMatchObject({ configured: false });
    expect(atFourpay.configured).toBeNull();
  });

  test('what it sends is passed on word for word, once, and confirms nothing', async () => {
    const { shop } = await open();
    expect((await shop.deliver(event)).status).toBe(200);
    expect((await shop.deliver(event)).status).toBe(200);
    const { body } = await shop.api.send<{ data: { body: unknown }[] }>('GET', '/api/v1/events/', {
      key: shop.merchant.key,
    });
    expect(body.data.map((one) => one.body)).toEqual([
      expect.objectContaining({
        event: 'provider.event',
        payment_id: null,
        provider_event: { name: 'fourpay', type: '4pay', event: 'card_transaction', body: event.body },
      }),
    ]);
  });

  test('what it sends is told to no merchant that was removed', async () => {
    const { shop } = await open();
    const { db } = shop.api;
    const removed = await shop.api.send('DELETE', `/admin/v1/merchants/${shop.merchant.id}/?force=true`, {
      admin: true,
    });
    expect(removed.status).toBe(200);
    expect((await shop.deliver(event)).status).toBe(200);
    expect(await db.selectFrom('events').select('type').execute()).toEqual([]);
  });

  test('what is forged is refused and counted, and what only the undocumented header signs is told to nobody', async () => {
    const { shop } = await open();
    expect((await shop.deliver(fourpaySubject.webhook({} as never, { secret: 'a guess' }))).status).toBe(401);
    expect(
      (await shop.deliver({ headers: { 'api-notification-sign': 'ab'.repeat(64) }, body: event.body }))
        .status,
    ).toBe(200);
    expect(await shop.events()).toEqual([]);
    const { body } = await shop.api.send<{ data: unknown[] }>('GET', '/admin/v1/providers/', { admin: true });
    expect(body.data).toEqual([expect.objectContaining({ rejected_webhooks: 1 })]);
    // The right signature makes up for it.
    expect((await shop.deliver(event)).status).toBe(200);
    expect(await shop.events()).toEqual(['provider.event']);
  });

  test('alarms once when somebody else changes where its webhooks go, and once when it is right again', async () => {
    const { shop, admin } = await open();
    await admin('PUT', {});
    await shop.pass(1);
    const alarms = () =>
      shop.api.logs
        .filter(({ msg }) => String(msg).startsWith('provider webhook configuration'))
        .map(({ msg }) => msg);
    expect(alarms()).toEqual([]);
    if (atFourpay.configured !== null) atFourpay.configured.url = 'https://thief.example/hook';
    await shop.pass(900, 900);
    expect(alarms()).toEqual(['provider webhook configuration differs']);
    const { body } = await shop.api.send<{ data: unknown[] }>('GET', '/admin/v1/providers/', { admin: true });
    expect(body.data).toEqual([expect.objectContaining({ drift: 'its webhooks go to another URL' })]);
    await admin('PUT', {});
    await shop.pass(900);
    expect(alarms().at(-1)).toBe('provider webhook configuration right again');
  });

  test('makes no payments: a creation names it as no network, and a balance is unsupported', async () => {
    const { shop } = await open();
    expect((await shop.create()).status).toBe(400);
    const answer = await shop.api.send('GET', `/api/v1/providers/${shop.config.name}/balance/`, {
      key: shop.merchant.key,
    });
    expect(answer).toMatchObject({ status: 409, body: { code: 'unsupported_by_provider' } });
  });
});
