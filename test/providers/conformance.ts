import { describe, expect, onTestFinished, test } from 'vitest';
import type { ChargeStatus } from '../../src/core/charge.ts';
import type { Adapter } from '../../src/providers/provider.ts';
import type { Db } from '../../src/storage/schema.ts';
import { openTestSqlite } from '../support/databases.ts';
import { openProviderShop, type ProviderShop, type Shown } from '../support/providers/shop.ts';
import type { Subject } from '../support/providers/subjects.ts';

/*
 * What every adapter must do, by the names of the list (C1 to C20), over the real server and a stand-in for the provider.
 * What an adapter declares that it cannot do is skipped, and the skip is a test of its own.
 */

async function freshDb(): Promise<Db> {
  const db = await openTestSqlite();
  onTestFinished(() => db.destroy());
  return db;
}

/** The waits of reconciliation, s. */
const untilAnHour = [15, 15, 30, 60, 120, 300, 600, 900, 900, 900];

export function conformance(
  subject: Subject,
  adapter: Adapter,
  more: { adapters?: readonly Adapter[] } = {},
): void {
  const { capabilities } = adapter.open(subject.settings).descriptor;

  async function open(changes: Parameters<typeof openProviderShop>[2] = {}): Promise<ProviderShop> {
    return openProviderShop(await freshDb(), subject, changes, more);
  }

  /** Paid at the provider, and told of by its webhook. */
  async function confirmed(shop: ProviderShop): Promise<Awaited<ReturnType<ProviderShop['begin']>>> {
    const begun = await shop.begin();
    begun.charge.status = 'captured';
    await shop.deliver(subject.webhook(begun.charge));
    await shop.pass(1);
    expect(await shop.view(begun.payment)).toMatchObject({ status: 'confirmed' });
    return begun;
  }

  const refund = (
    shop: ProviderShop,
    payment: Shown,
    json: object = {},
    headers: Record<string, string> = {},
  ) =>
    shop.api.send<{ status: string; amount: string; code?: string }>(
      'POST',
      `/api/v1/payments/${payment.payment_number}/refunds/`,
      { key: shop.merchant.key, json, headers },
    );

  describe(`${subject.type} conforms:`, () => {
    test('C1: a creation answers a payment with where to pay it; another amount, currency or host in the answer is refused', async () => {
      const shop = await open();
      const { payment, charge } = await shop.begin({ external_order_id: 'order-1' });
      expect(payment).toMatchObject({
        status: 'pending',
        expected_crypto_amount: '50.00',
        price: { amount: '50.00', currency: subject.currency },
        tx_hash: capabilities.createTellsId ? charge.id : '',
        provider: { status: 'pending', refunded: '0.00', disputed: false, amount: '50.00' },
      });
      expect(charge.amount).toBe(5000);
      if (!capabilities.createTellsId) return;
      for (const [from, to] of [
        [/"amount":(5000|50\.00)/, '"amount":51'],
        [new RegExp(`"currency":"${subject.currency}"`, 'i'), '"currency":"CAD"'],
      ] as const) {
        shop.standIn.alter((_, body) => body.replace(from, to));
        expect(await shop.create()).toMatchObject({ status: 502, body: { code: 'provider_failed' } });
      }
    });

    test('C2: HTML, an empty 200, a 204 and a no with 200 make no payment', async () => {
      const shop = await open();
      for (const [status, body] of [
        [200, '<html>Sign in</html>'],
        [200, ''],
        [204, ''],
        [200, '{"success":false,"message":"No."}'],
      ] as const) {
        shop.standIn.failNext({ kind: 'answer', status, body });
        expect(await shop.create()).toMatchObject({ status: 502, body: { code: 'provider_failed' } });
      }
      const list = await shop.api.send<{ data: unknown[] }>('GET', '/api/v1/payments/', {
        key: shop.merchant.key,
      });
      expect(list.body.data).toEqual([]);
    });

    test.each([
      [400, 502],
      [401, 502],
      [403, 502],
      [404, 502],
      [409, 502],
      [422, 502],
      [429, 503],
      [500, 502],
      [502, 502],
      [503, 502],
    ])('C3: HTTP %i is answered %i, and never 500', async (status, answered) => {
      const shop = await open();
      shop.standIn.failNext({ kind: 'answer', status, body: '{}', headers: { 'retry-after': '7' } });
      const answer = await shop.create();
      expect(answer.status).toBe(answered);
      expect(answer.body.code).toBe(answered === 503 ? 'provider_unavailable' : 'provider_failed');
      if (status !== 429) return;
      expect(answer.headers.get('retry-after')).toBe('7');
      // Until then nothing is sent.
      const asked = shop.standIn.asked.length;
      expect((await shop.create()).status).toBe(503);
      expect(shop.standIn.asked).toHaveLength(asked);
      shop.api.advance(8);
      expect((await shop.create()).status).toBe(201);
    });

    test('C3: a 429 without a delay is kept to as well', async () => {
      const shop = await open();
      shop.standIn.failNext({ kind: 'answer', status: 429 });
      expect((await shop.create()).status).toBe(503);
      shop.api.advance(11);
      expect((await shop.create()).status).toBe(201);
    });

    test('C4: a connection that is refused is 503 with Retry-After; one that breaks before, after or within the answer is 502', async () => {
      const shop = await open({ baseUrl: 'http://127.0.0.1:9' });
      const refused = await shop.create();
      expect(refused).toMatchObject({ status: 503, body: { code: 'provider_unavailable' } });
      expect(refused.headers.get('retry-after')).not.toBeNull();
      const other = await open();
      for (const kind of ['reset', 'lost', 'half'] as const) {
        other.standIn.failNext({ kind });
        expect(await other.create()).toMatchObject({ status: 502, body: { code: 'provider_failed' } });
      }
    });

    test('C5: the same Idempotency-Key leads to one payment, whatever became of the first answer', async () => {
      const shop = await open();
      const key = { 'idempotency-key': 'order-1' };
      shop.standIn.failNext({ kind: 'lost' });
      expect((await shop.create({}, key)).status).toBe(502);
      const made = await shop.create({}, key);
      expect(made.status).toBe(201);
      const again = await shop.create({}, key);
      expect(again.headers.get('idempotency-replayed')).toBe('true');
      expect(again.body.payment_number).toBe(made.body.payment_number);
      expect((await shop.create({ amount: '51.00' }, key)).status).toBe(422);
      // Where the provider knows no keys, the first is one that nobody has the link of: it can only expire.
      expect(shop.standIn.charges.size).toBe(capabilities.createKeptMs === null ? 2 : 1);
      const list = await shop.api.send<{ data: unknown[] }>('GET', '/api/v1/payments/', {
        key: shop.merchant.key,
      });
      expect(list.body.data).toHaveLength(1);
    });

    test('C6: every documented status is what its word says, and an undocumented one stays pending and is logged', async () => {
      const expected: Partial<Record<ChargeStatus, string>> = {
        pending: 'pending',
        processing: 'pending',
        authorized: 'pending',
        captured: 'confirmed',
        failed: 'failed',
        voided: 'failed',
        expired: 'expired',
        refunded: 'confirmed',
        partially_refunded: 'confirmed',
        disputed: 'confirmed',
      };
      const shop = await open();
      for (const status of Object.keys(subject.words) as ChargeStatus[]) {
        const { payment, charge } = await shop.begin();
        charge.status = status;
        await shop.pass(15);
        expect([status, (await shop.view(payment)).status]).toEqual([status, expected[status]]);
      }
      const { payment, charge } = await shop.begin();
      (charge as { status: string }).status = 'half_done';
      await shop.pass(15);
      expect(await shop.view(payment)).toMatchObject({ status: 'pending', provider: { status: 'unknown' } });
      expect(shop.api.logs).toContainEqual(
        expect.objectContaining({ level: 'warn', msg: 'provider status unknown' }),
      );
    });

    test('C7: a good webhook is heard at once; none that is changed, foreign, missing or malformed in its signature is believed', async () => {
      const shop = await open();
      const { payment, charge } = await shop.begin();
      const good = subject.webhook(charge);
      const [name = '', value = ''] =
        Object.entries(good.headers).find(([header]) => header.includes('signature')) ?? [];
      const bad = [
        { ...good, body: good.body.replace('50', '51') },
        subject.webhook(charge, { secret: 'somebody_elses' }),
        ...(name === ''
          ? [{ headers: {}, body: good.body.replace(/,"signature":"[0-9a-f]+"/, '') }]
          : [
              { headers: {}, body: good.body },
              { headers: { ...good.headers, [name]: '' }, body: good.body },
              { headers: { ...good.headers, [name]: `${value}, ${value}` }, body: good.body },
              { headers: { ...good.headers, [name]: value.slice(0, -1) }, body: good.body },
              { headers: { ...good.headers, [name]: `${value.slice(0, -4)}zzzz` }, body: good.body },
              { ...good, body: ` ${good.body}` },
              { ...good, body: `\ufeff${good.body}` },
            ]),
      ];
      for (const webhook of bad) {
        const { status } = await shop.deliver(webhook);
        // What cannot be told from an unknown way to sign is kept, and asked about once a minute at most.
        expect(capabilities.webhook === 'in-body' ? [200, 401] : [401]).toContain(status);
      }
      charge.status = 'captured';
      await shop.pass(1);
      if (capabilities.webhook !== 'in-body') expect((await shop.view(payment)).status).toBe('pending');
      expect((await shop.deliver(subject.webhook(charge), 'a-guess')).status).toBe(404);
      expect((await shop.deliver(subject.webhook(charge))).status).toBe(200);
      await shop.pass(1);
      expect((await shop.view(payment)).status).toBe('confirmed');
    });

    test('C7: a webhook that is too old is a hint all the same, and upper-case hex is hex', async () => {
      const shop = await open();
      const { payment, charge } = await shop.begin();
      charge.status = 'captured';
      const old = subject.webhook(charge, { at: charge.createdAt - 3_600_000 });
      const upper = {
        ...old,
        headers: Object.fromEntries(
          Object.entries(old.headers).map(([header, value]) => [
            header,
            value.replace(/v1=.*/, (hex) => `v1=${hex.slice(3).toUpperCase()}`),
          ]),
        ),
      };
      expect((await shop.deliver(upper)).status).toBe(200);
      await shop.pass(1);
      expect((await shop.view(payment)).status).toBe('confirmed');
    });

    test('C8: duplicates are answered 200 and heard once; reordered events end where the ledger is', async () => {
      const shop = await open();
      const { payment, charge } = await shop.begin();
      charge.status = 'captured';
      const event = subject.webhook(charge);
      expect((await shop.deliver(event)).status).toBe(200);
      expect((await shop.deliver(event)).status).toBe(200);
      await shop.pass(1);
      expect((await shop.events()).filter((type) => type === 'payment.confirmed')).toHaveLength(1);
      if (subject.words.refunded === undefined) return;
      // The refund is heard of first: the payment is confirmed, then refunded.
      const second = await shop.begin();
      second.charge.status = 'refunded';
      second.charge.refunds.push({ id: 're_1', amount: 5000, key: '' });
      await shop.deliver(subject.webhook(second.charge, { event: 'charge.refunded' }));
      await shop.pass(1);
      await shop.deliver(subject.webhook({ ...second.charge, status: 'captured' }));
      await shop.pass(1);
      expect(await shop.view(second.payment)).toMatchObject({
        status: 'confirmed',
        provider: { refunded: '50.00' },
      });
      expect((await shop.events()).slice(-2)).toEqual(['payment.confirmed', 'provider.refunded']);
      expect(payment.status).toBe('pending');
    });

    test('C8: what is taken after its end confirms late', async () => {
      const shop = await open();
      const { payment, charge } = await shop.begin();
      if (capabilities.statesExpiry) charge.status = 'expired';
      await shop.pass(...untilAnHour, 3600, 3600);
      expect((await shop.view(payment)).status).toBe('expired');
      charge.status = 'captured';
      await shop.deliver(subject.webhook(charge));
      await shop.pass(1);
      expect(await shop.view(payment)).toMatchObject({ status: 'confirmed', reason: 'late' });
    });

    test('C9: an event of an unknown payment, or of another provider, moves nothing', async () => {
      const shop = await open();
      const { payment, charge } = await shop.begin();
      const foreign = {
        ...charge,
        id: charge.id.replace(/.$/, '7'),
        reference: 'dep_of_somebody_else',
        status: 'captured' as const,
      };
      expect((await shop.deliver(subject.webhook(foreign))).status).toBe(200);
      await shop.pass(1);
      expect((await shop.view(payment)).status).toBe('pending');
      const elsewhere = await fetch(`${shop.api.url}/in/other/${shop.api.bridges[0]?.inboundPath}`, {
        method: 'POST',
        body: '{}',
      });
      expect(elsewhere.status).toBe(404);
    });

    test('C10: a charge whose amount or currency differs by the least confirms nothing', async () => {
      for (const change of [{ amount: 4999 }, { amount: 5001 }, { currency: 'CAD' }]) {
        if ('currency' in change && subject.type === 'gatenoc') continue;
        const shop = await open();
        const { payment, charge } = await shop.begin();
        Object.assign(charge, change, { status: 'captured' });
        await shop.deliver(subject.webhook(charge));
        await shop.pass(15);
        expect((await shop.view(payment)).status).toBe('pending');
        expect(shop.api.logs).toContainEqual(expect.objectContaining({ msg: 'provider payment mismatch' }));
      }
    });

    test.runIf(capabilities.statesMode)('C11: a live charge never confirms a test payment', async () => {
      const shop = await open();
      const { payment, charge } = await shop.begin();
      charge.status = 'captured';
      shop.standIn.alter((_, body) => body.replaceAll('"livemode":false', '"livemode":true'));
      await shop.deliver(subject.webhook(charge));
      await shop.pass(15);
      expect((await shop.view(payment)).status).toBe('pending');
    });

    test.runIf(!capabilities.statesMode)(
      'C11: skipped, as declared: the provider does not say the mode of a charge',
      () => {
        expect(capabilities.statesMode).toBe(false);
      },
    );

    test('C12: a refund is of the whole, or of a part where the provider can, and never of more', async () => {
      const shop = await open();
      const { payment, charge } = await confirmed(shop);
      expect(await refund(shop, payment, { amount: '50.01' })).toMatchObject({
        status: 409,
        body: { code: 'not_refundable' },
      });
      const part = await refund(shop, payment, { amount: '20.00', reason: 'one of two' });
      if (capabilities.refund === 'full')
        expect(part).toMatchObject({ status: 409, body: { code: 'not_refundable' } });
      else {
        expect(part).toMatchObject({ status: 201, body: { status: 'succeeded', amount: '20.00' } });
        expect(await refund(shop, payment, { amount: '30.01' })).toMatchObject({ status: 409 });
      }
      const rest = await refund(shop, payment);
      expect(rest).toMatchObject({
        status: 201,
        body: { amount: capabilities.refund === 'full' ? '50.00' : '30.00' },
      });
      expect(await refund(shop, payment)).toMatchObject({ status: 409 });
      expect(charge.refunds.reduce((total, { amount }) => total + amount, 0)).toBe(5000);
      expect((await shop.view(payment)).status).toBe('confirmed');
    });

    test('C12: a refund whose answer was lost is not repeated before it is known what became of it', async () => {
      const shop = await open();
      const { payment, charge } = await confirmed(shop);
      const key = { 'idempotency-key': 'refund-1' };
      shop.standIn.failNext(
        { kind: 'lost' },
        ({ method, path }) => method === 'POST' && path.includes('refund'),
      );
      expect(await refund(shop, payment, {}, key)).toMatchObject({
        status: 201,
        body: { status: 'unknown' },
      });
      expect(await refund(shop, payment, {})).toMatchObject({ status: 409 });
      expect(await refund(shop, payment, {}, key)).toMatchObject({
        status: 201,
        body: { status: 'unknown' },
      });
      await shop.pass(60, 120, 60);
      expect(await refund(shop, payment, {}, key)).toMatchObject({
        status: 201,
        body: { status: 'succeeded' },
      });
      expect(charge.refunds.reduce((total, { amount }) => total + amount, 0)).toBe(5000);
    });

    test('C12: what was not paid cannot be refunded', async () => {
      const shop = await open();
      const { payment } = await shop.begin();
      expect(await refund(shop, payment)).toMatchObject({ status: 409, body: { code: 'not_refundable' } });
    });

    const capture = (shop: ProviderShop, payment: Shown, json?: object) =>
      shop.api.send<Shown & { code?: string }>(
        'POST',
        `/api/v1/payments/${payment.payment_number}/capture/`,
        {
          key: shop.merchant.key,
          json: json ?? {},
        },
      );

    test.runIf(capabilities.capture)(
      'C13: what is authorized is captured once, and nothing else is',
      async () => {
        const shop = await open();
        const { payment, charge } = await shop.begin();
        expect(await capture(shop, payment)).toMatchObject({ status: 409, body: { code: 'not_capturable' } });
        charge.status = 'authorized';
        await shop.pass(15);
        expect(await shop.view(payment)).toMatchObject({
          status: 'pending',
          provider: { status: 'authorized' },
        });
        expect(await shop.events()).toEqual(['provider.authorized']);
        expect(await capture(shop, payment)).toMatchObject({ status: 200, body: { status: 'confirmed' } });
        expect(await capture(shop, payment)).toMatchObject({ status: 409, body: { code: 'not_capturable' } });
        for (const status of ['voided', 'expired'] as const) {
          const other = await shop.begin();
          other.charge.status = status;
          expect(await capture(shop, other.payment)).toMatchObject({
            status: 409,
            body: { code: 'not_capturable' },
          });
        }
      },
    );

    test.runIf(capabilities.capture)(
      'C13: the capture of a part confirms nothing until an operator accepts it',
      async () => {
        const shop = await open();
        const { payment, charge } = await shop.begin();
        charge.status = 'authorized';
        expect(await capture(shop, payment, { amount: '30.00' })).toMatchObject({
          status: 200,
          body: { status: 'failed', reason: 'underpaid' },
        });
        expect(charge.captured).toBe(3000);
        await shop.pass(15);
        expect((await shop.view(payment)).status).toBe('failed');
        const accepted = await shop.api.send('POST', `/admin/v1/payments/${payment.payment_number}/accept/`, {
          admin: true,
          json: { reason: 'sent one of two' },
        });
        expect(accepted).toMatchObject({ status: 200, body: { status: 'confirmed' } });
      },
    );

    test.runIf(!capabilities.capture)(
      'C13: skipped, as declared: a capture answers that the provider has none',
      async () => {
        const shop = await open();
        const { payment } = await shop.begin();
        expect(await capture(shop, payment)).toMatchObject({
          status: 409,
          body: { code: 'unsupported_by_provider' },
        });
      },
    );

    test('C14: a link to a host that is not the provider’s is not given to anybody', async () => {
      const shop = await open();
      for (const link of [
        'https://evil.example/pay',
        'http://HOST/x',
        'https://HOST.evil.example/x',
        'https://a@HOST/x',
        'https://HOST:8443/x',
      ]) {
        shop.standIn.alter((_, body) =>
          body.replace(/https:\/\/([^/"]+)\/[^"]*/, (_whole, host: string) => link.replace('HOST', host)),
        );
        expect(await shop.create()).toMatchObject({ status: 502, body: { code: 'provider_failed' } });
      }
    });

    test('C15: no log line, stored row or answer holds a secret', async () => {
      const shop = await open();
      const { payment, charge } = await confirmed(shop);
      const leaky = `{"message":"bad key ${subject.secrets.join(' ')}","success":false}`;
      shop.standIn.failNext({ kind: 'answer', status: 401, body: leaky });
      const answer = await shop.create();
      const echo = `{"note":"x","payment_id":"y","secrets":"${subject.secrets.join(' ')}"}`;
      await shop.deliver(subject.webhook(charge, { body: echo }));
      await shop.pass(15);
      const tables = [
        'provider_payments',
        'provider_intents',
        'inbound_events',
        'refunds',
        'providers',
        'provider_unmatched',
        'events',
      ] as const;
      const rows = await Promise.all(
        tables.map((table) => shop.api.db.selectFrom(table).selectAll().execute()),
      );
      const admin = await shop.api.send('GET', '/admin/v1/providers/', { admin: true });
      const all = JSON.stringify([shop.api.logs, rows, answer.body, admin.body, await shop.view(payment)]);
      for (const secret of subject.secrets) expect(all).not.toContain(secret);
    });

    test('C16: unknown fields change nothing, and a missing one crashes nothing and confirms nothing', async () => {
      const shop = await open();
      shop.standIn.alter((_, body) => body.replace('{', '{"brand_new":{"a":[1.5]},'));
      const { payment, charge } = await shop.begin();
      charge.status = 'captured';
      for (const field of ['status', 'amount', 'currency']) {
        shop.standIn.alter((_, body) => body.replace(new RegExp(`"${field}":("[^"]*"|[0-9.]+),?`, 'g'), ''));
        await shop.pass(15);
        expect((await shop.view(payment)).status).toBe('pending');
      }
      shop.standIn.alter((_, body) => body.replace('{', '{"brand_new":{"a":[1.5]},'));
      await shop.pass(300);
      expect((await shop.view(payment)).status).toBe('confirmed');
    });

    test('C17: lists are read to their end, and one that claims to have none ends all the same', async () => {
      const shop = await open();
      for (let n = 0; n < 203; n++) {
        const id =
          subject.type === 'gatenoc'
            ? String(1000 + n)
            : `${subject.type === 'forhopp' ? 'ch' : '4poch'}_foreign${n}`;
        shop.standIn.charges.set(id, {
          id,
          reference: `other-${n}`,
          amount: 100,
          currency: subject.currency,
          status: 'captured',
          createdAt: shop.standIn.now(),
          refunds: [],
          captured: null,
          notifyUrl: '',
        });
      }
      await shop.pass(1);
      const report = await shop.api.send<{ data: { unmatched: number }[] }>('GET', '/admin/v1/providers/', {
        admin: true,
      });
      expect(report.body.data[0]?.unmatched).toBe(203);
      expect(shop.api.logs.filter(({ msg }) => msg === 'provider.unmatched')).toHaveLength(203);

      const lying = await open();
      lying.standIn.alter((_, body) =>
        body.replace('"has_more":false', '"has_more":true').replace('"last_page":1', '"last_page":99999'),
      );
      await lying.begin();
      await lying.pass(1);
      expect(lying.standIn.asked.length).toBeLessThan(20);
    });

    test('C18: amounts are in the units of their currency', async () => {
      const shop = await open();
      const { payment } = await shop.begin({ amount: '2.00' });
      expect(payment.expected_crypto_amount).toBe('2.00');
      expect([...shop.standIn.charges.values()].at(-1)?.amount).toBe(200);
      expect((await shop.create({ amount: '0.505' })).status).toBe(400);
      expect((await shop.create({ amount: '5e1' })).status).toBe(400);
      expect((await shop.create({ amount: '-5.00' })).status).toBe(400);
    });

    test('C19: a provider that is down for an hour loses nothing: polling alone ends the payment right', async () => {
      const shop = await open();
      const { payment, charge } = await shop.begin();
      shop.standIn.setDown(true);
      charge.status = 'captured';
      await shop.pass(...untilAnHour);
      expect((await shop.view(payment)).status).toBe('pending');
      shop.standIn.setDown(false);
      await shop.pass(60);
      expect((await shop.view(payment)).status).toBe('confirmed');
      expect(await shop.events()).toEqual(['payment.confirmed']);
    });
  });
}
