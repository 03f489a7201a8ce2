import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createLimiter } from '../../../src/api/http/limits.ts';
import { openApiServer } from '../../support/api-server.ts';
import { describeDecisions } from '../../support/databases.ts';

function limiterWithClock(perSecond: number) {
  let now = 1_000_000;
  const allow = createLimiter({ perSecond, clock: () => now });
  return { allow, advance: (ms: number) => (now += ms) };
}

describe('the limit of requests', () => {
  test('a caller may send the whole limit at once, then as many again in every second', () => {
    const { allow, advance } = limiterWithClock(5);
    const burst = Array.from({ length: 7 }, () => allow('a'));
    expect(burst.map((answer) => answer.retryAfterSeconds)).toEqual([null, null, null, null, null, 1, 1]);
    expect(burst.map((answer) => answer.remaining)).toEqual([4, 3, 2, 1, 0, 0, 0]);
    expect(burst[4]).toEqual({ limit: 5, remaining: 0, resetSeconds: 1, retryAfterSeconds: null });
    advance(400);
    expect([allow('a'), allow('a'), allow('a')].map((answer) => answer.retryAfterSeconds)).toEqual([
      null,
      null,
      1,
    ]);
    advance(60_000);
    expect(allow('a').remaining).toBe(4);
  });

  test('callers do not use up one another’s', () => {
    const { allow } = limiterWithClock(1);
    expect([allow('a'), allow('b'), allow('a')].map((answer) => answer.retryAfterSeconds)).toEqual([
      null,
      null,
      1,
    ]);
  });

  test('in no stretch of time more than the limit and its refill is allowed', () => {
    const steps = fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), steps, (perSecond, pauses) => {
        const { allow, advance } = limiterWithClock(perSecond);
        let allowed = 0;
        let elapsed = 0;
        for (const pause of pauses) {
          advance(pause);
          elapsed += pause;
          if (allow('a').retryAfterSeconds === null) allowed += 1;
        }
        expect(allowed).toBeLessThanOrEqual(perSecond + (elapsed * perSecond) / 1000);
      }),
    );
  });
});

describeDecisions('the limit over HTTP', (openTestDb) => {
  test('every answer says what is left; past the limit of a key it is 429 with Retry-After, and other keys go on', async () => {
    const api = await openApiServer(await openTestDb(), { api: { requestsPerSecond: 3 } });
    const [shop, rival] = [await api.addMerchant(), await api.addMerchant('Rival')];
    const answers = [];
    for (const path of [
      '/api/v1/payments/',
      '/api/v1/payments/PAY-2026-AAAAAA/',
      '/api/v1/payments/?limit=0',
    ]) {
      answers.push(await api.send('GET', path, { key: shop.key }));
    }
    answers.push(await api.send('GET', '/api/v1/methods/', { key: shop.key }));
    expect(answers.map((answer) => answer.status)).toEqual([200, 404, 400, 429]);
    expect(answers.map((answer) => answer.headers.get('x-ratelimit-limit'))).toEqual(['3', '3', '3', '3']);
    expect(answers.map((answer) => answer.headers.get('x-ratelimit-remaining'))).toEqual([
      '2',
      '1',
      '0',
      '0',
    ]);
    for (const answer of answers) expect(Number(answer.headers.get('x-ratelimit-reset'))).toBe(1);
    expect(answers[3]).toMatchObject({ body: { detail: 'Too many requests.' } });
    expect(answers[3]?.headers.get('retry-after')).toBe('1');
    expect((await api.send('GET', '/api/v1/payments/', { key: rival.key })).status).toBe(200);
    api.advance(1);
    expect((await api.send('GET', '/api/v1/payments/', { key: shop.key })).status).toBe(200);
  });

  test('paths that lead nowhere are limited by network address', async () => {
    const api = await openApiServer(await openTestDb(), { api: { requestsPerSecond: 2 } });
    api.advance(1);
    const answers = [];
    for (let n = 0; n < 3; n++) answers.push(await api.send('GET', `/api/v1/guess-${n}/`));
    expect(answers.map((answer) => answer.status)).toEqual([404, 404, 429]);
    expect(answers.map((answer) => answer.headers.get('x-ratelimit-remaining'))).toEqual(['1', '0', '0']);
  });

  test('requests with wrong keys are limited too, without touching what a right key may do', async () => {
    const api = await openApiServer(await openTestDb(), { api: { requestsPerSecond: 2 } });
    const shop = await api.addMerchant();
    api.advance(1);
    const guesses = [];
    for (let n = 0; n < 4; n++) {
      guesses.push(await api.send('GET', '/api/v1/payments/', { key: `pk_${'0'.repeat(63)}${n}` }));
    }
    expect(guesses.map((answer) => answer.status)).toEqual([401, 401, 429, 429]);
    expect((await api.send('GET', '/api/v1/payments/', { key: shop.key })).status).toBe(200);
  });

  test('guessing the admin token is limited, and the right one still opens', async () => {
    const api = await openApiServer(await openTestDb(), { api: { requestsPerSecond: 2 } });
    const guesses = [];
    for (let n = 0; n < 4; n++) {
      guesses.push(
        await api.send('GET', '/admin/v1/merchants/', { headers: { authorization: `Bearer guess-${n}` } }),
      );
    }
    expect(guesses.map((answer) => answer.status)).toEqual([401, 401, 429, 429]);
    expect((await api.send('GET', '/admin/v1/merchants/', { admin: true })).status).toBe(200);
  });
});
