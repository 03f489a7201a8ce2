import { describe, expect, test } from 'vitest';
import {
  chainTimeAt,
  clockSkew,
  describeSkew,
  nextReference,
  type ShownHead,
  type TimeReference,
} from '../../src/core/chain-time.ts';
import { testBlock } from '../support/payments.ts';

const head = testBlock(1_000);
const shownAt = 50_000_000;
const known: TimeReference = { head, shownAt, watchedSince: null };

/** A head that is shown so many seconds after the known one, and was made so many after it. */
function shown(after: number, made: number, news: ShownHead['news'] = 'appeared'): ShownHead {
  return { head: testBlock(1_001, { time: head.time + made }), at: shownAt + after * 1000, news };
}

const told = (next: TimeReference, after: number) =>
  (chainTimeAt(next, shownAt + after * 1000) - head.time * 1000) / 1000;

describe("a chain's time", () => {
  test('is that of the head, and what has passed since it was first shown', () => {
    expect(chainTimeAt(known, shownAt)).toBe(head.time * 1000);
    expect(chainTimeAt(known, shownAt + 7_000)).toBe(head.time * 1000 + 7_000);
    expect(chainTimeAt(known, shownAt - 7_000), 'of a clock that was set back').toBe(head.time * 1000);
  });

  test.each([
    ['by a head that is in time', shown(10, 10), 10],
    ['by a head that is ahead', shown(10, 14), 14],
    ['not by one that reaches us late', shown(10, -20), 10],
    ['not by one that stands there still', shown(10, 0, 'standing'), 10],
    ['by the first one after a pause, however late', shown(10, -20, 'first'), -20],
    ['after ten minutes by whatever there is', shown(601, 580), 580],
    ['not before that', shown(600, 580), 600],
  ])('is told %s', (_, next, seconds) => {
    expect(told(nextReference(known, next), (next.at - shownAt) / 1000)).toBe(seconds);
  });
});

describe('our clock', () => {
  const watched = { ...known, watchedSince: shownAt };
  const timesAfter = (seconds: number, off = 0) => ({
    now: shownAt + seconds * 1000,
    clock: (head.time + seconds + off) * 1000,
  });

  test('is judged after a minute of blocks that appeared, and by none that only stand there', () => {
    expect(clockSkew(watched, timesAfter(60, 40))).toBe(40_000);
    expect(clockSkew(watched, timesAfter(60, -40))).toBe(-40_000);
    expect(clockSkew(watched, timesAfter(59, 40))).toBeNull();
    expect(clockSkew(known, timesAfter(600, 40))).toBeNull();
  });

  test('is watched from the first block that appears, and anew where none does', () => {
    const appeared = nextReference(known, shown(10, 10));
    expect(appeared.watchedSince).toBe(shownAt + 10_000);
    expect(nextReference(appeared, shown(20, 20)).watchedSince).toBe(shownAt + 10_000);
    expect(nextReference(appeared, shown(20, 20, 'standing')).watchedSince).toBeNull();
    expect(nextReference(appeared, shown(20, 20, 'first')).watchedSince).toBeNull();
    expect(nextReference(appeared, shown(20, -20)).watchedSince).toBe(shownAt + 10_000);
  });

  test('is wrong when it is further off than allowed, in either direction', () => {
    expect(describeSkew(30_000, 30_000)).toBeNull();
    expect(describeSkew(-30_000, 30_000)).toBeNull();
    expect(describeSkew(null, 30_000)).toBeNull();
    expect(describeSkew(31_000, 30_000)).toBe("our clock is 31 seconds ahead of the chain's time");
    expect(describeSkew(-31_000, 30_000)).toBe("our clock is 31 seconds behind the chain's time");
  });
});
