import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJsonExactly } from '../../src/core/exact-json.ts';
import type { FiatCode } from '../../src/core/fiat.ts';
import { forhopp } from '../../src/providers/forhopp.ts';
import { fourpoch } from '../../src/providers/fourpoch.ts';
import { gatenoc } from '../../src/providers/gatenoc.ts';
import type { Call, Provider } from '../../src/providers/provider.ts';
import {
  answerOf,
  testIntent,
  testProviders,
  testSecrets,
  testSettings,
} from '../support/providers/accounts.ts';
import { forhoppPage, fourpayPage, fourpochPage, gatenocPage } from '../support/providers/pages.ts';

const htg = 'HTG' as FiatCode;
const usd = 'USD' as FiatCode;
const now = 1_234_567_890_000;

function read<T>(call: Call<T> | undefined, text: string, status = 200): T {
  const result = call?.read(answerOf(text, status));
  if (result?.outcome !== 'done') throw new Error(`not read: ${JSON.stringify(result)}`);
  return result.value;
}

describe("4Poch's page", () => {
  const provider = testProviders['4poch'];

  test('its printed answers are read to the last centime', () => {
    expect(read(provider.create?.(testIntent()), fourpochPage.create)).toEqual({
      id: '4poch_a1b2c3d4e5f6...',
      checkoutUrl: 'https://4poch.com/gateway/pay/4poch_a1b2c3d4e5f6...',
      expiresAt: Date.UTC(2026, 5, 2, 14),
      amount: 15_000n,
      currency: 'HTG',
      mode: null,
    });
    expect(read(provider.fetch?.('4poch_a1b2c3d4e5f6'), fourpochPage.payment)).toEqual({
      id: '4poch_a1b2c3d4e5f6',
      reference: null,
      status: 'captured',
      statusText: 'completed',
      amount: 15_000n,
      currency: 'HTG',
      fee: 875n,
      net: 14_125n,
      refunded: 0n,
      mode: null,
      createdAt: Date.UTC(2026, 5, 2, 12),
    });
    const page = read(provider.list?.(0, null), fourpochPage.transactions);
    expect(page.charges.map(({ id, amount }) => [id, amount])).toEqual([['4poch_...', 15_000n]]);
    expect(page.next).toBe('2');
    expect(read(provider.balance?.(), fourpochPage.balance)).toEqual({
      currency: 'HTG',
      amounts: { balance: '1542.75', total_received: '1542.75' },
    });
    expect(read(provider.methods?.(), fourpochPage.methods)).toEqual([
      { code: '4poch_htg', name: '4Poch HTG', currency: 'HTG' },
      { code: 'moncash', name: 'MonCash', currency: 'HTG' },
    ]);
    const refund = {
      charge: { id: 'x', amount: 1n, currency: htg },
      amount: 1n,
      reason: '',
      idempotencyKey: '',
    };
    expect(read(provider.refund?.(refund), fourpochPage.refund)).toEqual({ id: null, status: 'succeeded' });
    expect(read(provider.testWebhook?.(), fourpochPage.webhookTest)).toEqual({
      message: 'Webhook delivered successfully.',
      http_status: '200',
      response_body: '...',
    });
  });

  test('its printed error is a no, with whatever status', () => {
    for (const status of [200, 400]) {
      const result = provider.create?.(testIntent()).read(answerOf(fourpochPage.error, status));
      expect(result).toEqual({
        outcome: 'declined',
        reason: `HTTP ${status}: Description of what went wrong`,
      });
    }
  });

  test('a creation asks as the printed request does, the amount with its centimes', () => {
    const changes = {
      amount: 15_000n,
      currency: htg,
      description: '',
      returnUrl: 'https://example.com/thank-you',
    };
    const opened = fourpoch.open({ ...testSettings['4poch'], method: '4poch_htg' });
    const request = opened.create?.(testIntent(changes)).request;
    expect(parseJsonExactly(request?.body ?? '')).toEqual(parseJsonExactly(fourpochPage.createRequest));
    expect(request?.body).toContain('"amount":150.00');
  });

  test('its printed webhook is read, and its placeholder of a signature is none', () => {
    const webhook = { headers: {}, body: Buffer.from(fourpochPage.webhook) };
    expect(provider.readWebhook(webhook)).toEqual({
      dedupeKey: '4poch_abc123... payment.completed completed',
      type: 'payment.completed',
      chargeId: '4poch_abc123...',
      reference: null,
      mode: null,
    });
    expect(provider.verifyWebhook(webhook, now).verdict).toBe('invalid');
  });

  /** The printed webhook with what `sign` makes of it in the place of the placeholder. */
  function signed(
    sign: (text: string, payload: Record<string, unknown>) => string,
    body = fourpochPage.webhook,
  ) {
    const { signature, ...payload } = JSON.parse(body) as Record<string, unknown>;
    const hmac = createHmac('sha256', testSecrets.fourpochSecret).update(sign(body, payload)).digest('hex');
    return { headers: {}, body: Buffer.from(body.replace('sha256_hmac_hex', hmac)) };
  }
  const cut = (text: string) => text.replace(/,\s*"signature":\s*"[^"]*"/, '');
  const withSlash = fourpochPage.webhook.replace('user@example.com', 'jos\u00e9/x@example.com');

  test('a signature is found in the raw bytes without it, in what JavaScript writes, and in what PHP writes', () => {
    expect(provider.verifyWebhook(signed(cut), now)).toEqual({ verdict: 'verified', reading: 'raw' });
    const javascript = signed((_, payload) => JSON.stringify(payload), withSlash);
    expect(provider.verifyWebhook(javascript, now)).toEqual({ verdict: 'verified', reading: 'javascript' });
    const php = signed(
      (_, payload) => JSON.stringify(payload).replaceAll('/', '\\/').replace('\u00e9', '\\u00e9'),
      withSlash,
    );
    expect(provider.verifyWebhook(php, now)).toEqual({ verdict: 'verified', reading: 'php' });
  });

  test('the member may stand first, and one that stands twice is not guessed at', () => {
    const first = '{"signature":"sha256_hmac_hex", "event":"payment.completed","payment_id":"4poch_1"}';
    const rest = '{"event":"payment.completed","payment_id":"4poch_1"}';
    expect(
      provider.verifyWebhook(
        signed(() => rest, first),
        now,
      ),
    ).toEqual({ verdict: 'verified', reading: 'raw' });
    const twice = '{"event":"x","data":{"signature":"y"},"signature":"sha256_hmac_hex"}';
    const cutLast = '{"event":"x","data":{"signature":"y"}}';
    expect(
      provider.verifyWebhook(
        signed(() => cutLast, twice),
        now,
      ),
    ).toEqual({ verdict: 'verified', reading: 'javascript' });
    const spaced = twice.replace('"event":', '"event": ');
    expect(
      provider.verifyWebhook(
        signed(() => cut(spaced), spaced),
        now,
      ).verdict,
    ).toBe('unverified');
  });

  test('what no reading fits is unverified, and never verified by another secret', () => {
    const other = fourpoch.open({ ...testSettings['4poch'], secretKey: 'test_sk_of_somebody_else' });
    expect(other.verifyWebhook(signed(cut), now).verdict).toBe('unverified');
    const changed = signed(cut).body.toString().replace('100.00', '900.00');
    expect(provider.verifyWebhook({ headers: {}, body: Buffer.from(changed) }, now).verdict).toBe(
      'unverified',
    );
  });

  test('the keys tell the mode, and a mixed pair is a fault', () => {
    expect(provider.mode).toBe('test');
    expect(fourpoch.fault({ ...testSettings['4poch'], apiKey: 'gw_live' })).toMatch(/live key/);
    expect(fourpoch.fault(testSettings['4poch'])).toBeNull();
  });
});

describe("ForhoppPay's page", () => {
  const provider = testProviders.forhopp;
  const live = forhopp.open({
    ...testSettings.forhopp,
    secretKey: testSecrets.forhopp.replace('test', 'live'),
  });
  const chargeId = 'ch_1234567890abcdef1234567890abcdef';
  const charge = { id: chargeId, amount: 5000n, currency: usd };

  test('its printed answers are read in minor units', () => {
    expect(read(provider.create?.(testIntent()), forhoppPage.create, 201)).toEqual({
      id: chargeId,
      checkoutUrl: `https://pay.forhopp.com/checkout/${chargeId}`,
      expiresAt: 1_234_654_290_000,
      amount: 5000n,
      currency: 'USD',
      mode: 'live',
    });
    expect(read(provider.fetch?.(chargeId), forhoppPage.charge)).toEqual({
      id: chargeId,
      reference: null,
      status: 'captured',
      statusText: 'captured',
      amount: 5000n,
      currency: 'USD',
      fee: 175n,
      net: 4825n,
      refunded: 0n,
      mode: 'live',
      createdAt: 1_234_567_890_000,
    });
    const page = read(provider.list?.(0, null), forhoppPage.list.replace('[...]', `[${forhoppPage.charge}]`));
    expect(page.charges.map(({ id }) => id)).toEqual([chargeId]);
    expect(page.next).toBe(chargeId);
    expect(read(provider.capture?.(charge, 3000n), forhoppPage.capture)).toBe(true);
    const refund = { charge, amount: 2500n, reason: 'customer_request', idempotencyKey: 'k' };
    expect(read(provider.refund?.(refund), forhoppPage.refund, 201)).toEqual({
      id: 're_1234567890abcdef1234567890abcdef',
      status: 'succeeded',
    });
    const endpoint = { url: 'https://merchant.com/webhooks/forhopppay', events: [] };
    expect(read(provider.createWebhookEndpoint?.(endpoint), forhoppPage.webhookEndpoint)).toMatchObject({
      id: 'we_1234567890abcdef',
      secret: 'whsec_1234567890abcdef1234567890abcdef',
    });
    expect(
      read(provider.createKey?.({ name: 'Production Key', environment: 'live' }), forhoppPage.key),
    ).toMatchObject({
      id: 'key_1234567890abcdef',
      environment: 'live',
    });
  });

  test('requests are as printed, with the version, a key for each and our reference', () => {
    const { request } = live.create?.(testIntent({ cancelUrl: 'https://merchant.com/cancel' })) ?? {};
    const printed = JSON.parse(forhoppPage.createRequest) as object;
    expect(JSON.parse(request?.body ?? '')).toEqual({
      ...printed,
      metadata: { depositd_reference: 'ref_0011223344556677' },
    });
    expect(request?.headers).toMatchObject({
      'forhopppay-version': '2024-01-01',
      'idempotency-key': 'key_0011223344556677',
    });
    const refund = { charge, amount: 2500n, reason: 'customer_request', idempotencyKey: 'k' };
    expect(JSON.parse(provider.refund?.(refund).request.body ?? '')).toEqual(
      JSON.parse(forhoppPage.refundRequest),
    );
  });

  test.each([
    [400, 'declined'],
    [401, 'rejected'],
    [403, 'rejected'],
    [404, 'not_found'],
    [409, 'unknown'],
    [422, 'declined'],
    [429, 'limited'],
    [500, 'unknown'],
    [502, 'unknown'],
    [503, 'unknown'],
  ])('its error with HTTP %i is %s', (status, outcome) => {
    const result = provider
      .create?.(testIntent())
      .read(answerOf(forhoppPage.error, status, { 'retry-after': '7' }));
    expect(result?.outcome).toBe(outcome);
    if (result?.outcome === 'declined')
      expect(result.reason).toContain('parameter_invalid: The amount must be');
    if (result?.outcome === 'limited') expect(result.retryAfterMs).toBe(7000);
  });

  test('its printed webhook is read, and verified as its sample does, in raw bytes', () => {
    const body = Buffer.from(forhoppPage.webhook);
    const hmac = createHmac('sha256', testSecrets.forhoppWebhook)
      .update('1234567890.')
      .update(body)
      .digest('hex');
    const webhook = { headers: { 'forhopppay-signature': `t=1234567890,v1=${hmac}` }, body };
    expect(provider.verifyWebhook(webhook, now).verdict).toBe('verified');
    expect(provider.verifyWebhook(webhook, now + 301_000).verdict).toBe('stale');
    expect(provider.verifyWebhook(webhook, now - 301_000).verdict).toBe('stale');
    expect(provider.readWebhook(webhook)).toEqual({
      dedupeKey: 'evt_1234567890abcdef12345678',
      type: 'charge.completed',
      chargeId,
      reference: null,
      mode: 'live',
    });
  });

  test('a payout leads to no charge', () => {
    const body = Buffer.from(
      forhoppPage.webhook.replace('"ch_', '"po_').replace('charge.completed', 'payout.created'),
    );
    expect(provider.readWebhook({ headers: {}, body })).toMatchObject({
      type: 'payout.created',
      chargeId: null,
    });
  });

  test('yen are refused until they are allowed, and are whole yen then', () => {
    const yen = { amount: 5000n, currency: 'JPY' as FiatCode };
    expect(provider.refuses(yen)).toMatch(/allowJpy/);
    expect(forhopp.open({ ...testSettings.forhopp, allowJpy: true }).refuses(yen)).toBeNull();
    expect(provider.refuses({ amount: 49n, currency: usd })).toMatch(/least/);
    expect(provider.refuses({ amount: 100_000_000n, currency: usd })).toMatch(/largest/);
    expect(provider.refuses({ amount: 5000n, currency: htg })).toMatch(/HTG/);
  });
});

describe("GateNOC's page", () => {
  const provider = testProviders.gatenoc;

  test('a session is asked for as printed, and has no id', () => {
    const changes = {
      amount: 1050n,
      reference: 'order_123',
      notifyUrl: 'https://yoursite.com/webhooks/paid',
      returnUrl: 'https://yoursite.com/thanks',
    };
    const call = provider.create?.(testIntent(changes));
    expect(parseJsonExactly(call?.request.body ?? '')).toEqual(parseJsonExactly(gatenocPage.createRequest));
    expect(call?.request.headers).toMatchObject({
      merchant: '17',
      authorization: `Bearer ${testSecrets.gatenoc}`,
    });
    const answer =
      '{"checkout_url":"https://gatenoc.com/pay?cs=x","invoice_url":"https://gatenoc.com/pay?cs=x","expires_at":"2026-03-24T12:30:00+00:00"}';
    expect(read(call, answer)).toMatchObject({ id: null, checkoutUrl: 'https://gatenoc.com/pay?cs=x' });
  });

  test('its printed webhook is read, and verified with both times', () => {
    const body = Buffer.from(gatenocPage.webhook);
    const hmac = createHmac('sha256', testSecrets.gatenocWebhook)
      .update('1234567890.')
      .update(body)
      .digest('hex');
    const headers = {
      'x-gateway-timestamp': '1234567890',
      'x-gateway-signature': `t=1234567890,v1=${hmac}`,
      'x-gateway-merchant-key': testSecrets.gatenoc,
    };
    expect(provider.verifyWebhook({ headers, body }, now).verdict).toBe('verified');
    const other = { ...headers, 'x-gateway-timestamp': '1234567891' };
    expect(provider.verifyWebhook({ headers: other, body }, now).verdict).toBe('invalid');
    expect(provider.readWebhook({ headers, body })).toEqual({
      dedupeKey: '42 payment.completed completed',
      type: 'payment.completed',
      chargeId: '42',
      reference: 'order_123',
      mode: null,
    });
  });

  test('a payment as the webhook prints it is of its merchant alone, and both its amounts must agree', () => {
    const ours = gatenoc.open({ ...testSettings.gatenoc, merchantId: '1' });
    expect(read(ours.fetch?.('42'), gatenocPage.webhook)).toMatchObject({
      id: '42',
      reference: 'order_123',
      status: 'captured',
      amount: 1050n,
      currency: 'USD',
    });
    expect(provider.fetch?.('42').read(answerOf(gatenocPage.webhook)).outcome).toBe('unknown');
    const differing = gatenocPage.webhook.replace('"total_amount": "10.50"', '"total_amount": "10.51"');
    expect(read(ours.fetch?.('42'), differing).amount).toBeNull();
  });

  test('its delay stands in the body of a 429', () => {
    const result = provider.balance?.().read(answerOf('{"retry_after_seconds":9}', 429));
    expect(result).toEqual({ outcome: 'limited', retryAfterMs: 9000 });
  });
});

describe("4pay's page", () => {
  const provider = testProviders['4pay'];

  test('its printed configuration is read, and one that is not there is none', () => {
    expect(read(provider.readWebhookConfig?.(), fourpayPage.config)).toEqual({
      url: 'https://yourapp.com/webhooks/4pay',
      secretSet: true,
      eventTypes: ['card_transaction', 'card_state'],
      active: true,
    });
    expect(read(provider.readWebhookConfig?.(), '', 404)).toBe('none');
    expect(read(provider.deleteWebhookConfig?.(), '', 204)).toBe(true);
  });

  test('a configuration is always written whole, with the secret', () => {
    const printed = JSON.parse(fourpayPage.configRequest) as { url: string; event_types: string[] };
    const config = { url: printed.url, eventTypes: printed.event_types, active: true };
    const body = JSON.parse(provider.writeWebhookConfig?.(config).request.body ?? '') as object;
    expect(body).toEqual({ ...printed, secret: testSecrets.fourpayWebhook });
  });

  test('a webhook is verified by its HMAC; the other header alone is no proof', () => {
    const body = Buffer.from('{"event_type":"card_transaction"}');
    const hmac = createHmac('sha256', testSecrets.fourpayWebhook).update(body).digest('hex');
    expect(provider.verifyWebhook({ headers: { 'x-webhook-signature': hmac }, body }, now).verdict).toBe(
      'verified',
    );
    const other = { headers: { 'api-notification-sign': 'ab'.repeat(64) }, body };
    expect(provider.verifyWebhook(other, now).verdict).toBe('unverified');
    expect(provider.verifyWebhook({ headers: {}, body }, now).verdict).toBe('invalid');
    expect(provider.readWebhook({ headers: {}, body })).toMatchObject({
      type: 'card_transaction',
      chargeId: null,
    });
  });
});

describe.each(Object.entries(testProviders))('whatever %s is sent', (_, opened) => {
  const provider: Provider = opened;
  const charge = { id: 'x', amount: 1n, currency: usd };
  const calls: (Call<unknown> | undefined)[] = [
    provider.create?.(testIntent()),
    provider.fetch?.('x'),
    provider.list?.(0, null),
    provider.capture?.(charge, null),
    provider.refund?.({ charge, amount: 1n, reason: '', idempotencyKey: '' }),
    provider.balance?.(),
    provider.methods?.(),
    provider.testWebhook?.(),
    provider.readWebhookConfig?.(),
    provider.writeWebhookConfig?.({ url: 'https://x.example', eventTypes: null, active: true }),
    provider.deleteWebhookConfig?.(),
    provider.createWebhookEndpoint?.({ url: 'https://x.example', events: [] }),
    provider.listKeys?.(),
    provider.createKey?.({ name: '', environment: 'test' }),
    provider.revokeKey?.('x'),
  ];
  const words = [
    'id',
    'payment_id',
    'status',
    'amount',
    'currency',
    'data',
    'success',
    'meta',
    'refunds',
    'note',
  ];
  const json = fc
    .dictionary(fc.oneof(fc.constantFrom(...words), fc.string()), fc.jsonValue({ maxDepth: 3 }))
    .map((value) => Buffer.from(JSON.stringify(value)));
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
    json,
  );

  test('no reader throws, and what is no answer of theirs is no yes', () => {
    fc.assert(
      fc.property(bytes, fc.integer({ min: 100, max: 599 }), (body, status) => {
        for (const call of calls) {
          const result = call?.read({ status, headers: {}, body });
          if (status >= 400 && status !== 404) expect(result?.outcome).not.toBe('done');
        }
      }),
    );
  });

  test('C20: neither parseEvent nor verifyWebhook throws on random bytes and headers', () => {
    const header = fc.oneof(
      fc.string(),
      fc.constant(undefined),
      fc.array(fc.string()),
      fc.stringMatching(/^[0-9a-f]{64}$/),
    );
    fc.assert(
      fc.property(bytes, header, fc.integer(), (body, value, at) => {
        const names = [
          'forhopppay-signature',
          'x-gateway-signature',
          'x-gateway-timestamp',
          'x-webhook-signature',
        ];
        const headers = Object.fromEntries(names.map((name) => [name, value]));
        expect(provider.verifyWebhook({ headers, body }, at).verdict).not.toBe('verified');
        expect(provider.readWebhook({ headers, body }).dedupeKey).not.toBe('');
      }),
    );
  });
});
