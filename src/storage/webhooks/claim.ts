import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import { CommandError, reasonOf } from '../../errors.ts';
import { ensureFile, ensureFolder } from '../../files.ts';

export type DaemonClaim = { release(): void };

/**
 * Makes this process the only daemon on an SQLite database, until released or until the process ends in
 * whatever way: what holds is a lock of the operating system, so a crash leaves nothing to clean up. Other
 * commands open the database as they like. On PostgreSQL several daemons share the work and nothing is claimed.
 *
 * @throws CommandError when another daemon runs on this database.
 */
export async function claimDaemon(databaseUrl: string): Promise<DaemonClaim> {
  if (!databaseUrl.startsWith('sqlite:')) return { release: () => {} };
  const path = databaseUrl.slice('sqlite:'.length);
  if (path === ':memory:') return { release: () => {} };

  const lockPath = `${path}.lock`;
  let file: Sqlite.Database | undefined;
  try {
    ensureFolder(dirname(lockPath));
    ensureFile(lockPath);
    // SQLite's own file locks, on a file beside the database: Node has no call for them.
    const opened = new Sqlite(lockPath, { timeout: 0 });
    file = opened;
    opened.exec('begin exclusive');
    return { release: () => opened.close() };
  } catch (error) {
    file?.close();
    if ((error as { code?: unknown }).code === 'SQLITE_BUSY') {
      throw new CommandError(`another depositd already serves the database ${path}; stop it first`, {
        cause: error,
      });
    }
    throw new CommandError(
      `cannot lock ${lockPath} (beside "database" in the configuration): ${reasonOf(error)}`,
      { cause: error },
    );
  }
}
