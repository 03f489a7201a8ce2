import { randomUUID } from 'node:crypto';
import { releaseLease, takeLease } from '../storage/chains/leases.ts';
import { inTransaction, isPostgres } from '../storage/database.ts';
import type { Db } from '../storage/schema.ts';

/** Of several daemons on one PostgreSQL database, one reads each chain; another takes over when it dies. */
export type Leader = {
  /** Whether this process leads now. Asks the database only when its lease is about to end. */
  leads(): Promise<boolean>;
  resign(): Promise<void>;
};

/** How long a dead leader's chain is left unread at most, ms. */
const leaseMs = 15_000;

/**
 * Saves the followers their requests to the nodes; safety rests on the cursor, which only one of two
 * readers can move: a process that was paused for longer than its lease believes that it leads until it
 * commits, and then finds the cursor elsewhere. On SQLite there is one daemon, which always leads.
 */
export function createLeader({ db, name }: { db: Db; name: string }): Leader {
  const holder = randomUUID();
  /** On the clock of `performance`, from before the database was asked: ours ends no later than the lease there. */
  let until = Number.NEGATIVE_INFINITY;
  if (!isPostgres(db)) return { leads: async () => true, resign: async () => {} };
  return {
    async leads() {
      const now = performance.now();
      if (now < until - leaseMs / 2) return true;
      const taken = await inTransaction(db, (trx) => takeLease(trx, { name, holder, forMs: leaseMs }));
      until = taken ? now + leaseMs : Number.NEGATIVE_INFINITY;
      return taken;
    },
    async resign() {
      if (until === Number.NEGATIVE_INFINITY) return;
      until = Number.NEGATIVE_INFINITY;
      await inTransaction(db, (trx) => releaseLease(trx, { name, holder }));
    },
  };
}
