import { describe, expect, test } from 'vitest';
import { conclude, type Envelope, otherOrder, prepareCall } from '../../src/notify/attempt.ts';
import { generateSecret } from '../../src/notify/secrets.ts';
import type { OutboundResult } from '../../src/outbound.ts';

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
  keys: [{ signer: 'current', secret: generateSecret() }],
  headers: {},
  rotatedAt: null,
  event: { id: 'evt_1', createdAt: 0, body: '{"text":"Grüße ☃"}' },
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

function answered(status: number, headers: Record<string, string> = {}, body = ''): OutboundResult {
  return { kind: 'answer', status, headers, body: Buffer.from(body), complete: true, durationMs: 20 };
}

const startedAt = 1_800_000_000_000;

function recordOf(result: OutboundResult, clockWrong = false) {
  const at = { startedAt, endedAt: startedAt + 20, random: 0, clockWrong };
  return conclude({ envelope, result, refused: null }, at).record;
}

describe('what is kept of an answer', () => {
  const answer = (status: number, location?: string) =>
    recordOf(answered(status, location === undefined ? {} : { location }, '<script>'));

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

describe('what is said of a refusal', () => {
  const at = (seconds: number) => ({ date: new Date(startedAt + seconds * 1000).toUTCString() });

  test.each([
    [600, 'answered 401; our clock is 600 seconds behind the receiver\u0027s'],
    [-600, 'answered 401; our clock is 600 seconds ahead of the receiver\u0027s'],
    [30, 'answered 401'],
  ])('names a clock that differs by %i seconds', (seconds, detail) => {
    expect(recordOf(answered(401, at(seconds)))).toMatchObject({
      detail,
      next: { state: 'failed' },
    });
  });

  test('that our clock is known to be wrong, and it is sent again', () => {
    expect(recordOf(answered(401, at(600)), true)).toMatchObject({
      detail: 'answered 401; our clock is known to be wrong, so this is sent again',
      next: { state: 'pending', uncounted: false },
    });
  });

  test('the bot wall that made it, which is tried again', () => {
    expect(recordOf(answered(403, { 'cf-mitigated': 'challenge' }, '<html>'))).toMatchObject({
      status: 403,
      error: 'bot_wall',
      detail: expect.stringMatching(
        /^answered 403 by a bot wall before the receiver \(the header cf-mitigated\)/,
      ),
      next: { state: 'pending' },
    });
  });
});

describe('the other order of signatures', () => {
  const both: Envelope = {
    ...envelope,
    keys: [
      { signer: 'current', secret: generateSecret() },
      { signer: 'previous', secret: generateSecret() },
    ],
  };
  const first = (status: number, headers = {}, of = both) => ({
    envelope: of,
    result: answered(status, headers),
    refused: null,
  });

  test('is tried after 400, 401 and 403 while a rotation is open, once', () => {
    for (const status of [400, 401, 403]) {
      const other = otherOrder(first(status));
      expect(other?.keys.map(({ signer }) => signer)).toEqual(['previous', 'current']);
      if (other === null) throw new Error('none');
      expect(otherOrder({ envelope: other, result: answered(status), refused: first(status) })).toBeNull();
    }
  });

  test('is not tried after anything else, nor for a bot wall, nor with one secret', () => {
    for (const status of [200, 404, 410, 422, 500]) expect(otherOrder(first(status))).toBeNull();
    expect(otherOrder(first(403, { 'cf-mitigated': 'challenge' }))).toBeNull();
    expect(otherOrder(first(401, {}, envelope))).toBeNull();
    const failure = { kind: 'failure', error: 'timeout', detail: '', durationMs: 1 } as const;
    expect(otherOrder({ envelope: both, result: failure, refused: null })).toBeNull();
  });
});
