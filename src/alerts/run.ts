import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { reasonOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import { releaseLease, takeLease } from '../storage/chains/leases.ts';
import { inTransaction, isPostgres } from '../storage/database.ts';
import { isStorageFault } from '../storage/faults.ts';
import { type Alert, listOpenAlerts, pruneAlerts, saveAlert } from '../storage/operators/alerts.ts';
import type { Db } from '../storage/schema.ts';
import { alertCatalog } from './catalog.ts';
import { decide, type Waiting } from './decide.ts';
import { evaluate, type Facts, type Finding } from './evaluate.ts';
import { createNotices, type Round } from './notices.ts';
import type { Way } from './ways.ts';

/** How often it is looked, ms. */
export const alertEveryMs = 15_000;

/** Another process takes over when nothing was heard of this one for so long, ms. */
const leaseMs = 60_000;

/** What ended is shown for so long, ms. */
const rememberedMs = 30 * 24 * 3_600_000;

/** Things that happened and could not be written down yet; there are never so many. */
const mostNoted = 100;

export type AlertsDeps = {
  db: Db;
  config: Pick<Config, 'alerts' | 'publicUrl'>;
  facts: { read(): Promise<Facts> };
  ways: readonly Way[];
  /** Of this process, by which others know it. */
  holder: string;
  /** By which people know it, where there may be others. */
  processName: string;
  /** Whether this process may look; else it only writes down what it notes itself. By default it may. */
  looks?: boolean;
  clock: Clock;
  log: Logger;
};

export type Alerts = {
  /** Looks once, writes down what began and ended, and tells the operator. */
  step(): Promise<void>;
  /** Something that happened in this process: told of at the next step. */
  note(finding: Finding): void;
  /** Lets another process look at once, when no step runs any more. */
  stop(): Promise<void>;
};

/** Of several processes on one database, one looks. */
export function createAlerts(deps: AlertsDeps): Alerts {
  const { db, config, facts, ways, holder, processName, looks = true, clock, log } = deps;
  const told = { ways, mute: config.alerts.mute, service: new URL(config.publicUrl).host };
  const lease = { name: 'alerts', holder };
  const notices = createNotices(told);
  const outageNotices = createNotices(told);
  let waiting: Waiting = new Map();
  let noted: Finding[] = [];
  /** While nothing can be written down. */
  let outage: Alert | null = null;

  async function isLeader(): Promise<boolean> {
    if (!looks || !isPostgres(db)) return looks;
    return inTransaction(db, (trx) => takeLease(trx, { ...lease, forMs: leaseMs }));
  }

  async function look(): Promise<void> {
    const found = await facts.read();
    const { now } = found;
    await writeOutage();
    await writeNoted(now);
    if (!(await isLeader())) return;
    const decision = decide(await listOpenAlerts(db), evaluate(found), waiting, now);
    waiting = decision.waiting;
    await save([...decision.began, ...decision.lasting, ...decision.ended]);
    for (const alert of decision.began) log.warn(fieldsOf(alert), 'alert began');
    for (const alert of decision.ended) log.info(fieldsOf(alert), 'alert ended');
    const round = await notices.round(await listOpenAlerts(db), now);
    tellRefused(round);
    await save(round.told);
    if (decision.ended.length > 0) await inTransaction(db, (trx) => pruneAlerts(trx, now - rememberedMs));
  }

  async function save(alerts: readonly Alert[]): Promise<void> {
    if (alerts.length === 0) return;
    await inTransaction(db, async (trx) => {
      for (const alert of alerts) await saveAlert(trx, alert);
    });
  }

  /** Also where another process looks: only we know of it. */
  async function writeNoted(now: number): Promise<void> {
    if (noted.length === 0) return;
    const writing = noted;
    const { began, lasting } = decide(await listOpenAlerts(db), writing, new Map(), now);
    await save([...began, ...lasting]);
    noted = noted.slice(writing.length);
    for (const alert of began) log.warn(fieldsOf(alert), 'alert began');
  }

  /** The database is back: the alert of its absence ends like every other. */
  async function writeOutage(): Promise<void> {
    if (outage === null) return;
    if (outage.told === 'begin') await save([outage]);
    outage = null;
  }

  /**
   * Of a database that is away the operator is told without it: by each process that may look, as they cannot agree on one, and each
   * with its name, as it may be away for one alone. The end is told once.
   */
  async function tellOutage(error: unknown): Promise<void> {
    const now = clock();
    const seenFrom = isPostgres(db) ? `, seen from ${processName}` : '';
    const text = `the database${seenFrom}: ${reasonOf(error)}`;
    const begin = { name: 'database_trouble', subject: '', beganAt: now, endedAt: null } as const;
    const current: Alert = { told: 'nothing', ...begin, ...outage, text, seenAt: now };
    outage = current;
    if (now - current.beganAt < alertCatalog.database_trouble.afterSeconds * 1000) return;
    const round = await outageNotices.round([current], now);
    tellRefused(round);
    outage = round.told[0] ?? current;
  }

  function tellRefused({ refused }: Round): void {
    for (const { way, reason, retryInMs } of refused)
      log.warn({ to: way, reason, retry_in_ms: retryInMs }, 'alert not sent');
  }

  return {
    note: (finding) => {
      if (noted.length < mostNoted) noted = [...noted, finding];
    },
    stop: async () => {
      if (!isPostgres(db)) return;
      // Without it the lease ends by itself.
      await inTransaction(db, (trx) => releaseLease(trx, lease)).catch(() => {});
    },
    async step() {
      try {
        await look();
      } catch (error) {
        if (looks && isStorageFault(error)) await tellOutage(error);
        throw error;
      }
    },
  };
}

function fieldsOf({ name, subject, text }: Alert): Record<string, string> {
  return { alert: name, severity: alertCatalog[name].severity, subject, text };
}
