import { describe, expect, test } from 'vitest';
import { matchTransfer } from '../../src/payments/match.ts';
import { expiresAt, lockedAt, testBlock, testPayment, testTransfer, tokenKey } from '../support/payments.ts';

describe('a transfer', () => {
  test('to an address that no payment was ever given is unmatched: no_payment', () => {
    expect(matchTransfer(testTransfer(), null)).toMatchObject({ role: 'unmatched', reason: 'no_payment' });
  });

  test("of the payment's asset, after the lock and in time, counts", () => {
    const payment = testPayment();
    expect(matchTransfer(testTransfer(), payment)).toEqual({ role: 'counted', payment });
  });

  test("mined more than five seconds before the lock, in the chain's own time, is before it", () => {
    const { time } = testBlock(110);
    const payment = testPayment({ lockChainTime: (time + 5) * 1000 });
    const atOnce = testTransfer({ block: testBlock(110) });
    expect(matchTransfer(atOnce, payment)).toEqual({ role: 'counted', payment });
    const early = testTransfer({ block: testBlock(110, { time: time - 1 }) });
    expect(matchTransfer(early, payment)).toMatchObject({ role: 'unmatched', reason: 'before_lock' });
  });

  test.each([
    ['the height of the head of the lock', 110],
    ['a height far below it', 20],
  ])('at %s counts when its time is after the lock: height alone decides nothing', (_, height) => {
    const payment = testPayment({ lockHead: testBlock(110), lockChainTime: testBlock(110).time * 1000 });
    const replaced = testTransfer({ block: { ...testBlock(height), time: testBlock(111).time } });
    expect(matchTransfer(replaced, payment)).toEqual({ role: 'counted', payment });
  });

  test('mined above the head of the lock, but long before it, is before the lock', () => {
    const payment = testPayment({ lockHead: testBlock(105), lockChainTime: testBlock(120).time * 1000 });
    expect(matchTransfer(testTransfer(), payment)).toMatchObject({
      role: 'unmatched',
      reason: 'before_lock',
    });
  });

  test("counts in a block of the limit's very second and is late in the next, whatever our clock said", () => {
    const payment = testPayment({ expiresAt: expiresAt - 40 * 60_000 });
    const last = testTransfer({ block: testBlock(110, { time: expiresAt / 1000 }) });
    expect(matchTransfer(last, payment)).toEqual({ role: 'counted', payment });
    const next = testTransfer({ block: testBlock(110, { time: expiresAt / 1000 + 1 }) });
    expect(matchTransfer(next, payment)).toEqual({ role: 'late', payment });
  });

  test.each(['confirmed', 'expired', 'cancelled', 'failed'] as const)(
    'to the address of a payment that is %s is late, however early its block',
    (status) => {
      const payment = testPayment({ status });
      expect(matchTransfer(testTransfer(), payment)).toEqual({ role: 'late', payment });
    },
  );

  test.each(['pending', 'expired'] as const)(
    'of another token to the address of a payment that is %s is unmatched: wrong_token',
    (status) => {
      const other = testTransfer({ token: tokenKey('bsc', 'usdc'), currency: 'usdc' });
      expect(matchTransfer(other, testPayment({ status }))).toMatchObject({
        role: 'unmatched',
        reason: 'wrong_token',
      });
    },
  );

  test('of the native coin does not pay for a token, nor a token for the native coin', () => {
    const coin = testTransfer({ token: 'native', currency: 'native', logIndex: null });
    expect(matchTransfer(coin, testPayment())).toMatchObject({ role: 'unmatched', reason: 'wrong_token' });
    const native = testPayment({ token: 'native', currency: 'native', coin: 'bnb' });
    expect(matchTransfer(testTransfer(), native)).toMatchObject({ role: 'unmatched', reason: 'wrong_token' });
    expect(matchTransfer(coin, native)).toEqual({ role: 'counted', payment: native });
  });

  test('before the lock stays before the lock when the payment has ended', () => {
    const payment = testPayment({ status: 'expired', ...lockedAt(110) });
    expect(matchTransfer(testTransfer(), payment)).toMatchObject({
      role: 'unmatched',
      reason: 'before_lock',
    });
  });
});
