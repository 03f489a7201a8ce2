import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
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
 * readers can move. On SQLite there is one daemon, which always leads.
 */
export function createLeader({ db, name, clock }: { db: Db; name: string; clock: Clock }): Leader {
  const holder = randomUUID();
  let until = 0;
  if (!isPostgres(db)) return { leads: async () => true, resign: async () => {} };
  return {
    async leads() {
      const now = clock();
      if (now < until - leaseMs / 2) return true;
      const next = now + leaseMs;
      const taken = await inTransaction(db, (trx) => takeLease(trx, { name, holder, now, until: next }));
      until = taken ? next : 0;
      return taken;
    },
    async resign() {
      if (until === 0) return;
      until = 0;
      await inTransaction(db, (trx) => releaseLease(trx, { name, holder }));
    },
  };
}
