import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Payment } from '../core/payment.ts';
import type { Logger } from '../log.ts';
import { beginHold, holdMs } from '../pool/hold.ts';
import { timeOrNull } from '../present/values.ts';
import { inTransaction, isPostgres } from '../storage/database.ts';
import { findPaymentNumbers } from '../storage/payments/numbers.ts';
import { lockAddressTable, readHold } from '../storage/pool/holds.ts';
import type { Db } from '../storage/schema.ts';
import { lookAtTimeline, timelineChanges } from '../storage/timeline.ts';

/** What tells that the database has lost what it had committed. */
export type LostCommits = {
  /** This process has committed a payment, and told somebody. */
  committed(payment: Pick<Payment, 'id' | 'paymentNumber'>): void;
  /** Why no payment should be made just now; null when one can be. Costs nothing. */
  unchecked(): string | null;
  /** Looks whether what this process has committed is still there. */
  step(): Promise<void>;
};

export type LostCommitsDeps = {
  db: Db;
  config: Pick<Config, 'payments' | 'chains'>;
  clock: Clock;
  log: Logger;
  /** The database has gone back: what is kept of it in memory may be of rows that are not there, or are others. */
  wentBack: () => void;
  /** Never goes back, ms. */
  steady?: Clock;
};

/** How often it is looked. */
export const lookForLossMs = 10_000;

/** After another timeline was shown, every other process looks within this time, ms, and holds addresses back where its payment is gone. */
const othersLookMs = 15_000;

/** The holds of processes that find the same loss are one. */
const sameLossMs = 60_000;

const reason = 'the database has lost payments that it had committed';

/**
 * A standby that is promoted, and a database that is restored under a running process, may lack the last commits: payments whose
 * customers look at their addresses. Each process knows those that it has committed itself since its last look, and the newest before.
 * When the server shows another timeline no payment is made until they were looked for, by this process and, within some seconds,
 * by the others; where one is gone, every address is held back. Without another timeline, such as behind a pooler, they are looked
 * for all the same.
 */
export function createLostCommits(deps: LostCommitsDeps): LostCommits {
  const { db, config, clock, log, wentBack, steady = () => performance.now() } = deps;
  /** Ids by number: of the newest that was found at the last look, and of all that were committed since. */
  const committed = new Map<string, number>();
  let checkedChanges = timelineChanges(db);
  let waitUntil = Number.NEGATIVE_INFINITY;
  let isGone = false;

  /** Looks again where nobody else can commit: a look on a server that is behind holds nothing back. Null: nothing is lost. */
  async function hold(
    looked: ReadonlyMap<string, number>,
  ): Promise<{ paymentNumber: string; until: number | null } | null> {
    return inTransaction(db, async (trx) => {
      await lockAddressTable(trx);
      const paymentNumber = await findLost(trx, looked);
      if (paymentNumber === null) return null;
      const at = clock();
      const before = await readHold(trx, at);
      if (before?.reason === reason && at - before.at < sameLossMs) return { paymentNumber, until: null };
      const until = at + (await holdMs(trx, config.payments));
      await beginHold(trx, config.chains, { at, until, reason, actor: 'depositd' });
      return { paymentNumber, until: Math.max(until, before?.until ?? 0) };
    });
  }

  return {
    committed({ id, paymentNumber }) {
      if (isPostgres(db)) committed.set(paymentNumber, id);
    },
    unchecked() {
      if (!isGone && timelineChanges(db) === checkedChanges && steady() >= waitUntil) return null;
      return 'the database is another server now, and is being looked over for payments that it may have lost';
    },
    async step() {
      if (!isPostgres(db)) return;
      await lookAtTimeline(db);
      const changes = timelineChanges(db);
      const looked = new Map(committed);
      isGone = (await findLost(db, looked)) !== null;
      const found = isGone ? await hold(looked) : null;
      isGone = false;
      if (found !== null) {
        log.error(
          { payment_number: found.paymentNumber, held_until: timeOrNull(found.until) },
          'database lost payments',
        );
        wentBack();
      }
      let newest = 0;
      if (found === null) for (const id of looked.values()) newest = Math.max(newest, id);
      for (const [number, id] of looked) if (id !== newest) committed.delete(number);
      if (changes === checkedChanges) return;
      checkedChanges = changes;
      waitUntil = steady() + othersLookMs;
      log.warn({ wait_seconds: othersLookMs / 1000 }, 'database timeline changed');
      wentBack();
    },
  };
}

/** Ids in one statement. */
const atOnce = 1_000;

/** The number of one that is not there, or is another one now; null when all are. */
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
