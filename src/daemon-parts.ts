import { hostname } from 'node:os';
import { createFacts } from './alerts/facts.ts';
import { type Alerts, createAlerts } from './alerts/run.ts';
import { createAlertsOutbound, createWay } from './alerts/ways.ts';
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import { CommandError } from './errors.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import { createNotifier, type Notifier } from './notify/deliver.ts';
import type { Secrets } from './notify/secrets.ts';
import { createOutbound } from './outbound.ts';
import { coinsOf, createRates, type RatesService } from './rates/create.ts';
import { createRateMetrics } from './rates/metrics.ts';
import { isClockConfirmed, isClockWrong } from './storage/chains/clock.ts';
import { databaseTime, isPostgres, openDatabase } from './storage/database.ts';
import { hasPaymentOf } from './storage/payments/payments.ts';
import { settleRestore } from './storage/restore.ts';
import type { Db } from './storage/schema.ts';
import { claimDaemon } from './storage/webhooks/claim.ts';
import { programVersion } from './version.ts';

/*
 * Parts of the daemon, as its configuration wants them. What is opened is closed in reverse, also when the start fails
 * halfway.
 */

export type Closers = (() => Promise<void> | void)[];

/** How long the start waits for the first prices, ms. */
const firstRatesMs = 1_000;

/** Whoever asks right after "ready" should get a price; sources that are slow are asked again by the loop. */
export async function openRates(
  config: Config,
  { metrics, clock, log }: { metrics: Metrics; clock: Clock; log: Logger },
  closers: Closers,
): Promise<RatesService> {
  const rates = createRates({ config: config.rates, coins: coinsOf(config.chains), clock, log });
  closers.push(() => rates.close());
  createRateMetrics(metrics.registry, rates);
  await rates.refresh(AbortSignal.timeout(firstRatesMs));
  return rates;
}

export function openAlerts(
  config: Config,
  parts: { db: Db; rates: RatesService | null; holder: string; clock: Clock; log: Logger },
  closers: Closers,
): Alerts {
  const { db, clock, rates } = parts;
  const outbound = createAlertsOutbound(config.alerts, `depositd/${programVersion()}`);
  closers.push(() => outbound.close());
  const ways = config.alerts.to.map((way) => createWay(way, outbound));
  const facts = createFacts({ db, config, clock, timeOf: databaseTime, rates });
  const processName = `${hostname()}, process ${process.pid}`;
  return createAlerts({ ...parts, config, ways, facts, processName, looks: rates !== null });
}

export function openNotifier(
  config: Config,
  parts: { db: Db; secrets: Secrets; metrics: Metrics; clock: Clock; log: Logger },
  closers: Closers,
): Notifier {
  const outbound = createOutbound({
    allowHosts: config.webhooks.allowHosts,
    userAgent: `depositd/${programVersion()}`,
  });
  closers.push(() => outbound.close());
  const { db, secrets, metrics, clock, log } = parts;
  const notifier = createNotifier({
    db,
    outbound,
    secrets,
    livemode: !config.sandbox,
    headerPrefix: config.webhooks.headerPrefix,
    clock,
    log,
    exclusive: !isPostgres(db),
    retentionMs: config.webhooks.retentionDays * 24 * 3_600_000,
    replayOnRecovery: config.webhooks.replayOnRecovery,
    isClockKnownWrong: () => isClockWrong(db, clock),
    isClockConfirmed: () => isClockConfirmed(db, clock, Object.keys(config.chains)),
    observe: ({ verdict, record, eventAt }) => {
      metrics.attemptEnded(verdict.kind, record.durationMs);
      if (verdict.kind === 'delivered' && eventAt !== null)
        metrics.eventDelivered(record.startedAt + record.durationMs - eventAt);
    },
    gaveUp: metrics.deliveryGivenUp,
  });
  closers.push(() => notifier.stop());
  return notifier;
}

/**
 * The database, for this daemon alone where it is SQLite, as it was before a restore that was interrupted.
 *
 * @throws CommandError when it cannot be had.
 */
export async function openOwnDatabase(config: Config, log: Logger, closers: Closers): Promise<Db> {
  const claim = await claimDaemon(config.database);
  closers.push(() => claim.release());
  if (config.database.startsWith('sqlite:')) {
    const outcome = settleRestore(config.database.slice('sqlite:'.length));
    if (outcome !== null) log.warn({ outcome }, 'restore was interrupted');
  }
  const db = await openDatabase(config.database);
  closers.push(() => db.destroy());
  await refuseOtherMoney(db, config);
  return db;
}

/** What is worth something and what is not never stand in one database. */
async function refuseOtherMoney(db: Db, { sandbox }: Pick<Config, 'sandbox'>): Promise<void> {
  if (!(await hasPaymentOf(db, { livemode: sandbox }))) return;
  throw new CommandError(
    sandbox
      ? 'the database holds live payments, and "sandbox" is true in the configuration; give the sandbox a database of its own'
      : 'the database holds payments of a sandbox; give the live service a database of its own, or set "sandbox": true',
  );
}
