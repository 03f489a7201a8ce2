import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findBotWall } from '../../src/notify/bot-wall.ts';
import { listAttempts, listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import { findNextDueAt } from '../../src/storage/webhooks/queue.ts';
import { describeDecisions } from '../support/databases.ts';
import { captureLog } from '../support/log.ts';
import { respond, startLoopback } from '../support/loopback.ts';
import { manualClock, openShop } from '../support/webhooks.ts';

type Headers = Record<string, string>;

const html = { 'content-type': 'text/html; charset=UTF-8' };
const challenge = '<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title></head></html>';

function wallOf(status: number, headers: Headers, body: string | Uint8Array = ''): string | null {
  return findBotWall({ status, headers, body: Buffer.from(body) });
}

describe('a bot wall', () => {
  test.each<[name: string, status: number, headers: Headers, body: string, by: string]>([
    [
      'Cloudflare’s challenge',
      403,
      { 'cf-mitigated': 'challenge', ...html },
      challenge,
      'the header cf-mitigated',
    ],
    [
      'the same without the header',
      403,
      { server: 'cloudflare', ...html },
      challenge,
      'a page of Cloudflare',
    ],
    [
      'Cloudflare’s block for what is no browser',
      403,
      { server: 'cloudflare' },
      'error code: 1020',
      'an error page of Cloudflare',
    ],
    ['any challenge page', 403, html, challenge, 'an HTML page'],
    ['a page without a type', 403, {}, `\n ${challenge}`, 'an HTML page'],
    ['a page after a comment', 403, html, '<!-- x --><HTML>', 'an HTML page'],
    ['XHTML', 403, {}, '<?xml version="1.0"?><!DOCTYPE html PUBLIC "x">', 'an HTML page'],
    ['a compressed page', 403, { ...html, 'content-encoding': 'br' }, '\u0001\u0002', 'an HTML page'],
    ['AWS’s challenge, a 202', 202, { 'x-amzn-waf-action': 'challenge' }, '', 'the header x-amzn-waf-action'],
    ['Vercel’s', 429, { 'x-vercel-mitigated': 'challenge' }, '', 'the header x-vercel-mitigated'],
  ])('is found: %s', (_name, status, headers, body, by) => {
    expect(wallOf(status, headers, body)).toBe(by);
  });

  test.each<[name: string, status: number, headers: Headers, body: string]>([
    ['an empty 403', 403, {}, ''],
    ['an empty 403 that calls itself a page', 403, html, ''],
    ['JSON', 403, { 'content-type': 'application/json' }, '{"error":"<html>"}'],
    ['JSON that PHP calls a page', 403, html, '{"error":"bad signature"}'],
    ['a word', 403, html, 'Forbidden'],
    ['JSON from behind Cloudflare', 403, { server: 'cloudflare', 'content-type': 'application/json' }, '{}'],
    ['nothing from behind Cloudflare', 403, { server: 'cloudflare' }, ''],
    ['XML of a store', 403, { 'content-type': 'application/xml' }, '<?xml version="1.0"?><Error/>'],
    ['a page that is not there', 404, html, challenge],
    ['a page of success', 200, html, challenge],
    ['an empty mark', 403, { 'cf-mitigated': '' }, ''],
  ])('is not: %s', (_name, status, headers, body) => {
    expect(wallOf(status, headers, body)).toBeNull();
  });

  const name = fc.oneof(
    fc.constantFrom('cf-mitigated', 'server', 'content-type', 'content-encoding', 'x-amzn-waf-action'),
    fc.string(),
  );
  const value = fc.oneof(
    fc.constantFrom('cloudflare', 'challenge', 'text/html', 'application/json', 'gzip', ''),
    fc.string(),
  );
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 4_000 }),
    fc
      .array(fc.constantFrom('<', '<!--', '-->', '<html', '<?xml', '>', ' ', '{', '\uFEFF', 'error code: 1'))
      .map((parts) => Buffer.from(parts.join(''))),
  );

  test('is sought in whatever a stranger sends without a fault and in no time', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 599 }),
        fc.dictionary(name, value),
        body,
        (status, headers, bytes) => {
          const found = wallOf(status, headers, bytes);
          expect(found === null || found.length > 0).toBe(true);
        },
      ),
    );
    const long = `${'<!-- '.repeat(200_000)}`;
    const before = performance.now();
    expect(wallOf(403, html, long)).toBeNull();
    expect(performance.now() - before).toBeLessThan(100);
  });

  test('is never found in JSON or in nothing without a mark in the headers', () => {
    const plain = fc.dictionary(
      fc.string().filter((one) => !/mitigated|waf-action|sg-captcha/.test(one)),
      value,
    );
    fc.assert(
      fc.property(plain, fc.jsonValue(), fc.boolean(), (headers, json, empty) => {
        const given = empty ? headers : { ...headers, 'content-type': 'application/json' };
        expect(wallOf(403, given, empty ? '' : JSON.stringify(json))).toBeNull();
      }),
    );
  });
});

describeDecisions('a webhook to a receiver behind a bot wall', (openTestDb) => {
  test('is sent again like after 503, delivered once the wall lets it pass, and the wall is named', async () => {
    const clock = manualClock();
    const server = await startLoopback((_request, response, nth) =>
      nth < 3
        ? response
            .writeHead(403, { ...html, server: 'cloudflare', 'cf-mitigated': 'challenge' })
            .end(challenge)
        : response.writeHead(200).end(),
    );
    const shop = await openShop(await openTestDb(), clock.now);
    await shop.addEndpoint(server.url);
    await shop.happen();
    const notifier = shop.notifier();
    await notifier.drain();
    const [waiting] = await listDeliveries(shop.db, { limit: 1 });
    expect(waiting).toMatchObject({ state: 'pending', lastStatus: 403, lastError: 'bot_wall' });
    for (let n = 0; n < 2; n++) {
      clock.advance(10_000);
      await notifier.drain();
    }
    const [delivery] = await listDeliveries(shop.db, { limit: 1 });
    expect(delivery).toMatchObject({ state: 'delivered', attempts: 3 });
    const [attempt] = await listAttempts(shop.db, delivery?.id ?? 0);
    expect(attempt).toMatchObject({ error: 'bot_wall', detail: expect.stringContaining('cf-mitigated') });
  });

  test('that never lets it pass is given up after ten attempts, and the line in the log names the wall', async () => {
    const clock = manualClock();
    const server = await startLoopback(respond(403, html, challenge));
    const { log, lines } = captureLog();
    const shop = await openShop(await openTestDb(), clock.now);
    await shop.addEndpoint(server.url);
    await shop.happen();
    const notifier = shop.notifier({ log });
    for (let rounds = 0; rounds < 20; rounds++) {
      await notifier.drain();
      const next = await findNextDueAt(shop.db, clock.now());
      if (next === null) break;
      clock.set(next);
    }
    expect(server.requests).toHaveLength(10);
    expect(lines.filter((line) => line.msg === 'webhook given up')).toMatchObject([
      {
        reason: 'exhausted',
        status: 403,
        error: 'bot_wall',
        detail: expect.stringContaining('an HTML page'),
      },
    ]);
  });
});
