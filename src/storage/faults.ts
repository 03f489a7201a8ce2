/** SQLite's results that mean the disk or the file, not the statement. */
const sqliteFault = /^SQLITE_(FULL|IOERR|BUSY|LOCKED|READONLY|CANTOPEN|NOMEM|PROTOCOL)/;

/**
 * PostgreSQL's classes 53 (out of resources), 57 (shut down, cancelled, took too long) and 58 (I/O), connection
 * exceptions (08), a login that is not accepted any more (28), a server that has become a standby (25006), a transaction that was silent for too long (25P03),
 * a lock that did not come in time (55P03), what other transactions rolled back (40001, 40P01), and the system's
 * words for a server that is not there.
 */
const postgresFault = /^(53|57|58|08|28)...$|^(25006|25P03|55P03|40001|40P01)$/;
const networkFault =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/;

/** What Node and OpenSSL call a handshake that failed, a certificate that is not accepted among them. */
const tlsFault = /^(EPROTO$|ERR_SSL_|ERR_TLS_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_CA$)/;

/** A prepared statement that is not there, or is there already. */
const preparationFault = /^(26000|42P05)$/;

/** The session is over: connection exceptions, a server on its way down or up, a transaction that was silent for too long. */
const sessionEnd = /^(08...|57P0[1-5]|25P03)$/;

/** What `pg` throws without a code. */
const driverFault =
  /^(Connection terminated|The server does not support SSL|There was an error establishing an SSL|timeout exceeded when trying to connect|timeout expired$|Query read timeout|Client (has encountered a connection error|was closed) and is not queryable)/;

/** Whether the database could not do its work just now (full disk, no connection), through no fault of the query. */
export function isStorageFault(error: unknown): boolean {
  const code = codeOf(error);
  if (code === null) return isConnectionFault(error);
  return (
    sqliteFault.test(code) ||
    postgresFault.test(code) ||
    isUnreachable(code) ||
    isPreparationFault(error) ||
    isPlanChanged(error)
  );
}

/** Whether a statement is not prepared on a connection of PostgreSQL as we remember; nothing of it was done. */
export function isPreparationFault(error: unknown): boolean {
  return preparationFault.test(codeOf(error) ?? '');
}

/**
 * Whether a statement gives other columns than when it was prepared, after a table was changed; nothing of it was done. By the place
 * in the server that says so: its code is of many faults, and its words are in the server's language.
 */
export function isPlanChanged(error: unknown): boolean {
  return (error as { routine?: unknown } | null)?.routine === 'RevalidateCachedQuery';
}

/** Whether nothing more can be asked on the connection of PostgreSQL that gave this error. */
export function isConnectionFault(error: unknown): boolean {
  const code = codeOf(error);
  return code === null ? driverFault.test(messageOf(error)) : sessionEnd.test(code) || isUnreachable(code);
}

function isUnreachable(code: string): boolean {
  return networkFault.test(code) || tlsFault.test(code);
}

/** What SQLite, PostgreSQL or the system call the error; null when they gave it no code. */
export function codeOf(error: unknown): string | null {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : null;
}

function messageOf(error: unknown): string {
  const { message } = (error ?? {}) as { message?: unknown };
  return typeof message === 'string' ? message : '';
}
