/** SQLite's results that mean the disk or the file, not the statement. */
const sqliteFault = /^SQLITE_(FULL|IOERR|BUSY|LOCKED|READONLY|CANTOPEN|NOMEM|PROTOCOL)/;

/**
 * PostgreSQL's classes 53 (out of resources), 57 (shut down, cancelled) and 58 (I/O), connection exceptions
 * (08), a server that has become a standby (25006), and the system's words for a server that is not there.
 */
const postgresFault = /^(53|57|58|08)...$|^25006$/;
const networkFault =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/;

/** Whether the database could not do its work just now (full disk, no connection), through no fault of the query. */
export function isStorageFault(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (typeof code === 'string') {
    return sqliteFault.test(code) || postgresFault.test(code) || networkFault.test(code);
  }
  // What `pg` throws without a code.
  return (
    typeof message === 'string' &&
    /^(Connection terminated|timeout exceeded when trying to connect)/.test(message)
  );
}
