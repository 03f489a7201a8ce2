import { Counter, Gauge, Histogram, type Registry } from '@prometheus-io/client';
import { alertNames } from '../alerts/catalog.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { EventType } from '../core/events.ts';
import { type PaymentStatus, paymentStatuses } from '../core/payment.ts';
import { describePools } from '../pool/status.ts';
import { chainUnavailable, readChains } from '../storage/chains/chains.ts';
import { readClockSkews } from '../storage/chains/clock.ts';
import { readRecheckMark } from '../storage/chains/recheck-marks.ts';
import { type DatabaseTime, databaseTime } from '../storage/database.ts';
import { listOpenAlerts } from '../storage/operators/alerts.ts';
import type { Db } from '../storage/schema.ts';
import {
  countPendingPayments,
  listDepositsAfter,
  listEventsAfter,
  listPaymentsAfter,
  type Marks,
  readMarks,
} from '../storage/statistics.ts';
import { countTroubledEndpoints, disabledReasons } from '../storage/webhooks/endpoints.ts';
import { getDeliveryBacklog } from '../storage/webhooks/upkeep.ts';

/**
 * Counting the pools reads an index over every address, and nothing else happens meanwhile on SQLite: no more often
 * than this, ms, and never for more than a four-hundredth of the time.
 */
const poolsEveryMs = 30_000;
const poolsShare = 400;

/** Rows counted at a time. */
const pageSize = 1_000;

/** The status that a payment has reached with an event. */
const reached: Partial<Record<EventType, PaymentStatus>> = {
  'payment.confirmed': 'confirmed',
  'payment.expired': 'expired',
  'payment.cancelled': 'cancelled',
  'payment.failed': 'failed',
  'payment.reverted': 'failed',
};

/**
 * What the tables tell. Counters count from this process's start and are brought up to date by every reader
 * of `/metrics`; several processes on one PostgreSQL database therefore all show the same: take one of them.
 */
export function createDatabaseMetrics(
  registry: Registry,
  {
    db,
    config,
    clock,
    timeOf = databaseTime,
  }: { db: Db; config: Pick<Config, 'chains' | 'payments'>; clock: Clock; timeOf?: DatabaseTime },
): void {
  const registers = [registry];
  const networks = Object.values(config.chains).map(({ network }) => network);
  let marks: Marks | null = null;
  let poolsDueAt = Number.NEGATIVE_INFINITY;
  let refreshing: Promise<void> | null = null;

  /** Every metric below asks for this when it is read; all of them share one round. */
  function collect(): Promise<void> {
    refreshing ??= refresh().finally(() => {
      refreshing = null;
    });
    return refreshing;
  }

  function gauge<T extends string>(name: string, help: string, labelNames: readonly T[]): Gauge<T> {
    return new Gauge({ name, help, labelNames: [...labelNames], registers, collect });
  }

  const up = gauge('depositd_database_up', '1 when the database could be read for this answer.', []);
  const pending = gauge('depositd_payments_pending', 'Payments that wait for money or its confirmations.', [
    'network',
  ]);
  const payments = new Counter({
    name: 'depositd_payments_total',
    help: 'Payments that reached a status; "pending" are those created.',
    labelNames: ['network', 'currency', 'status'] as const,
    registers,
    collect,
  });
  const deposits = new Counter({
    name: 'depositd_deposits_total',
    help: 'Transfers to watched addresses: counted for a payment, late, or unmatched.',
    labelNames: ['network', 'currency', 'role'] as const,
    registers,
    collect,
  });
  const detection = new Histogram({
    name: 'depositd_detection_seconds',
    help: 'From the time of a block to a transfer in it being recorded.',
    labelNames: ['network'] as const,
    buckets: [0.5, 1, 2, 3, 5, 10, 20, 30, 60, 300, 1800, 7200],
    registers,
    collect,
  });
  const confirmation = new Histogram({
    name: 'depositd_confirmation_seconds',
    help: 'From the time of the block that completed a payment to its confirmation.',
    labelNames: ['network'] as const,
    buckets: [5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 1200, 3600],
    registers,
    collect,
  });
  const head = gauge('depositd_chain_head_height', 'The head of a chain as last seen.', ['network']);
  const cursor = gauge('depositd_chain_cursor_height', 'Everything up to this block has been read.', [
    'network',
  ]);
  const rechecked = gauge(
    'depositd_chain_rechecked_height',
    'Everything up to this block has been read twice.',
    ['network'],
  );
  const cursorTime = gauge('depositd_chain_cursor_timestamp_seconds', 'Time of the block read last.', [
    'network',
  ]);
  const readAt = gauge('depositd_chain_read_timestamp_seconds', 'When a node last proved its answer.', [
    'network',
  ]);
  const available = gauge('depositd_chain_available', '1 when payments can be created on a chain.', [
    'network',
  ]);
  const skew = gauge(
    'depositd_clock_skew_seconds',
    "By how much our clock is ahead of a chain's time; absent while that is not known.",
    ['network'],
  );
  const pools = gauge('depositd_pool_addresses', 'Receive addresses, by what they can be used for now.', [
    'merchant',
    'network',
    'currency',
    'state',
  ]);
  const exhaustedIn = gauge(
    'depositd_pool_exhausted_in_seconds',
    "When a pool runs dry at the pace of the last day's busiest hour; absent while it suffices.",
    ['merchant', 'network', 'currency'],
  );
  const due = gauge('depositd_deliveries_due', 'Webhooks that should have been sent by now.', []);
  const oldestDue = gauge(
    'depositd_deliveries_oldest_due_seconds',
    'For how long the oldest of them has been due.',
    [],
  );

  const failing = gauge(
    'depositd_webhook_endpoints_failing',
    'Endpoints that are on and took nothing last.',
    [],
  );
  const disabled = gauge(
    'depositd_webhook_endpoints_disabled',
    'Endpoints that are disabled: by an operator, after a 410 answer ("gone"), or after five days ("failing").',
    ['reason'],
  );

  const alerts = gauge('depositd_alerts_active', 'What needs an operator now (docs/alerts.md), by name.', [
    'alert',
  ]);

  for (const network of networks) {
    for (const { currency } of config.chains[network]?.assets ?? []) {
      for (const status of paymentStatuses) payments.inc({ network, currency, status }, 0);
    }
  }
  // Counting begins now, not when somebody first asks.
  void collect();

  async function refresh(): Promise<void> {
    try {
      const now = clock();
      await countNews();
      await readState(now);
      if (now >= poolsDueAt) await readPools(now);
      up.set(1);
    } catch {
      // The rest of the metrics is wanted all the more when the database is away.
      up.set(0);
    }
  }

  async function countNews(): Promise<void> {
    if (marks === null) {
      marks = await readMarks(db);
      return;
    }
    // Where the database has lost its last commits, what comes next may have numbers that were counted already.
    const end = await readMarks(db);
    const at: Marks = {
      paymentId: Math.min(marks.paymentId, end.paymentId),
      depositId: Math.min(marks.depositId, end.depositId),
      eventSequence: Math.min(marks.eventSequence, end.eventSequence),
    };
    marks = at;
    await eachPage(
      () => listPaymentsAfter(db, at.paymentId, pageSize),
      ({ id, network, currency }) => {
        at.paymentId = id;
        payments.inc({ network, currency, status: 'pending' });
      },
    );
    await eachPage(
      () => listDepositsAfter(db, at.depositId, pageSize),
      ({ id, network, currency, role, seenAt, blockTime }) => {
        at.depositId = id;
        deposits.inc({ network, currency, role });
        detection.observe({ network }, Math.max(0, seenAt / 1000 - blockTime));
      },
    );
    await eachPage(
      () => listEventsAfter(db, at.eventSequence, pageSize),
      ({ sequence, type, payment, createdAt, completedAt }) => {
        at.eventSequence = sequence;
        const status = reached[type];
        if (payment === null || status === undefined) return;
        const { network, currency } = payment;
        payments.inc({ network, currency, status });
        if (status !== 'confirmed' || completedAt === null) return;
        confirmation.observe({ network }, Math.max(0, createdAt / 1000 - completedAt));
      },
    );
  }

  async function readState(now: number): Promise<void> {
    const counts = await countPendingPayments(db);
    const states = await readChains(db);
    const readNow = await timeOf(db, clock);
    const skews = await readClockSkews(db, clock, timeOf);
    skew.reset();
    for (const network of networks) {
      const state = states.find((one) => one.network === network) ?? null;
      pending.set({ network }, counts.find((one) => one.network === network)?.pending ?? 0);
      available.set({ network }, chainUnavailable(state, readNow) === null ? 1 : 0);
      const skewMs = skews.get(network) ?? null;
      if (skewMs !== null) skew.set({ network }, skewMs / 1000);
      if (state === null) continue;
      head.set({ network }, state.head.height);
      cursor.set({ network }, state.cursor.height);
      cursorTime.set({ network }, state.cursor.time);
      const mark = await readRecheckMark(db, network);
      if (mark !== null) rechecked.set({ network }, mark.position.height);
      readAt.set({ network }, state.readAt / 1000);
    }
    const backlog = await getDeliveryBacklog(db, now);
    due.set(backlog.due);
    oldestDue.set(backlog.oldestDueAt === null ? 0 : Math.max(0, (now - backlog.oldestDueAt) / 1000));
    const open = (await listOpenAlerts(db)).filter(({ endedAt }) => endedAt === null);
    for (const alert of alertNames) alerts.set({ alert }, open.filter(({ name }) => name === alert).length);
    const troubled = await countTroubledEndpoints(db);
    failing.set(troubled.failing);
    for (const reason of disabledReasons) disabled.set({ reason }, troubled.disabled[reason]);
  }

  async function readPools(now: number): Promise<void> {
    const startedAt = performance.now();
    const counts = await describePools(db, null, config.payments, now);
    const tookMs = performance.now() - startedAt;
    pools.reset();
    exhaustedIn.reset();
    for (const pool of counts) {
      const labels = { merchant: pool.merchantId, network: pool.network, currency: pool.currency ?? 'all' };
      for (const state of ['free', 'held', 'quarantined', 'retired', 'derivable'] as const) {
        pools.set({ ...labels, state }, pool[state]);
      }
      const { exhaustedInSeconds } = pool.forecast;
      if (exhaustedInSeconds !== null) exhaustedIn.set(labels, exhaustedInSeconds);
    }
    poolsDueAt = now + Math.max(poolsEveryMs, tookMs * poolsShare);
  }
}

/** Pages until one is not full; `take` moves the mark from which the next begins. */
async function eachPage<T>(list: () => Promise<T[]>, take: (row: T) => void): Promise<void> {
  for (let full = true; full; ) {
    const rows = await list();
    for (const row of rows) take(row);
    full = rows.length === pageSize;
  }
}
