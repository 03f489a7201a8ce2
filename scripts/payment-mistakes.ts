import { type Mistake, planted } from './mistakes.ts';

const source = 'src/payments';
const tests = 'test/payments';

/** In who decides what becomes of a payment: what counts, until when, and what an operator may do about it. */
export const paymentMistakes: readonly Mistake[] = [
  ...planted(`${source}/decide.ts`, `${tests}/decide.test.ts`, [
    [
      'a payment expires by a block of its last second',
      'now > payment.expiresAt && chain.cursor.time > payment.blockTimeLimit',
      'now > payment.expiresAt && chain.cursor.time >= payment.blockTimeLimit',
      'does not expire while the chain was not read past its time',
    ],
    [
      'a payment expires by the chain alone',
      'now > payment.expiresAt && chain.cursor.time > payment.blockTimeLimit',
      'chain.cursor.time > payment.blockTimeLimit',
      'does not expire by the chain alone',
    ],
    [
      'one confirmed part is enough to fail',
      "counted.every(({ status }) => status === 'confirmed')",
      "counted.some(({ status }) => status === 'confirmed')",
      'waits for a part that is only seen',
    ],
    [
      'what a reorg threw out is not waited for',
      ' || mayBeMinedAgain(payment, tally)',
      '',
      'waits as long as a confirmation takes',
    ],
    [
      'late money confirms whatever the policy',
      "return latePolicy === 'confirm' && ended ?",
      'return ended ?',
      'is flagged at an expired payment',
    ],
    [
      'an operator accepts more than was asked for',
      'received < payment.expectedAmount ? received : payment.expectedAmount',
      'received',
      'what an operator accepts is needed from then on',
    ],
    [
      'a reverted payment forgets that it was',
      "if (payment.confirmedAt !== null) return 'reorged';",
      '',
      'keeps the reason reorged',
    ],
  ]),
  ...planted(`${source}/decide.ts`, `${tests}/accept.test.ts`, [
    [
      'an operator accepts what is not confirmed',
      "if (sums.some(({ status }) => status === 'seen')) return null;",
      '',
      'is refused while nothing came',
    ],
  ]),
  ...planted(`${source}/match.ts`, `${tests}/match.test.ts`, [
    [
      'the last second is late',
      'transfer.block.time <= payment.blockTimeLimit',
      'transfer.block.time < payment.blockTimeLimit',
      'counts in a block of the limit',
    ],
    [
      'the lock has no slack',
      'payment.lockChainTime - lockSlackMs',
      'payment.lockChainTime',
      'mined more than five seconds before the lock',
    ],
    [
      'any token pays',
      'if (transfer.token !== latest.token) return',
      'if (transfer.amount < 0n) return',
      'of the native coin does not pay for a token',
    ],
  ]),
  ...planted(`${source}/match.ts`, `${tests}/record.test.ts`, [
    [
      'what ended is paid as if it were open',
      'isOpen(latest) && isInTime(transfer, latest)',
      'isInTime(transfer, latest)',
      'after the payment ended and nobody else holds',
    ],
  ]),
  ...planted(`${source}/match.ts`, `${tests}/missed.test.ts`, [
    [
      'what is found later pays what its app cancelled',
      "holder === null || holder.status === 'cancelled'",
      'holder === null',
      'is late for one that its app cancelled',
    ],
  ]),
  ...planted(`${source}/tally.ts`, `${tests}/decide.test.ts`, [
    [
      'what the chain took back was received',
      ".filter((sum) => sum.status !== 'orphaned' && isOwnAsset(payment, sum))",
      '.filter((sum) => isOwnAsset(payment, sum))',
      'what was received is the sum of all that the chain still shows',
    ],
    [
      'just the limit is dust',
      'receivedAmount(payment, live) < payment.dustAmount',
      'receivedAmount(payment, live) <= payment.dustAmount',
      'less than the limit is dust',
    ],
    [
      'late money keeps a payment confirmed',
      'receivedAmount(payment, sums.filter(counts))',
      'receivedAmount(payment, sums)',
      'is not kept confirmed by late money',
    ],
  ]),
  ...planted(`${source}/tally.ts`, `${tests}/attach.test.ts`, [
    [
      'another asset counts before it is confirmed',
      "some(({ status }) => status !== 'confirmed')",
      'some(() => false)',
      'chain took back for good no longer stands',
    ],
    [
      'another asset that its chain took back still counts',
      "some(({ status }) => status === 'orphaned')",
      'some(() => false)',
      'when that chain takes it back',
    ],
  ]),
  ...planted(`${source}/settle.ts`, 'test/watchers/tiers.test.ts', [
    [
      'the amount of a tier is more than the tier',
      'receivedAmount(payment, sums) > payment.tier.upToAmount',
      'receivedAmount(payment, sums) >= payment.tier.upToAmount',
      'may be as much as the tier allows',
    ],
  ]),
  ...planted(`${source}/settle.ts`, `${tests}/dust.test.ts`, [
    [
      'the same part is told with every look',
      'return partial && counted !== payment.toldAmount;',
      'return partial;',
      'is told with what remains, once for each sum',
    ],
  ]),
  ...planted(`${source}/settle.ts`, `${tests}/accept.test.ts`, [
    [
      'an address is never let go',
      'if (isOpen(payment) && !isOpen(changed)) await',
      'if (isOpen(payment) && isOpen(changed)) await',
      'frees its address',
    ],
    [
      'late money that was taken stays late',
      'if (decision.takesLate) await',
      'if (false) await',
      'of more than was asked for, which came late',
    ],
  ]),
  ...planted(`${source}/settle.ts`, `${tests}/attach.test.ts`, [
    [
      'a payment ends by the time of another chain',
      'before.network === context.network ? context.chain : unreadChain',
      'context.chain',
      'by the time of that chain',
    ],
  ]),
  ...planted(`${source}/settle.ts`, `${tests}/paid-anew.test.ts`, [
    [
      'a reverted payment has no time to be paid anew',
      'const lifetimeMs = payment.expiresAt - payment.createdAt;',
      'const lifetimeMs = 0;',
      'and is paid anew after its expiry',
    ],
  ]),
  ...planted(`${source}/surplus.ts`, 'test/watchers/balance-check.test.ts', [
    [
      'a balance that shrank is a surplus',
      'return surplus > 0n ? surplus : 0n;',
      'return surplus;',
      'a surplus is what the balance grew by',
    ],
    [
      'a transfer that is found later counts beside the surplus it was a part of',
      'await reduceSurplus(trx, surplus.id, surplus.amount - transfer.amount);',
      '',
      'is less by what a second reading finds',
    ],
    [
      'a surplus that a fork took is not compared anew',
      "known !== null && known.status !== 'orphaned'",
      'known !== null',
      'is compared anew where a fork',
    ],
  ]),
  ...planted(`${source}/accept.ts`, `${tests}/accept.test.ts`, [
    [
      'what confirmed by itself is accepted',
      'if (payment.acceptedAt === null) return',
      'if (payment.expiresAt === 0) return',
      'is refused for a payment that confirmed by itself',
    ],
  ]),
  ...planted(`${source}/accept.ts`, `${tests}/attach.test.ts`, [
    [
      'what is lost stands in the way of what is accepted',
      'await detachLost(trx, payment);',
      '',
      'chain took back for good no longer stands',
    ],
  ]),
];
