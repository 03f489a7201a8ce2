import { describe, expect, test } from 'vitest';
import { conclude, type Envelope, prepareCall } from '../../src/notify/attempt.ts';
import { generateSecret } from '../../src/notify/secrets.ts';

const envelope: Envelope = {
  delivery: {
    id: 7,
    endpointId: 'we_1',
    merchantId: 'mer_1',
    eventSequence: 1,
    eventType: 'payment.confirmed',
    lane: 'fresh',
    attempt: 3,
    firstAttemptAt: 0,
  },
  leaseUntil: 30_000,
  url: 'https://shop.example/hook',
  secrets: [generateSecret()],
  event: { id: 'evt_1', body: '{"text":"Grüße ☃"}' },
};

describe('the call of an attempt', () => {
  test('S47: has ten seconds in all, of which the body of the answer gets one', () => {
    const call = prepareCall(envelope, 'X-PayHook', 5_999);
    expect([call.timeoutMs, call.bodyTimeoutMs]).toEqual([10_000, 1_000]);
  });

  test('S48: reads two KiB of the answer', () => {
    expect(prepareCall(envelope, 'X-PayHook', 0).maxBodyBytes).toBe(2_048);
  });

  test('S52: carries the very bytes of the event at whatever time, and that time in whole seconds', () => {
    const calls = [5_999, 1_800_000_000_000].map((now) => prepareCall(envelope, 'X-Shop', now));
    for (const call of calls) expect(call.body).toEqual(Buffer.from(envelope.event.body));
    expect(calls.map(({ headers }) => headers['X-Shop-Signature']?.split(',')[0])).toEqual([
      't=5',
      't=1800000000',
    ]);
    expect(calls.map(({ headers }) => headers['webhook-timestamp'])).toEqual(['5', '1800000000']);
  });
});

describe('what is kept of an answer', () => {
  const answer = (status: number, location?: string) =>
    conclude(envelope.delivery, {
      startedAt: 1_000,
      result: {
        kind: 'answer',
        status,
        headers: location === undefined ? {} : { location },
        body: Buffer.from('<script>'),
        complete: true,
        durationMs: 20,
      },
      random: 0,
    }).record;

  test('is its text as it came, which nothing here reads', () => {
    expect(answer(200)).toMatchObject({ status: 200, error: null, detail: '', response: '<script>' });
  });

  test.each([
    ['https://user:pass@10.0.0.1:81/secret?x=1', 'redirects to 10.0.0.1:81'],
    ['/elsewhere', 'redirects to another path'],
    ['//evil.example/', 'redirects to another path'],
    [undefined, 'redirects to nowhere'],
  ])('S43: of a redirect to %s is the host alone', (location, detail) => {
    expect(answer(302, location)).toMatchObject({ status: 302, error: 'http', detail });
  });
});
