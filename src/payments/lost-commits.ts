import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Payment } from '../core/payment.ts';
import type { Logger } from '../log.ts';
import { beginHold, holdMs } from '../pool/hold.ts';
import { timeOrNull } from '../present/values.ts';
import { inTransaction, isPostgres } from '../storage/database.ts';
import { type NewestPayment, newestPaymentOf } from '../storage/newest-payment.ts';
import { findPaymentNumbers } from '../storage/payments/numbers.ts';
import { lockAddressTable, readHold } from '../storage/pool/holds.ts';
import type { Db } from '../storage/schema.ts';
import { lookAtTimeline, timelineChanges } from '../storage/timeline.ts';

/** Finds out whether the database has lost payments that this process had committed. */
export type LostCommits = {
  /** Remembers a payment that this process has committed, and that somebody may have been told of. */
  committed(payment: Pick<Payment, 'id' | 'paymentNumber'>): void;
  /** Why no payment may be created just now; null when one may. Costs nothing. */
  refusal(): string | null;
  /** Checks that the remembered payments are still there. Where one is gone, every address is held back. */
  step(): Promise<void>;
};

export type LostCommitsDeps = {
  db: Db;
  config: Pick<Config, 'payments' | 'chains'>;
  clock: Clock;
  log: Logger;
  /** Told that the database has gone back: rows that are cached here may be gone, or be other rows now. */
  wentBack: () => void;
  /** Of a SQLite database: what the process before this one knew. */
  newest?: NewestPayment | null;
  /** Never goes back, ms. */
  steady?: Clock;
};

/** How often each process checks, ms. */
export const checkCommitsEveryMs = 10_000;

/** Within this time, ms, after another timeline was shown, every other process has checked too. No payment is created meanwhile. */
const othersCheckWithinMs = 15_000;

/** Processes that find the same loss within this time, ms, hold addresses back once. */
const sameLossMs = 60_000;

const reason = 'the database has lost payments that it had committed';

/** Checks once before anything is served: an older copy may have been put in the place of a SQLite database. */
export async function openLostCommits(
  deps: LostCommitsDeps & { config: Pick<Config, 'database'> },
): Promise<LostCommits> {
  const lostCommits = createLostCommits({ ...deps, newest: newestPaymentOf(deps.config.database) });
  await lostCommits.step();
  return lostCommits;
}

/**
 * A standby that is promoted may lack the last commits, and so may a database that is restored under a running process. The
 * customers of the payments that are gone still see their addresses, so nobody else may be given one of these.
 *
 * Each process remembers the payments that it has committed since its last check, and the newest one before. At each check it looks
 * for them in the database; where one is missing it holds every address back. When the server shows another timeline no payment is
 * created until this process has checked, and for some seconds in which the others do. The check does not depend on that: behind
 * a pooler another timeline may go unnoticed.
 */
export function createLostCommits(deps: LostCommitsDeps): LostCommits {
  const { db, config, clock, log, wentBack, newest = null, steady = () => performance.now() } = deps;
  /** A SQLite database has this process alone: only a start may find that it has gone back. */
  const isChecked = isPostgres(db) || newest !== null;
  const noted = newest?.read() ?? null;
  /** Ids by payment number. */
  const committed = new Map<string, number>(noted === null ? [] : [[noted.paymentNumber, noted.id]]);
  let notedId = noted?.id ?? null;
  /** How often the timeline had changed at the last check. */
  let checkedChanges = timelineChanges(db);
  let waitUntil = Number.NEGATIVE_INFINITY;
  /** Whether a payment was not found, and the hold for it is not written yet. */
  let isMissing = false;

  /**
   * Holds every address back where a payment is gone. It looks for them once more, while nobody else can give an address away: what
   * is missing on a server that is merely behind is no loss.
   *
   * @returns null when nothing is lost; `until` is null where another process has held the addresses back already.
   */
  async function holdBack(
    payments: ReadonlyMap<string, number>,
  ): Promise<{ paymentNumber: string; until: number | null } | null> {
    return inTransaction(db, async (trx) => {
      await lockAddressTable(trx);
      const paymentNumber = await findLost(trx, payments);
      if (paymentNumber === null) return null;
      const at = clock();
      const before = await readHold(trx, at);
      if (before?.reason === reason && at - before.at < sameLossMs) return { paymentNumber, until: null };
      const until = at + (await holdMs(trx, config.payments));
      await beginHold(trx, config.chains, { at, until, reason, actor: 'depositd' });
      return { paymentNumber, until: Math.max(until, before?.until ?? 0) };
    });
  }

  /** While the newest payment is there, so are those before it: it alone is looked for again. */
  function forget(checked: ReadonlyMap<string, number>, isLost: boolean): void {
    let newest = 0;
    for (const id of checked.values()) newest = Math.max(newest, id);
    for (const [number, id] of checked) if (isLost || id !== newest) committed.delete(number);
  }

  /** Where one is noted that is older than the newest, most of what an older copy lacks is found by it all the same. */
  function noteNewest(): void {
    if (newest === null) return;
    const [last = null] = [...committed].toSorted(([, a], [, b]) => b - a);
    const id = last?.[1] ?? null;
    if (id === notedId) return;
    try {
      newest.write(last === null ? null : { paymentNumber: last[0], id: last[1] });
      notedId = id;
    } catch {
      // Its disk is full: the next check tries again.
    }
  }

  return {
    committed({ id, paymentNumber }) {
      if (isChecked) committed.set(paymentNumber, id);
    },
    refusal() {
      if (!isMissing && timelineChanges(db) === checkedChanges && steady() >= waitUntil) return null;
      return 'the database is another server now, and it is being checked for payments that it may have lost';
    },
    async step() {
      if (!isChecked) return;
      await lookAtTimeline(db);
      const changes = timelineChanges(db);
      const checked = new Map(committed);
      isMissing = (await findLost(db, checked)) !== null;
      const loss = isMissing ? await holdBack(checked) : null;
      isMissing = false;
      if (loss !== null) {
        log.error(
          { payment_number: loss.paymentNumber, held_until: timeOrNull(loss.until) },
          'database lost payments',
        );
        wentBack();
      }
      forget(checked, loss !== null);
      noteNewest();
      if (changes === checkedChanges) return;
      checkedChanges = changes;
      waitUntil = steady() + othersCheckWithinMs;
      log.warn({ wait_seconds: othersCheckWithinMs / 1000 }, 'database timeline changed');
      wentBack();
    },
  };
}

/** Ids in one statement. */
const atOnce = 1_000;

/** The number of a payment that is not there, or whose id another payment has now; null when all are there. */
async function findLost(db: Db, payments: ReadonlyMap<string, number>): Promise<string | null> {
  const all = [...payments];
  for (let first = 0; first < all.length; first += atOnce) {
    const part = all.slice(first, first + atOnce);
    const numbers = await findPaymentNumbers(
      db,
      part.map(([, id]) => id),
    );
    const lost = part.find(([number, id]) => numbers.get(id) !== number);
    if (lost !== undefined) return lost[0];
  }
  return null;
}
