import type { AddressKey } from '../../src/core/address.ts';
import type { BlockHash } from '../../src/core/chain.ts';
import { sessionStatuses } from '../../src/core/checkout-session.ts';
import {
  deleteMarksOfBlock,
  findSurplusOver,
  listHeldBlocks,
  listNativeDeposits,
  listUncompared,
  listUnmarked,
  rewindCompared,
} from '../../src/storage/chains/balance-marks.ts';
import { lockChain, measureBlockSeconds, readChains } from '../../src/storage/chains/chains.ts';
import {
  findSession,
  findSessionByToken,
  listSessions,
  lockOverdueSessions,
} from '../../src/storage/checkout/sessions.ts';
import { findDeposit, hasOrphanedNativeDeposit, listDeposits } from '../../src/storage/deposits/deposits.ts';
import { listInstead, listInsteadOf } from '../../src/storage/deposits/instead.ts';
import { listDepositsIn } from '../../src/storage/deposits/range.ts';
import { listSums } from '../../src/storage/deposits/sums.ts';
import { readTally } from '../../src/storage/deposits/tally.ts';
import {
  findHighestSeen,
  hasSeenDeposit,
  listCompleting,
  listDueOfTransactions,
  listSeen,
} from '../../src/storage/deposits/waiting.ts';
import { listEndedAlerts, listOpenAlerts } from '../../src/storage/operators/alerts.ts';
import { lastAuditAt } from '../../src/storage/operators/audit.ts';
import { findShownBrand } from '../../src/storage/operators/brands.ts';
import {
  findOpenAsset,
  listAssetsMadeSince,
  listOpenTokens,
} from '../../src/storage/payments/assets-in-use.ts';
import { readChanges } from '../../src/storage/payments/changes.ts';
import { findIdempotencyKey } from '../../src/storage/payments/idempotency.ts';
import { listPaymentTimes, readOverview, sumByDay } from '../../src/storage/payments/overview.ts';
import {
  findLatestPaymentAt,
  findPaymentById,
  hasOpenPayment,
  isAnyOverBy,
  listOverduePayments,
  lockLatestPaymentOfAddress,
  lockPayment,
  nativeMattersAbove,
} from '../../src/storage/payments/payments.ts';
import { listDueRefundRecords, listRefundRecords } from '../../src/storage/payments/refund-records.ts';
import { listUnmatchedBelow, listUnusual, listVerifiedRefunds } from '../../src/storage/payments/report.ts';
import {
  findByAddress,
  findByCoinAmount,
  findByOrder,
  findByTransaction,
  findByUsd,
} from '../../src/storage/payments/search.ts';
import { listDepositsOf, listTold } from '../../src/storage/payments/timeline.ts';
import {
  findPayment,
  findPaymentByToken,
  listPayments,
  viewsById,
} from '../../src/storage/payments/views.ts';
import { countPool, hasActiveAddress } from '../../src/storage/pool/counts.ts';
import { findHoldOf } from '../../src/storage/pool/holds.ts';
import { earliestExpiry, findFreeAddress } from '../../src/storage/pool/locks.ts';
import { readPoolUse } from '../../src/storage/pool/use.ts';
import {
  listReturns,
  listUsedAddresses,
  listWatchedAddresses,
} from '../../src/storage/pool/watched-addresses.ts';
import type { Trx } from '../../src/storage/schema.ts';
import {
  countPendingPayments,
  listDepositsAfter,
  listEventsAfter,
  listPaymentsAfter,
  readMarks,
} from '../../src/storage/statistics.ts';
import { countByState, countKept, countRejected } from '../../src/storage/webhooks/counts.ts';
import { listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import { appendEvent, listEvents, listRevertedSince } from '../../src/storage/webhooks/events.ts';
import { oldestPendingAt } from '../../src/storage/webhooks/measurements.ts';
import { claimDueDeliveries, findDueEndpoints, findNextDueAt } from '../../src/storage/webhooks/queue.ts';
import { enqueueRecovery, findOldestExhausted, listRecovering } from '../../src/storage/webhooks/recovery.ts';
import { enqueueMissed, enqueueReplays } from '../../src/storage/webhooks/replays.ts';
import {
  cancelOfDisabledEndpoints,
  findExpiredLeases,
  getDeliveryBacklog,
  moveDue,
} from '../../src/storage/webhooks/upkeep.ts';
import { testDeposit, testTransfer } from './payments.ts';

/** What is asked, by a name for people. */
export type HotPaths = Record<string, (trx: Trx) => Promise<unknown>>;

/** Everything that steps and requests ask of a database that `fillDatabase` has filled with so many payments up to `now`. */
export function hotPaths({ payments, now }: { payments: number; now: number }): HotPaths {
  const bsc = 'bsc' as const;
  const pool = { merchantId: 'mer_1', network: bsc, currency: 'usdt' as const };
  const tip = 1_000 + payments;
  const recipient = '0'.repeat(39).concat('1') as AddressKey;
  const block = { height: tip - 3, hash: '0xb1' as BlockHash, time: Math.floor(now / 1000) };
  const depth = { head: tip, read: tip, final: tip, requiredConfirmations: 15 };
  const nativeTransfer = testTransfer({ token: 'native', currency: 'native', recipient, block });

  const replayed = { endpointId: 'we_1', gapMs: 100, at: now };
  const anHour = { since: now - 3_600_000, until: now };

  const amount = { currency: 'usdt', decimals: 18, amount: 5000n } as const;
  const sessions = { merchantId: 'mer_1', now } as const;

  return {
    // The watcher's step.
    'chain: lock': (trx) => lockChain(trx, bsc),
    'chain: native matters above': (trx) => nativeMattersAbove(trx, bsc, now),
    'chain: what open payments are in': (trx) => listOpenTokens(trx, bsc),
    'chain: one of these': (trx) => findOpenAsset(trx, bsc, '0'.repeat(40) as AddressKey),
    'chain: what payments were made in lately': (trx) => listAssetsMadeSince(trx, bsc, now - 360_000),
    'chain: pending?': (trx) => hasOpenPayment(trx, bsc),
    'chain: pending on a quiet chain?': (trx) => hasOpenPayment(trx, 'ethereum'),
    'chain: seen?': (trx) => hasSeenDeposit(trx, bsc),
    'chain: seen on a quiet chain?': (trx) => hasSeenDeposit(trx, 'ethereum'),
    'chain: orphaned native?': (trx) => hasOrphanedNativeDeposit(trx, bsc, now - 86_400_000),
    'chain: overdue': (trx) => listOverduePayments(trx, bsc, { now, blockTime: now / 1000, limit: 200 }),
    'chain: over by its time?': (trx) => isAnyOverBy(trx, bsc, now / 1000),
    'chain: watched addresses': (trx) =>
      listWatchedAddresses(trx, 'evm', { fromId: 990, usedAfter: null }, 1000),
    'chain: addresses in use': (trx) => listUsedAddresses(trx, 'evm', now - 1_800_000),
    'chain: returned addresses': (trx) => listReturns(trx, 'evm', 0),
    'chain: held blocks': (trx) => listHeldBlocks(trx, bsc, { above: tip - 20, upTo: tip }),
    'transfer: its deposit': (trx) => findDeposit(trx, testTransfer()),
    'transfer: latest payment at its address': (trx) => findLatestPaymentAt(trx, [17]),
    'transfer: latest payment, held': (trx) => lockLatestPaymentOfAddress(trx, 17),
    'transfer: the surplus it is a part of': (trx) => findSurplusOver(trx, nativeTransfer),
    'settle: payment': (trx) => lockPayment(trx, payments - 3),
    'settle: its deposits': async (trx) =>
      readTally(trx, await findPaymentById(trx, payments - 3), { forgotten: 0, completes: 'all' }),
    'confirm: deposits that complete payments': (trx) => listCompleting(trx, bsc, depth),
    'confirm: the next seen deposits': (trx) =>
      listSeen(trx, bsc, { upTo: tip - 15, after: { height: tip - 40, id: 17 }, limit: 200 }),
    'confirm: those of transactions': (trx) => listDueOfTransactions(trx, bsc, [testDeposit()], depth),
    'confirm: one that waits for finality?': (trx) =>
      findHighestSeen(trx, bsc, { above: tip - 20, upTo: tip }),
    'balances: unmarked': (trx) => listUnmarked(trx, bsc, tip),
    'balances: uncompared': (trx) => listUncompared(trx, bsc, { now, cursor: block }),
    'balances: native deposits at an address': (trx) =>
      listNativeDeposits(trx, bsc, { recipient, above: tip - 20, upTo: tip }),
    'fork: marks of a block': (trx) => deleteMarksOfBlock(trx, bsc, block),
    'fork: comparisons above': (trx) => rewindCompared(trx, bsc, tip),
    'recheck: deposits in a range': (trx) => listDepositsIn(trx, bsc, { above: tip - 100, upTo: tip }),

    // What operators are called for.
    'alerts: open': (trx) => listOpenAlerts(trx),
    'alerts: ended': (trx) => listEndedAlerts(trx, 50),
    'alerts: payments taken back': (trx) => listRevertedSince(trx, now - 300_000),
    'alerts: last backup': (trx) => lastAuditAt(trx, { subject: 'database', action: 'database.backed_up' }),

    // Creating and reading payments.
    'create: idempotency key': (trx) => findIdempotencyKey(trx, 'mer_1', 'key-17', now),
    'create: free address': (trx) => findFreeAddress(trx, pool, { releasedBefore: now, heldAt: now }),
    'create: what is held back': (trx) => findHoldOf(trx, pool, now),
    'create: any address?': (trx) => hasActiveAddress(trx, pool),
    'create: earliest expiry': (trx) => earliestExpiry(trx, pool),
    'create: load of the pool': (trx) =>
      countPool(trx, pool, { releasedAfter: now - 1_800_000, heldBackUpTo: 0 }),
    'retrieve: by number': (trx) => findPayment(trx, 'mer_1', 'PAY-17'),
    'retrieve: by id': (trx) => findPaymentById(trx, 17),
    'list: all': (trx) => listPayments(trx, { merchantId: 'mer_1', limit: 50 }),
    'list: next page': (trx) => listPayments(trx, { merchantId: 'mer_1', limit: 50, beforeId: 500 }),
    'list: of a merchant with one payment': (trx) => listPayments(trx, { merchantId: 'mer_2', limit: 50 }),
    'list: status': (trx) => listPayments(trx, { merchantId: 'mer_1', status: 'failed', limit: 50 }),
    'list: pending': (trx) => listPayments(trx, { merchantId: 'mer_1', status: 'pending', limit: 50 }),
    'list: status, next page': (trx) =>
      listPayments(trx, { merchantId: 'mer_1', status: 'expired', limit: 50, beforeId: 500 }),
    'list: network': (trx) => listPayments(trx, { merchantId: 'mer_1', network: 'ethereum', limit: 50 }),
    'list: currency': (trx) => listPayments(trx, { merchantId: 'mer_1', currency: 'usdc', limit: 50 }),
    'list: order': (trx) =>
      listPayments(trx, { merchantId: 'mer_1', externalOrderId: 'order-17', limit: 50 }),
    'list: created before': (trx) =>
      listPayments(trx, { merchantId: 'mer_1', createdBefore: now - (payments - 10) * 60_000, limit: 50 }),
    'list: created after': (trx) =>
      listPayments(trx, { merchantId: 'mer_1', createdAfter: now - 300_000, limit: 50 }),
    'list: status, created between': (trx) =>
      listPayments(trx, {
        merchantId: 'mer_1',
        status: 'cancelled',
        createdAfter: now - payments * 30_000,
        createdBefore: now - payments * 29_000,
        limit: 50,
      }),
    'operator: all payments': (trx) => listPayments(trx, { merchantId: null, limit: 50 }),
    'operator: payments of a status': (trx) =>
      listPayments(trx, { merchantId: null, status: 'failed', limit: 50 }),
    'operator: unusual payments': (trx) => listPayments(trx, { merchantId: null, reason: 'late', limit: 50 }),
    'operator: unusual payments of a report': (trx) =>
      listUnusual(trx, { merchantId: null, since: now - 86_400_000, until: now }, null, 200),
    'operator: refunds of a report': (trx) =>
      listVerifiedRefunds(trx, { merchantId: null, since: now - 86_400_000, until: now }),
    'operator: unmatched money of a report': (trx) => listUnmatchedBelow(trx, null, null, 200),
    'operator: deposits': (trx) => listDeposits(trx, { limit: 50 }),
    'operator: late deposits': (trx) => listDeposits(trx, { role: 'late', limit: 50 }),
    'operator: deposits of a merchant': (trx) =>
      listDeposits(trx, { role: 'unmatched', merchantId: 'mer_2', limit: 50 }),
    'operator: the last hour in numbers': (trx) =>
      readOverview(trx, { merchantId: null, since: now - 50 * 60_000 }),
    'operator: received in an hour, by day': (trx) =>
      sumByDay(trx, { merchantId: null, since: now - 50 * 60_000, until: now }),
    'operator: received in 30 days, by day': (trx) =>
      sumByDay(trx, { merchantId: null, since: now - 30 * 86_400_000, until: now }),
    'operator: times of payments': (trx) =>
      listPaymentTimes(trx, { merchantId: null, since: now - 30 * 86_400_000, until: now, limit: 100 }),
    'operator: times of payments of a merchant': (trx) =>
      listPaymentTimes(trx, { merchantId: 'mer_2', since: 0, until: now, limit: 100 }),
    'operator: oldest pending': (trx) => oldestPendingAt(trx, 'we_1'),
    'operator: search of an order': (trx) => findByOrder(trx, null, 'order-17'),
    'merchant: search of an order': (trx) => findByOrder(trx, 'mer_1', 'order-17'),
    'operator: search of an address': (trx) => findByAddress(trx, [`${'0'.repeat(38)}17` as AddressKey]),
    'operator: search of a transaction': (trx) => findByTransaction(trx, ['bsc', 'ethereum'], ['0x17']),
    // Every payment there costs the same.
    'operator: search of a price': (trx) => findByUsd(trx, null, 5000),
    'merchant: search of a price': (trx) => findByUsd(trx, 'mer_1', 5000),
    'merchant: search of an amount': (trx) => findByCoinAmount(trx, 'mer_1', amount),
    'operator: search of an amount': (trx) => findByCoinAmount(trx, null, amount),
    'operator: search of an amount that nobody asked for': (trx) =>
      findByCoinAmount(trx, null, { ...amount, amount: 4999n }),
    'operator: search of a price of a merchant with one payment': (trx) => findByUsd(trx, 'mer_2', 5000),
    'operator: search of an amount of a merchant with one payment': (trx) =>
      findByCoinAmount(trx, 'mer_2', amount),
    'operator: what was told of a payment': (trx) => listTold(trx, 17, 200),
    'operator: the deposits of a payment': (trx) => listDepositsOf(trx, 17, 200),
    'operator: unmatched deposits': (trx) => listDeposits(trx, { role: 'unmatched', limit: 50 }),
    'operator: ignored deposits': (trx) => listDeposits(trx, { role: 'ignored', limit: 50 }),
    'operator: refunds of a payment': (trx) => listRefundRecords(trx, 17, 50),
    'operator: refunds to look for': (trx) => listDueRefundRecords(trx, now, 10),
    'operator: use of the pools in a day': (trx) => readPoolUse(trx, null, now - 50 * 60_000),

    // Checkout sessions, and the pages of payers.
    'sessions: all': (trx) => listSessions(trx, { ...sessions, limit: 50 }),
    'sessions: next page': (trx) => listSessions(trx, { ...sessions, beforeId: 500, limit: 50 }),
    'sessions: of a merchant with one': (trx) =>
      listSessions(trx, { ...sessions, merchantId: 'mer_2', limit: 50 }),
    ...Object.fromEntries(
      sessionStatuses.map((status) => [
        `sessions: ${status}`,
        (trx: Trx) => listSessions(trx, { ...sessions, status, limit: 50 }),
      ]),
    ),
    'sessions: order': (trx) => listSessions(trx, { ...sessions, externalOrderId: 'order-17', limit: 50 }),
    'sessions: created after': (trx) =>
      listSessions(trx, { ...sessions, createdAfter: now - 300_000, limit: 50 }),
    'sessions: status, created between': (trx) =>
      listSessions(trx, {
        ...sessions,
        status: 'cancelled',
        createdAfter: now - payments * 30_000,
        createdBefore: now - payments * 29_000,
        limit: 50,
      }),
    'sessions: by id': (trx) => findSession(trx, 'mer_1', 'cs_17'),
    'sessions: by token': (trx) => findSessionByToken(trx, 'session-17'),
    'sessions: whose time is over': (trx) => lockOverdueSessions(trx, now, 100),
    'page: by token': (trx) => findPaymentByToken(trx, 'token-17'),
    'page: what came instead': async (trx) => listInstead(trx, await findPaymentById(trx, 17)),
    'pages: what came instead': async (trx) =>
      listInsteadOf(trx, [await findPaymentById(trx, 17), await findPaymentById(trx, 18)]),
    'page: whose it is': (trx) => findShownBrand(trx, 'mer_1'),
    'page: what was taken back': (trx) => listSums(trx, 17),
    'page: between two blocks': (trx) => measureBlockSeconds(trx, bsc),
    'stream: first look': (trx) => readChanges(trx, null),
    'stream: what has changed': async (trx) => readChanges(trx, (await readChanges(trx, null)).marks),
    'stream: those that changed': (trx) => viewsById(trx, [17, 18, payments - 3]),

    // Webhooks and the feed.
    'events: append': (trx) =>
      appendEvent(trx, {
        merchantId: 'mer_1',
        type: 'payment.confirmed',
        paymentId: 17,
        body: '{}',
        at: now,
      }),
    'events: feed': (trx) => listEvents(trx, 'mer_1', 1000, 50),
    'events: feed of a merchant with few': (trx) => listEvents(trx, 'mer_2', 0, 50),
    'notify: due endpoints': (trx) => findDueEndpoints(trx, now),
    'notify: next due': (trx) => findNextDueAt(trx, now - 600_000),
    'notify: claim': (trx) =>
      claimDueDeliveries(trx, { endpointId: 'we_1', lane: 'fresh', limit: 4, now, leaseUntil: now + 30_000 }),
    'notify: expired leases': (trx) => findExpiredLeases(trx, now, 500),
    'notify: of disabled endpoints': (trx) => cancelOfDisabledEndpoints(trx, { limit: 500, at: now }),
    'notify: backlog': (trx) => getDeliveryBacklog(trx, now),
    'notify: a clock that was set back': (trx) => moveDue(trx, { now, byMs: 60_000 }),
    'recovery: endpoints that accept again': (trx) => listRecovering(trx, 'due', { after: '', limit: 20 }),
    'recovery: what was given up there': (trx) =>
      enqueueRecovery(trx, { ...replayed, since: now - 5 * 86_400_000, limit: 1_000 }),
    'recovery: the oldest that ran out of attempts': (trx) =>
      findOldestExhausted(trx, 'we_1', now - 4 * 86_400_000),
    'replay: what failed in an hour': (trx) =>
      enqueueReplays(trx, { ...replayed, ...anHour, limit: 1_000, states: ['failed', 'cancelled'] }),
    'replay: what an endpoint never got in an hour': (trx) =>
      enqueueMissed(trx, {
        ...{ ...replayed, ...anHour, limit: 1_000 },
        merchantId: 'mer_1',
        types: ['payment.detected'],
      }),
    'endpoint: rejected since its rotation': (trx) => countRejected(trx, 'we_1', now - 86_400_000),
    'endpoint: kept': (trx) => countKept(trx, 'we_1'),
    'endpoint: states of an hour': (trx) => countByState(trx, { endpointId: 'we_1', since: now - 3_600_000 }),
    'deliveries: of a merchant': (trx) => listDeliveries(trx, { merchantId: 'mer_1', limit: 50 }),
    'deliveries: of an endpoint': (trx) => listDeliveries(trx, { endpointId: 'we_1', limit: 50 }),
    'deliveries: failed ones of an endpoint': (trx) =>
      listDeliveries(trx, { endpointId: 'we_1', state: 'failed', limit: 50 }),
    'deliveries: failed ones of a merchant': (trx) =>
      listDeliveries(trx, { merchantId: 'mer_1', state: 'failed', limit: 50 }),

    // Status and metrics.
    'metrics: chains': (trx) => readChains(trx),
    'metrics: pending payments': (trx) => countPendingPayments(trx),
    'metrics: marks': (trx) => readMarks(trx),
    'metrics: new payments': (trx) => listPaymentsAfter(trx, payments - 20, 1000),
    'metrics: new deposits': (trx) => listDepositsAfter(trx, payments - 20, 1000),
    'metrics: new events': (trx) => listEventsAfter(trx, 2 * payments - 20, 1000),
  };
}
