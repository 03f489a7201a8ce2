import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type {
  Deposit,
  DepositRole,
  DepositStatus,
  OnchainPayment,
  PaymentStatus,
} from '../../src/core/payment.ts';
import { acceptedAsIs, type ChainFacts, decide as decideTally } from '../../src/payments/decide.ts';
import { isDust, receivedAmount } from '../../src/payments/tally.ts';
import {
  createdAt,
  expiresAt,
  testBlock,
  testDeposit,
  testPayment,
  tokenKey,
  txHash,
  usdt,
} from '../support/payments.ts';
import { inChainOrder, tallyOf } from '../support/tally.ts';

/** The chain read to a block, 15 confirmations required. */
function readTo(time: number, height = 400): ChainFacts {
  return { cursor: { height, time }, requiredConfirmations: 15 };
}

const during = readTo(createdAt / 1000 + 120, 120);
const pastExpiry = readTo(expiresAt / 1000 + 1);
const afterExpiry = expiresAt + 60_000;

/** The decision about a payment with just these deposits. */
function decide(
  payment: OnchainPayment,
  deposits: readonly Deposit[],
  chain: ChainFacts,
  latePolicy: 'flag' | 'confirm',
  now: number,
) {
  return decideTally(payment, tallyOf(payment, deposits, chain), chain, latePolicy, now);
}

/** The decision with late money flagged, our clock past the expiry unless told. */
function decided(payment: OnchainPayment, deposits: Deposit[], chain = pastExpiry, now = afterExpiry) {
  return decide(payment, deposits, chain, 'flag', now);
}

const confirmed = (changes: Partial<Deposit> = {}) => testDeposit({ status: 'confirmed', ...changes });

describe('a pending payment', () => {
  test('stays pending while nothing came and its time is not over', () => {
    expect(decided(testPayment(), [], during, createdAt + 120_000)).toBeNull();
  });

  test('stays pending while what came is not confirmed, though it is enough', () => {
    expect(decided(testPayment(), [testDeposit()], during)).toBeNull();
  });

  test('is confirmed by one confirmed deposit of the required amount, at any time', () => {
    const expected = {
      status: 'confirmed',
      reason: null,
      completedBy: txHash(1),
      takesLate: false,
      event: 'payment.confirmed',
    };
    expect(decided(testPayment(), [confirmed()], during)).toEqual(expected);
    expect(decided(testPayment(), [confirmed()], pastExpiry)).toEqual(expected);
  });

  test('is not confirmed by one base unit less than the required amount', () => {
    expect(decided(testPayment(), [confirmed({ amount: usdt(50) - 1n })], during)).toBeNull();
  });

  test('is confirmed by what the tolerance leaves of the expected amount, without any reason', () => {
    const tolerant = testPayment({ requiredAmount: usdt(49) });
    expect(decided(tolerant, [confirmed({ amount: usdt(49) })])).toMatchObject({
      status: 'confirmed',
      reason: null,
    });
  });

  test('is confirmed by several deposits that add up, completed by the last in chain order', () => {
    const second = confirmed({ id: 1, txHash: txHash(2), amount: usdt(30), height: 112 });
    const first = confirmed({ id: 2, txHash: txHash(1), amount: usdt(20), height: 111 });
    expect(decided(testPayment(), [second, first], during)).toMatchObject({
      status: 'confirmed',
      completedBy: txHash(2),
    });
  });

  test('names the transfer that completed the amount, not a further one', () => {
    const enough = confirmed({ id: 1, txHash: txHash(1), height: 111 });
    const further = confirmed({ id: 2, txHash: txHash(2), height: 112 });
    expect(decided(testPayment(), [further, enough], during)).toMatchObject({
      completedBy: txHash(1),
      reason: 'overpaid',
    });
  });

  test('is confirmed as overpaid by more than the expected amount', () => {
    expect(decided(testPayment(), [confirmed({ amount: usdt(50) + 1n })], during)).toMatchObject({
      status: 'confirmed',
      reason: 'overpaid',
      event: 'payment.confirmed',
    });
  });

  test('does not add up amounts of two assets', () => {
    const other = confirmed({ id: 2, token: tokenKey('bsc', 'usdc'), currency: 'usdc', role: 'accepted' });
    expect(decided(testPayment(), [confirmed({ amount: usdt(49) }), other], during)).toBeNull();
  });

  test('expires when our clock and the chain are both past its time and nothing came', () => {
    expect(decided(testPayment(), [])).toEqual({
      status: 'expired',
      reason: null,
      completedBy: null,
      takesLate: false,
      event: 'payment.expired',
    });
  });

  test('does not expire while the chain was not read past its time, however late it is by our clock', () => {
    const atExpiry = readTo(expiresAt / 1000);
    expect(decided(testPayment(), [], atExpiry, expiresAt + 10 * 24 * 3_600_000)).toBeNull();
  });

  test('does not expire by the chain alone while our clock is not past its time', () => {
    expect(decided(testPayment(), [], pastExpiry, expiresAt)).toBeNull();
  });

  test('waits for what is seen, however long its time is over', () => {
    const seen = testDeposit({ amount: usdt(1) });
    expect(decided(testPayment(), [seen], readTo(expiresAt / 1000 + 100_000))).toBeNull();
  });

  test('fails as underpaid once its time is over and all that came is confirmed and too little', () => {
    expect(decided(testPayment(), [confirmed({ amount: usdt(49) })])).toEqual({
      status: 'failed',
      reason: 'underpaid',
      completedBy: null,
      takesLate: false,
      event: 'payment.failed',
    });
  });

  test('waits for a part that is only seen, though another part is confirmed', () => {
    const parts = [confirmed({ amount: usdt(20) }), testDeposit({ id: 2, amount: usdt(20) })];
    expect(decided(testPayment(), parts)).toBeNull();
  });

  test('expires with nothing but late deposits, and says so', () => {
    const late = testDeposit({ role: 'late', blockTime: expiresAt / 1000 + 1 });
    expect(decided(testPayment(), [late])).toMatchObject({ status: 'expired', reason: 'late' });
  });

  test('waits as long as a confirmation takes for a transfer that the chain took back', () => {
    const orphaned = testDeposit({ status: 'orphaned', height: 380 });
    expect(decided(testPayment(), [orphaned], readTo(expiresAt / 1000 + 1, 394))).toBeNull();
    expect(decided(testPayment(), [orphaned], readTo(expiresAt / 1000 + 1, 395))).toMatchObject({
      status: 'expired',
    });
  });

  test('does not count what the chain took back', () => {
    const orphaned = confirmed({ status: 'orphaned' });
    expect(decided(testPayment(), [orphaned], during)).toBeNull();
  });
});

describe('a confirmed payment', () => {
  const paid = testPayment({ status: 'confirmed', confirmedAt: createdAt + 90_000, completedBy: txHash(1) });

  test('stays as it is while its deposits stand', () => {
    expect(decided(paid, [confirmed()])).toBeNull();
  });

  test('fails as reorged, with payment.reverted, when the chain took back what confirmed it', () => {
    expect(decided(paid, [confirmed({ status: 'orphaned' })])).toEqual({
      status: 'failed',
      reason: 'reorged',
      completedBy: null,
      takesLate: false,
      event: 'payment.reverted',
    });
  });

  test('stays confirmed when the chain took back only what was too much', () => {
    const standing = confirmed();
    const extra = confirmed({ id: 2, txHash: txHash(2), status: 'orphaned' });
    const overpaid = { ...paid, reason: 'overpaid' as const };
    expect(decided(overpaid, [standing, extra])).toEqual({
      status: 'confirmed',
      reason: null,
      completedBy: txHash(1),
      takesLate: false,
      event: null,
    });
  });

  test('stays confirmed while its transfer, mined again, gathers its confirmations', () => {
    expect(decided(paid, [testDeposit({ height: 130 })])).toBeNull();
  });

  test('gets the reason late for a later deposit, without an event of its own', () => {
    const late = testDeposit({ id: 2, txHash: txHash(2), role: 'late' });
    expect(decided(paid, [confirmed(), late])).toMatchObject({
      status: 'confirmed',
      reason: 'late',
      event: null,
    });
  });

  test('is not kept confirmed by late money that nobody accepted', () => {
    const late = confirmed({ id: 2, txHash: txHash(2), role: 'late' });
    expect(decided(paid, [confirmed({ status: 'orphaned' }), late])).toMatchObject({
      status: 'failed',
      event: 'payment.reverted',
    });
  });
});

describe('a reverted payment', () => {
  const reverted = testPayment({ status: 'failed', reason: 'reorged', confirmedAt: createdAt + 90_000 });

  test('is confirmed again, with a new payment.confirmed, once its transfer is confirmed elsewhere', () => {
    expect(decided(reverted, [testDeposit({ height: 130 })])).toBeNull();
    expect(decided(reverted, [confirmed({ height: 130 })])).toEqual({
      status: 'confirmed',
      reason: null,
      completedBy: txHash(1),
      takesLate: false,
      event: 'payment.confirmed',
    });
  });

  test('keeps the reason reorged when late money arrives', () => {
    const late = testDeposit({ id: 2, role: 'late' });
    expect(decided(reverted, [confirmed({ status: 'orphaned' }), late])).toBeNull();
  });
});

describe('late money', () => {
  const expired = testPayment({ status: 'expired', endedAt: afterExpiry });
  const underpaid = testPayment({ status: 'failed', reason: 'underpaid', endedAt: afterExpiry });
  const late = confirmed({ id: 2, txHash: txHash(2), role: 'late', blockTime: expiresAt / 1000 + 60 });

  test.each([
    ['an expired payment', expired, [late]],
    ['a cancelled payment', testPayment({ status: 'cancelled' }), [late]],
    ['an underpaid payment', underpaid, [confirmed({ amount: usdt(20) }), { ...late, amount: usdt(30) }]],
  ])('is flagged at %s: the reason becomes late, the status stays', (_name, payment, deposits) => {
    expect(decided(payment, deposits)).toMatchObject({
      status: payment.status,
      reason: 'late',
      event: null,
    });
  });

  test.each([
    ['an expired payment', expired, [late]],
    ['an underpaid payment', underpaid, [confirmed({ amount: usdt(20) }), { ...late, amount: usdt(30) }]],
  ])('confirms %s where the policy says so and the sum suffices', (_name, payment, deposits) => {
    expect(decide(payment, deposits, pastExpiry, 'confirm', afterExpiry)).toEqual({
      status: 'confirmed',
      reason: 'late',
      completedBy: txHash(2),
      takesLate: true,
      event: 'payment.confirmed',
    });
  });

  test('confirms a reverted payment too, also before its time is over', () => {
    const reverted = testPayment({ status: 'failed', reason: 'reorged', confirmedAt: createdAt + 90_000 });
    const gone = confirmed({ status: 'orphaned' });
    const early = { ...late, blockTime: createdAt / 1000 + 90 };
    expect(decide(reverted, [gone, early], during, 'confirm', createdAt + 120_000)).toMatchObject({
      status: 'confirmed',
      reason: 'late',
      completedBy: txHash(2),
      takesLate: true,
    });
  });

  test('confirms nothing where the sum does not suffice', () => {
    const little = { ...late, amount: usdt(49) };
    expect(decide(expired, [little], pastExpiry, 'confirm', afterExpiry)).toMatchObject({
      status: 'expired',
      reason: 'late',
      event: null,
    });
  });

  test('confirms nothing before it is confirmed itself', () => {
    const seen = { ...late, status: 'seen' as const };
    expect(decide(expired, [seen], pastExpiry, 'confirm', afterExpiry)).toMatchObject({ status: 'expired' });
  });

  test('never confirms a cancelled payment', () => {
    const cancelled = testPayment({ status: 'cancelled', reason: 'late' });
    expect(decide(cancelled, [late], pastExpiry, 'confirm', afterExpiry)).toBeNull();
  });
});

test('deposits are in chain order by height, then position in the block, then as recorded', () => {
  const a = testDeposit({ id: 4, height: 110, logIndex: 7 });
  const b = testDeposit({ id: 1, height: 111, logIndex: 0 });
  const native = testDeposit({ id: 3, height: 110, logIndex: null });
  const c = testDeposit({ id: 2, height: 111, logIndex: 0 });
  expect(inChainOrder([c, b, a, native]).map(({ id }) => id)).toEqual([3, 4, 1, 2]);
});

test('what was received is the sum of all that the chain still shows, late money included', () => {
  const deposits = [
    confirmed({ amount: 3n }),
    testDeposit({ amount: 5n, role: 'late' }),
    testDeposit({ amount: 100n, status: 'orphaned' }),
  ];
  expect(receivedAmount(testPayment(), deposits)).toBe(8n);
});

test('less than the limit is dust, just as much is not', () => {
  const limit = testPayment().dustAmount;
  expect(isDust(testPayment(), [testDeposit({ amount: limit - 1n })])).toBe(true);
  expect(isDust(testPayment(), [testDeposit({ amount: limit - 1n }), testDeposit({ amount: 1n })])).toBe(
    false,
  );
  expect(isDust(testPayment(), [testDeposit({ amount: limit })])).toBe(false);
  expect(isDust(testPayment(), [testDeposit({ amount: limit, status: 'orphaned' })])).toBe(true);
});

test('what an operator accepts is needed from then on, and never more than was asked for', () => {
  const expired = testPayment({ status: 'expired', endedAt: afterExpiry });
  const sumsOf = (...amounts: number[]) => {
    const late = amounts.map((amount, i) => confirmed({ id: i + 1, role: 'late', amount: usdt(amount) }));
    return tallyOf(expired, late, pastExpiry).sums;
  };
  expect(acceptedAsIs(expired, sumsOf(20, 10), afterExpiry)?.requiredAmount).toBe(usdt(30));
  // A part that was too much may be taken back by the chain without any harm.
  expect(acceptedAsIs(expired, sumsOf(50, 10), afterExpiry)?.requiredAmount).toBe(usdt(50));
});

describe('whatever the payment, its deposits, the chain and the clock', () => {
  const statuses = ['pending', 'confirmed', 'expired', 'cancelled', 'failed'] as const;
  const deposit = fc.record({
    status: fc.constantFrom<DepositStatus>('seen', 'confirmed', 'orphaned'),
    role: fc.constantFrom<DepositRole>('counted', 'late', 'accepted'),
    amount: fc.constantFrom(1n, 25n, 50n, 51n),
    height: fc.integer({ min: 101, max: 420 }),
  });
  const facts = fc.record({
    status: fc.constantFrom<PaymentStatus>(...statuses),
    wasConfirmed: fc.boolean(),
    required: fc.constantFrom(1n, 49n, 50n),
    deposits: fc.array(deposit, { maxLength: 4 }),
    height: fc.integer({ min: 101, max: 460 }),
    latePolicy: fc.constantFrom('flag' as const, 'confirm' as const),
    now: fc.integer({ min: -2, max: 2 }).map((minutes) => expiresAt + minutes * 60_000),
  });

  function setUp(given: typeof facts extends fc.Arbitrary<infer T> ? T : never) {
    const payment = testPayment({
      status: given.status,
      expectedAmount: 50n,
      requiredAmount: given.required,
      confirmedAt:
        given.status === 'confirmed' || (given.status === 'failed' && given.wasConfirmed) ? createdAt : null,
    });
    const deposits = given.deposits.map((changes, i) =>
      testDeposit({
        id: i + 1,
        txHash: txHash(i + 1),
        ...changes,
        blockTime: testBlock(changes.height).time,
      }),
    );
    const chain = readTo(testBlock(given.height).time, given.height);
    const decision = decide(payment, deposits, chain, given.latePolicy, given.now);
    return { payment, deposits, chain, decision };
  }

  const counting = (role: DepositRole, takesLate: boolean) =>
    role === 'counted' || role === 'accepted' || takesLate;

  test('decisions come to rest: after what was reverted was confirmed by late money, nothing follows', () => {
    fc.assert(
      fc.property(facts, (given) => {
        let { payment, deposits, chain, decision } = setUp(given);
        const events: (string | null)[] = [];
        while (decision !== null) {
          const { status, reason, completedBy, takesLate, event } = decision;
          events.push(event);
          payment = {
            ...payment,
            status,
            reason,
            completedBy,
            confirmedAt: event === 'payment.confirmed' ? given.now : payment.confirmedAt,
          };
          deposits = deposits.map((each) =>
            takesLate && each.role === 'late' && each.status === 'confirmed'
              ? { ...each, role: 'accepted' }
              : each,
          );
          decision = decide(payment, deposits, chain, given.latePolicy, given.now);
          expect(events.length).toBeLessThan(3);
        }
        if (events.length === 2) expect(events).toEqual(['payment.reverted', 'payment.confirmed']);
      }),
      { numRuns: 2000 },
    );
  });

  test('nothing is confirmed without confirmed deposits of the required amount', () => {
    fc.assert(
      fc.property(facts, (given) => {
        const { payment, deposits, decision } = setUp(given);
        if (decision?.event !== 'payment.confirmed') return;
        const sum = deposits
          .filter(({ status, role }) => status === 'confirmed' && counting(role, decision.takesLate))
          .reduce((total, { amount }) => total + amount, 0n);
        expect(sum >= payment.requiredAmount).toBe(true);
        expect(decision.takesLate && given.latePolicy === 'flag').toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  test('every change of status has exactly the event of its arrow, and nothing else has one', () => {
    const arrows: Record<string, string> = {
      'pending confirmed': 'payment.confirmed',
      'pending expired': 'payment.expired',
      'pending failed': 'payment.failed',
      'confirmed failed': 'payment.reverted',
      'failed confirmed': 'payment.confirmed',
      'expired confirmed': 'payment.confirmed',
    };
    fc.assert(
      fc.property(facts, (given) => {
        const { payment, decision } = setUp(given);
        if (decision === null) return;
        const moved = decision.status !== payment.status;
        expect(decision.event).toBe(moved ? arrows[`${payment.status} ${decision.status}`] : null);
        if (moved) expect(decision.event).toBeDefined();
      }),
      { numRuns: 2000 },
    );
  });
});
