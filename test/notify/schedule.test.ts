import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AttemptOutcome, judge, maxAttempts, waitsMs } from '../../src/notify/schedule.ts';

const minute = 60_000;

function answer(status: number, retryAfterMs: number | null = null): AttemptOutcome {
  return { kind: 'answer', status, retryAfterMs, fromBotWall: false };
}

const clockWrong = false;

function judgeOne(outcome: AttemptOutcome, attempt = 1) {
  return judge({ attempt, firstAttemptAt: 0, endedAt: 0, random: 0, clockWrong, outcome });
}

/** The starts of all attempts of a delivery that is never accepted, in ms from the first. */
function startsOf(next: () => { takesMs: number; random: number; outcome: AttemptOutcome }): number[] {
  const starts: number[] = [0];
  for (let attempt = 1; ; attempt++) {
    const start = starts.at(-1) ?? 0;
    const { takesMs, random, outcome } = next();
    const verdict = judge({
      attempt,
      firstAttemptAt: 0,
      endedAt: start + takesMs,
      random,
      clockWrong,
      outcome,
    });
    if (verdict.kind !== 'retry') return starts;
    starts.push(verdict.at);
  }
}

describe('what follows from an answer', () => {
  test.each([200, 201, 202, 204, 206, 226, 299])('S53: %i is delivered', (status) => {
    expect(judgeOne(answer(status))).toEqual({ kind: 'delivered' });
  });

  test.each([400, 401, 403, 404, 422])('S53: %i gives up at once', (status) => {
    expect(judgeOne(answer(status))).toEqual({ kind: 'give-up', reason: 'rejected', disableEndpoint: false });
  });

  test.each([
    301, 302, 303, 307, 308, 402, 405, 406, 407, 408, 409, 411, 413, 415, 418, 421, 423, 425, 426, 429,
  ])('S53: %i is tried again', (status) => {
    expect(judgeOne(answer(status))).toEqual({ kind: 'retry', at: 3500 });
  });

  test.each([500, 501, 502, 503, 504, 507, 508, 511, 520, 599, 999])('S53: %i is tried again', (status) => {
    expect(judgeOne(answer(status))).toEqual({ kind: 'retry', at: 3500 });
  });

  test('S53: every status from 200 to 299 is delivered', () => {
    for (let status = 200; status < 300; status++)
      expect(judgeOne(answer(status))).toEqual({ kind: 'delivered' });
  });

  test('S53: 410 gives up and disables the endpoint', () => {
    expect(judgeOne(answer(410))).toEqual({ kind: 'give-up', reason: 'gone', disableEndpoint: true });
  });

  test('S53: every status that is not named otherwise is tried again', () => {
    const final = new Set([400, 401, 403, 404, 410, 422]);
    for (let status = 300; status < 600; status++) {
      if (!final.has(status))
        expect(judgeOne(answer(status)), String(status)).toEqual({ kind: 'retry', at: 3500 });
    }
    expect(judgeOne(answer(999))).toEqual({ kind: 'retry', at: 3500 });
  });

  test.each(['dns', 'refused', 'reset', 'tls', 'timeout', 'http', 'interrupted'] as const)(
    'S53: a failure of the kind "%s" is tried again',
    (error) => {
      expect(judgeOne({ kind: 'failure', error })).toEqual({ kind: 'retry', at: 3500 });
    },
  );

  test('S53: a target that our guard refuses is given up', () => {
    expect(judgeOne({ kind: 'failure', error: 'blocked' })).toEqual({
      kind: 'give-up',
      reason: 'blocked',
      disableEndpoint: false,
    });
  });

  test('S54: the tenth attempt is the last', () => {
    expect(judgeOne(answer(500), 9)).toEqual({ kind: 'retry', at: 896_000 });
    expect(judgeOne(answer(500), 10)).toEqual({
      kind: 'give-up',
      reason: 'exhausted',
      disableEndpoint: false,
    });
    expect(judgeOne(answer(200), 10)).toEqual({ kind: 'delivered' });
  });
});

describe('the schedule', () => {
  test('S54: waits 0, 3.5, 7, 14, … 896 seconds', () => {
    expect(waitsMs).toEqual([0, 3500, 7000, 14_000, 28_000, 56_000, 112_000, 224_000, 448_000, 896_000]);
    const starts = startsOf(() => ({ takesMs: 0, random: 0, outcome: answer(500) }));
    expect(starts).toEqual([0, 3500, 10_500, 24_500, 52_500, 108_500, 220_500, 444_500, 892_500, 1_788_500]);
  });

  test('counts each wait from the end of the attempt before', () => {
    const starts = startsOf(() => ({
      takesMs: 10_000,
      random: 0,
      outcome: { kind: 'failure', error: 'timeout' },
    }));
    expect(starts.slice(0, 3)).toEqual([0, 13_500, 30_500]);
  });

  const anyAttempt = fc.record({
    takesMs: fc.integer({ min: 0, max: 10_000 }),
    random: fc.double({ min: 0, max: 1, noNaN: true }),
    outcome: fc.oneof(
      fc.record({
        kind: fc.constant('answer' as const),
        status: fc.constantFrom(408, 425, 429, 500, 503, 302, 409),
        retryAfterMs: fc.option(fc.integer({ min: 0, max: 7 * 24 * 60 * minute })),
      }),
      fc.record({
        kind: fc.constant('failure' as const),
        error: fc.constantFrom('dns' as const, 'timeout' as const, 'interrupted' as const),
      }),
    ),
  });

  test('S54: makes exactly ten attempts, the last 28 to 36 minutes after the first, whatever the answers, their Retry-After and the jitter', () => {
    fc.assert(
      fc.property(fc.infiniteStream(anyAttempt), (attempts) => {
        const starts = startsOf(() => attempts.next().value);
        expect(starts).toHaveLength(maxAttempts);
        expect(starts.at(-1)).toBeGreaterThanOrEqual(28 * minute);
        expect(starts.at(-1)).toBeLessThanOrEqual(36 * minute);
      }),
    );
  });

  test('jitter is up to a tenth, and only later', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (attempt, random) => {
          const verdict = judge({
            attempt,
            firstAttemptAt: 0,
            endedAt: 0,
            random,
            clockWrong,
            outcome: answer(500),
          });
          const wait = waitsMs[attempt] ?? 0;
          expect(verdict.kind === 'retry' && verdict.at).toBeGreaterThanOrEqual(wait);
          expect(verdict.kind === 'retry' && verdict.at).toBeLessThanOrEqual(Math.ceil(wait * 1.1));
        },
      ),
    );
  });

  test('Retry-After on 429 and 503 delays the next attempt, never hurries it, and means nothing elsewhere', () => {
    expect(judgeOne(answer(429, 60_000))).toEqual({ kind: 'retry', at: 60_000 });
    expect(judgeOne(answer(503, 60_000))).toEqual({ kind: 'retry', at: 60_000 });
    expect(judgeOne(answer(503, 1_000))).toEqual({ kind: 'retry', at: 3500 });
    expect(judgeOne(answer(500, 60_000))).toEqual({ kind: 'retry', at: 3500 });
    expect(judgeOne(answer(429, 60_000), 10)).toMatchObject({ kind: 'give-up', reason: 'exhausted' });
  });
});

describe('what a bot wall answers', () => {
  const walled = (status: number, retryAfterMs: number | null = null): AttemptOutcome => ({
    kind: 'answer',
    status,
    retryAfterMs,
    fromBotWall: true,
  });

  test.each([403, 202, 200, 404, 410, 429])('is tried again like 503, here %i', (status) => {
    expect(judgeOne(walled(status))).toEqual({ kind: 'retry', at: 3500 });
    expect(judgeOne(walled(status, 60_000))).toEqual({ kind: 'retry', at: 60_000 });
    expect(judgeOne(walled(status), 10)).toMatchObject({ kind: 'give-up', reason: 'exhausted' });
  });
});

describe('while our clock is known to be wrong', () => {
  const judgeWrong = (status: number, attempt: number) =>
    judge({ attempt, firstAttemptAt: 0, endedAt: 0, random: 0, clockWrong: true, outcome: answer(status) });

  test.each([400, 401, 403])(
    '%i is tried again by the usual waits, and the last attempt without end',
    (status) => {
      expect(judgeWrong(status, 1)).toEqual({ kind: 'retry', at: 3500 });
      expect(judgeWrong(status, 9)).toEqual({ kind: 'retry', at: 896_000 });
      expect(judgeWrong(status, 10)).toEqual({ kind: 'retry', at: 896_000, uncounted: true });
    },
  );

  test('every other answer means what it always means', () => {
    for (const [status, attempt] of [404, 422, 410, 200, 500].flatMap((code) => [
      [code, 1] as const,
      [code, 10] as const,
    ])) {
      expect(judgeWrong(status, attempt)).toEqual(judgeOne(answer(status), attempt));
    }
  });
});
