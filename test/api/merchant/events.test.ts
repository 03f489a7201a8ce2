import { expect, test } from 'vitest';
import { inTransaction } from '../../../src/storage/database.ts';
import { appendEvent } from '../../../src/storage/webhooks/events.ts';
import { type ApiServer, openApiServer, type TestMerchant } from '../../support/api-server.ts';
import { describeDecisions } from '../../support/databases.ts';

type Item = { sequence: number; id: string; created_at: string; body: { metadata: { n: number } } };
type Page = { data: Item[]; next_cursor: string | null };

function bodyOf(n: number): object {
  return {
    event: 'payment.confirmed',
    payment_id: null,
    external_order_id: '',
    amount: null,
    currency: 'USDT',
    chain: 'Ethereum',
    tx_hash: '',
    confirmed_at: null,
    status: 'confirmed',
    network: 'ethereum',
    metadata: { n, text: 'ü ✓' },
    created_at: '2026-05-24T11:35:00Z',
    checkout_session: '',
    livemode: true,
  };
}

async function append(api: ApiServer, shop: TestMerchant, n: number): Promise<void> {
  await inTransaction(api.db, (trx) =>
    appendEvent(trx, {
      merchantId: shop.id,
      type: 'payment.confirmed',
      paymentId: null,
      body: JSON.stringify(bodyOf(n)),
      at: api.now(),
    }),
  );
}

describeDecisions('the events feed', (openTestDb) => {
  test('gives a merchant its own events in order, with their bodies as they were frozen', async () => {
    const api = await openApiServer(await openTestDb());
    const [shop, rival] = [await api.addMerchant(), await api.addMerchant('Rival')];
    await append(api, shop, 1);
    await append(api, rival, 2);
    await append(api, shop, 3);
    const { body } = await api.send<Page>('GET', '/api/v1/events/', { key: shop.key });
    expect(body.data).toEqual([
      {
        sequence: expect.any(Number),
        id: expect.stringMatching(/^evt_[0-9a-f]{32}$/),
        created_at: '2026-05-24T11:35:00Z',
        body: bodyOf(1),
      },
      {
        sequence: expect.any(Number),
        id: expect.any(String),
        created_at: expect.any(String),
        body: bodyOf(3),
      },
    ]);
    expect(body.data[1]?.sequence).toBeGreaterThan(body.data[0]?.sequence ?? Number.POSITIVE_INFINITY);
  });

  test('a reader that follows next_cursor sees every event once, also those that come while it reads', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const seen: number[] = [];
    let cursor: string | null = null;
    const read = async () => {
      for (;;) {
        const after: string = cursor === null ? '' : `&after=${cursor}`;
        const { body } = await api.send<Page>('GET', `/api/v1/events/?limit=2${after}`, { key: shop.key });
        if (body.next_cursor === null) return expect(body.data).toEqual([]);
        seen.push(...body.data.map((item) => item.body.metadata.n));
        cursor = body.next_cursor;
      }
    };
    for (let n = 1; n <= 5; n++) await append(api, shop, n);
    await read();
    for (let n = 6; n <= 8; n++) await append(api, shop, n);
    await read();
    await read();
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test('a cursor of another database, of the future or of another merchant is refused, and none is skipped', async () => {
    const api = await openApiServer(await openTestDb());
    const [shop, rival] = [await api.addMerchant(), await api.addMerchant('Rival')];
    await append(api, shop, 1);
    await append(api, shop, 2);
    await append(api, rival, 3);
    const cursorOf = async (key: string) =>
      (await api.send<Page>('GET', '/api/v1/events/', { key })).body.next_cursor ?? '';
    const [own, foreign] = [await cursorOf(shop.key), await cursorOf(rival.key)];
    const ask = (after: string) => api.send('GET', `/api/v1/events/?after=${after}`, { key: shop.key });
    expect(await ask(own)).toMatchObject({ status: 200, body: { data: [], next_cursor: null } });
    // A restore took the last event back, and its sequence is given to another one.
    await inTransaction(api.db, async (trx) => {
      const id = `evt_${'0'.repeat(32)}`;
      await trx.deleteFrom('deliveries').execute();
      await trx
        .updateTable('events')
        .set({ id })
        .where('sequence', '=', Number(own.split('-')[0]))
        .execute();
    });
    for (const cursor of [own, foreign, '999-00000000', '0-00000000']) {
      expect(await ask(cursor), cursor).toMatchObject({
        status: 409,
        body: { code: 'unknown_cursor', error: expect.stringContaining('restored from a backup') },
      });
    }
  });

  test('a cursor that is none, or another field, is a field error', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    for (const [query, field] of [
      ['after=x', 'after'],
      ['after=-1', 'after'],
      ['after=17', 'after'],
      ['after=99999999999999999999', 'after'],
      ['cursor=1', 'cursor'],
    ] as const) {
      const answer = await api.send('GET', `/api/v1/events/?${query}`, { key: shop.key });
      expect(answer, query).toMatchObject({
        status: 400,
        body: { errors: { [field]: [expect.any(String)] } },
      });
    }
  });
});
