import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { generateSecret } from '../../src/notify/secrets.ts';
import { signPayload, signStandard } from '../../src/notify/signature.ts';
import { verifyPayhookSignature } from '../support/seed-verifier.ts';
import { parseSignatureHeader, verifySignature } from '../support/signature.ts';
import { anyText } from '../support/text.ts';

const now = () => Math.floor(Date.now() / 1000);
const secrets = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((key) => `whsec_${Buffer.from(key).toString('base64')}`);
const bodies = anyText().map((text) => Buffer.from(JSON.stringify({ text })));

describe('the signature header', () => {
  test('is HMAC-SHA256 over time, dot and body, keyed by the whole secret', () => {
    // Computed with: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 'whsec_c2VjcmV0'
    expect(signPayload(['whsec_c2VjcmV0'], 1_700_000_000, Buffer.from('{"a":1}'))).toBe(
      't=1700000000,v1=6dd72433a4cd7716d09e26318f8f689412da31a76d080c30fd719cf6ac3f8479',
    );
  });

  test("S51: is accepted by PayHook's published verifier, whatever the body and secret", () => {
    fc.assert(
      fc.property(bodies, secrets, (body, secret) => {
        const header = signPayload([secret], now(), body);
        expect(verifyPayhookSignature(body.toString(), header, secret)).toBe(true);
        expect(verifyPayhookSignature(`${body.toString()} `, header, secret)).toBe(false);
        expect(verifyPayhookSignature(body.toString(), header, `${secret}x`)).toBe(false);
      }),
    );
  });

  test('is accepted by our verifier, and not for another body, secret or time', () => {
    fc.assert(
      fc.property(
        bodies,
        secrets,
        secrets,
        fc.integer({ min: 0, max: 99_999_999_999 }),
        (body, secret, other, t) => {
          fc.pre(secret !== other);
          const header = signPayload([secret], t, body);
          expect(verifySignature(header, body, secret, t)).toBe(true);
          expect(verifySignature(header, body, secret, t + 300)).toBe(true);
          expect(verifySignature(header, body, secret, t + 301)).toBe(false);
          expect(verifySignature(header, body, secret, t - 301)).toBe(false);
          expect(verifySignature(header, body, other, t)).toBe(false);
          expect(verifySignature(header, Buffer.concat([body, Buffer.from('\n')]), secret, t)).toBe(false);
          expect(verifySignature(header.replace(`t=${t}`, `t=${t + 1}`), body, secret, t)).toBe(false);
        },
      ),
    );
  });

  test('S56: carries the new signature first and the old one last while a rotation lasts', () => {
    const [next, previous] = [generateSecret(), generateSecret()];
    const body = Buffer.from('{}');
    const header = signPayload([next, previous], now(), body);
    const alone = (secret: string) => signPayload([secret], now(), body).split('v1=')[1];
    expect(parseSignatureHeader(header)?.signatures).toEqual([alone(next), alone(previous)]);
    expect(verifySignature(header, body, next, now())).toBe(true);
    expect(verifySignature(header, body, previous, now())).toBe(true);
    // The published verifier keeps the last one: receivers that still hold the old secret must go on working.
    expect(verifyPayhookSignature(body, header, previous)).toBe(true);
  });
});

describe('the parser of the signature header', () => {
  test('reads back whatever was signed', () => {
    fc.assert(
      fc.property(fc.array(secrets, { minLength: 1, maxLength: 4 }), fc.nat(), bodies, (keys, t, body) => {
        const parsed = parseSignatureHeader(signPayload(keys, t, body));
        expect(parsed?.timestamp).toBe(t);
        expect(parsed?.signatures).toHaveLength(keys.length);
      }),
    );
  });

  test('never throws, and what it accepts has a time and only well-formed signatures', () => {
    const noise = fc.oneof(
      fc.string(),
      fc
        .array(fc.constantFrom('t=1', 't=', 'v1=', ',', '=', ' ', `v1=${'a'.repeat(64)}`, 'v0=x', 't=1x'))
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(noise, (header) => {
        const parsed = parseSignatureHeader(header);
        if (parsed === null) return;
        expect(Number.isSafeInteger(parsed.timestamp)).toBe(true);
        for (const signature of parsed.signatures) expect(signature).toMatch(/^[0-9a-f]{64}$/);
        expect(parsed.signatures.length).toBeGreaterThan(0);
      }),
      { numRuns: 1000 },
    );
  });

  const good = 'a'.repeat(64);
  test.each([
    ['', null],
    [`v1=${good}`, null],
    ['t=1', null],
    [`t=1,v1=${good}`, 1],
    [`t=1, v1=${good}`, 1],
    [`t=1,v0=zz,v1=${good}`, 1],
    [`t=1,t=2,v1=${good}`, null],
    [`t=01,v1=${good}`, null],
    [`t=-1,v1=${good}`, null],
    [`t=1e3,v1=${good}`, null],
    [`t=1,v1=${good.toUpperCase()}`, null],
    [`t=1,v1=${good}a`, null],
    [`t=1,v1=${good},v1=short`, null],
  ])('reads %j as time %j', (header, timestamp) => {
    expect(parseSignatureHeader(header)?.timestamp ?? null).toBe(timestamp);
  });
});

describe('the Standard Webhooks signature', () => {
  test('is accepted by the standardwebhooks package, for the new and the old secret of a rotation', () => {
    fc.assert(
      fc.property(bodies, secrets, secrets, (body, next, previous) => {
        const message = { id: 'evt_1', timestamp: now(), body };
        const headers = {
          'webhook-id': message.id,
          'webhook-timestamp': String(message.timestamp),
          'webhook-signature': signStandard([next, previous], message),
        };
        for (const secret of [next, previous]) {
          expect(new Webhook(secret).verify(body.toString(), headers)).toEqual(JSON.parse(body.toString()));
        }
        expect(() => new Webhook(generateSecret()).verify(body.toString(), headers)).toThrow();
        expect(() =>
          new Webhook(next).verify(body.toString(), { ...headers, 'webhook-id': 'evt_2' }),
        ).toThrow();
      }),
    );
  });
});
