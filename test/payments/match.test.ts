import { describe, expect, test } from 'vitest';
import { matchTransfer } from '../../src/payments/match.ts';
import { expiresAt, testBlock, testPayment, testTransfer, tokenKey } from '../support/payments.ts';

describe('a transfer', () => {
  test('to an address that no payment was ever given is unmatched: no_payment', () => {
    expect(matchTransfer(testTransfer(), null)).toMatchObject({ role: 'unmatched', reason: 'no_payment' });
  });

  test("of the payment's asset, after the lock and in time, counts", () => {
    const payment = testPayment();
    expect(matchTransfer(testTransfer(), payment)).toEqual({ role: 'counted', payment });
  });

  test('in the block of the lock is before it, one block higher it counts', () => {
    const payment = testPayment({ lockHeight: 110 });
    const inLockBlock = testTransfer({ block: testBlock(110) });
    expect(matchTransfer(inLockBlock, payment)).toMatchObject({ role: 'unmatched', reason: 'before_lock' });
    const above = testTransfer({ block: testBlock(111) });
    expect(matchTransfer(above, payment)).toEqual({ role: 'counted', payment });
  });

  test('needs also the time of the lock where the chain had not been read freshly', () => {
    const payment = testPayment({ lockTime: testBlock(110).time });
    const second = testBlock(110).time;
    const early = testTransfer({ block: testBlock(110, { time: second - 1 }) });
    expect(matchTransfer(early, payment)).toMatchObject({ role: 'unmatched', reason: 'before_lock' });
    const atOnce = testTransfer({ block: testBlock(110, { time: second }) });
    expect(matchTransfer(atOnce, payment)).toEqual({ role: 'counted', payment });
  });

  test('counts in a block of the very second of the expiry and is late in the next', () => {
    const payment = testPayment();
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
    const payment = testPayment({ status: 'expired', lockHeight: 110 });
    expect(matchTransfer(testTransfer(), payment)).toMatchObject({
      role: 'unmatched',
      reason: 'before_lock',
    });
  });
});
