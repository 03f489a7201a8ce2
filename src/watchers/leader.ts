import { DepositdError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { runLoop } from '../loop.ts';
import { holdLease, releaseLease, takeLease } from '../storage/chains/leases.ts';
import { fencedBy, inTransaction, isPostgres } from '../storage/database.ts';
import type { Db } from '../storage/schema.ts';

/** Of several daemons on one PostgreSQL database, one reads each chain; another takes over when it dies. */
export type Leader = {
  /** The database for whoever leads: a transaction on it throws `LeaseLost` once another process has taken over. */
  db: Db;
  /** Whether this process leads now, by the lease as it was kept last. */
  leads(): Promise<boolean>;
  /** Lets another process take over at once. */
  resign(): Promise<void>;
};

/** Another process leads now. What was rolled back is read again there. */
export class LeaseLost extends DepositdError {
  constructor(name: string) {
    super('lease_lost', `another process has taken over: ${name}`);
  }
}

/** How long a dead leader keeps its lease, ms. */
export const leaseMs = 12_000;

/** Between two times that the leader keeps its lease, and that a follower tries to take it, ms. */
const keepEveryMs = 3_000;
const tryEveryMs = 1_000;

/**
 * The lease is kept by a loop of its own: reading a span may take longer than it lasts. A process that was paused for longer
 * believes that it leads until it asks or commits: its commits hold on to the lease, and fail where another has it.
 * On SQLite there is one daemon, which always leads.
 */
export function createLeader({
  db,
  name,
  holder,
  log,
}: {
  db: Db;
  name: string;
  /** Of this process, by which others know it. */
  holder: string;
  log: Logger;
}): Leader {
  if (!isPostgres(db)) return { db, leads: async () => true, resign: async () => {} };
  /** On the clock of `performance`, from before the database was asked: ours ends no later than the lease there. */
  let until = Number.NEGATIVE_INFINITY;
  const asked = Promise.withResolvers<void>();

  async function keep(): Promise<void> {
    const now = performance.now();
    try {
      const taken = await inTransaction(db, (trx) => takeLease(trx, { name, holder, forMs: leaseMs }));
      until = taken ? now + leaseMs : Number.NEGATIVE_INFINITY;
    } finally {
      asked.resolve();
    }
  }

  const isLeading = () => performance.now() < until;
  const delay = () => (isLeading() ? keepEveryMs : tryEveryMs);
  const loop = runLoop({ name: 'lease', step: keep, delay, log });
  return {
    db: fencedBy(db, async (trx) => {
      if (await holdLease(trx, { name, holder })) return;
      until = Number.NEGATIVE_INFINITY;
      throw new LeaseLost(name);
    }),
    async leads() {
      await asked.promise;
      return isLeading();
    },
    async resign() {
      await loop.stop();
      asked.resolve();
      if (until === Number.NEGATIVE_INFINITY) return;
      until = Number.NEGATIVE_INFINITY;
      await inTransaction(db, (trx) => releaseLease(trx, { name, holder }));
    },
  };
}
