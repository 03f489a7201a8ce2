import { codeOf, isStorageFault } from './faults.ts';
import { certificateFault } from './postgres-tls.ts';

/**
 * Whether the database takes what this process writes, from what its own transactions came to: looking at it costs
 * no write.
 */
export type WriteHealth = {
  /** A transaction that added rows is on the disk. */
  succeeded(): void;
  failed(error: unknown): void;
  /** Why nothing can be written; null when something can, for all that is known. */
  trouble(): string | null;
};

/** A full disk has room for small things: after a failure this long must pass without another, ms. */
const quietMs = 20_000;

/** A lock that did not come in time is somebody's, not everybody's: so many in a row are a fault of the database. */
const patience = 3;

/** `clock` tells milliseconds and is never set back. */
export function createWriteHealth(clock: () => number = () => performance.now()): WriteHealth {
  let reason: string | null = null;
  let failedAt = 0;
  let failures = 0;
  return {
    succeeded() {
      failures = 0;
      if (clock() - failedAt >= quietMs) reason = null;
    },
    failed(error) {
      if (!isStorageFault(error)) return;
      failures++;
      const lasting = lastingReason(error);
      if (lasting === null && failures < patience) return;
      reason = lasting ?? 'it does not do what is asked within its time limits';
      failedAt = clock();
    },
    trouble: () => reason,
  };
}

/** Null for what the next transaction may already not meet. */
function lastingReason(error: unknown): string | null {
  const code = codeOf(error) ?? '';
  if (code === 'SQLITE_READONLY_DBMOVED') return 'its file was moved or replaced while it was open';
  if (/^(25006|SQLITE_READONLY)/.test(code)) return 'it is read-only';
  if (/^(53100|SQLITE_FULL)/.test(code)) return 'its disk is full';
  if (/^(58...|SQLITE_(IOERR|CANTOPEN))/.test(code)) return 'its disk cannot be written';
  if (/^SQLITE_BUSY/.test(code)) return 'another process keeps it locked';
  if (/^(25P03|55P03|57014|40001|40P01)$/.test(code)) return null;
  if (code.startsWith('28')) return 'it does not accept our login';
  return certificateFault(error) ?? 'it cannot be reached';
}
