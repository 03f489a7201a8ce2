import { describe, expect, test } from 'vitest';
import { decide, goneAfterMs, shownForMs } from '../../src/alerts/decide.ts';
import type { Finding } from '../../src/alerts/evaluate.ts';
import type { Alert } from '../../src/storage/operators/alerts.ts';

const start = Date.UTC(2026, 10, 29, 12);
const late: Finding = { name: 'pool_low', subject: 'mer_1 bsc all', text: 'the pool has 1 of 10 free' };
const afterMs = 10 * 60_000;

/** Looks every 15 seconds for `ms`, and is told what is found at each time. Answers what began and ended, and when. */
function watch(ms: number, foundAt: (sinceStart: number) => Finding[]) {
  let open: Alert[] = [];
  let waiting: ReadonlyMap<string, number> = new Map();
  const news: string[] = [];
  for (let at = 0; at <= ms; at += 15_000) {
    const decision = decide(open, foundAt(at), waiting, start + at);
    waiting = decision.waiting;
    for (const { name } of decision.began) news.push(`${name} began at ${at / 1000}`);
    for (const { name } of decision.ended) news.push(`${name} ended at ${at / 1000}`);
    const written = [...decision.began, ...decision.lasting, ...decision.ended];
    const rest = open.filter(
      (one) => !written.some(({ name, subject }) => name === one.name && subject === one.subject),
    );
    open = [...rest, ...written];
  }
  return { news, open };
}

describe('an alert', () => {
  test('begins when it has lasted, from when it was first seen, and ends when it was not seen for two minutes', () => {
    const { news, open } = watch(3_600_000, (at) => (at < 1_800_000 ? [late] : []));
    expect(news).toEqual(['pool_low began at 600', 'pool_low ended at 1905']);
    expect(open).toMatchObject([{ beganAt: start, endedAt: start + 1_905_000 }]);
  });

  test('does not begin when it is over sooner', () => {
    expect(watch(3_600_000, (at) => (at < afterMs - 15_000 ? [late] : [])).news).toEqual([]);
  });

  test('is one while it comes and goes within two minutes', () => {
    const flickers = watch(3_600_000, (at) => (at <= afterMs || at % 60_000 === 0 ? [late] : []));
    expect(flickers.news).toEqual(['pool_low began at 600']);
  });

  test('begins anew after its end', () => {
    const twice = watch(7_200_000, (at) => (at < 1_800_000 || at > 3_600_000 ? [late] : []));
    expect(twice.news).toEqual(['pool_low began at 600', 'pool_low ended at 1905', 'pool_low began at 4215']);
  });

  test('of two subjects is two', () => {
    const other = { ...late, subject: 'mer_2 bsc all' };
    expect(watch(900_000, () => [late, other, late]).open).toHaveLength(2);
  });

  test('of something that happened begins at once, is shown for a day, and has no end to be told of', () => {
    const reverted: Finding = { name: 'payment_reverted', subject: 'PAY-1', text: 'taken back' };
    const [alert] = decide([], [reverted], new Map(), start).began;
    expect(alert).toMatchObject({ beganAt: start, told: 'nothing' });
    const told: Alert = { ...(alert as Alert), told: 'begin' };
    expect(decide([told], [], new Map(), start + shownForMs - 1).ended).toEqual([]);
    expect(decide([told], [], new Map(), start + shownForMs).ended).toMatchObject([{ told: 'end' }]);
  });

  test('of which nobody was told ends in silence', () => {
    const alert: Alert = { ...late, beganAt: start, seenAt: start, endedAt: null, told: 'nothing' };
    expect(decide([alert], [], new Map(), start + goneAfterMs).ended).toMatchObject([{ told: 'end' }]);
    const told: Alert = { ...alert, told: 'begin' };
    expect(decide([told], [], new Map(), start + goneAfterMs).ended).toMatchObject([{ told: 'begin' }]);
  });
});
