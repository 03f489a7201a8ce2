import { createHash } from 'node:crypto';
import type pg from 'pg';

/*
 * Without a name PostgreSQL parses and analyses a statement each time it comes, which takes it as long as running a small
 * one; with a name once for each connection. A name belongs to a session, and so to nobody behind a pooler that gives each
 * transaction another one (PgBouncer before 1.21, and later ones unless told otherwise): statements get names only on
 * connections that lead to the server itself.
 */

/** Each costs memory of the server, on each connection. */
const mostNames = 250;

/** Lists of many lengths are as many texts. */
const mostParameters = 64;

/** Texts that came once; forgotten together. */
const mostOnce = 1_000;

/** Of the process: each connection knows for itself which of them it has prepared. */
const names = new Map<string, string>();
const once = new Set<string>();

/** Asks the server for its own number of the session, as the last result. */
export const askBackend = 'select pg_backend_pid() as pid';

/** Whether nobody is between us and the server: a pooler tells its clients numbers of its own. */
export function isDirect(client: pg.ClientBase, backend: unknown): boolean {
  const told = (client as { processID?: unknown }).processID;
  return told !== null && told !== undefined && told === backend;
}

/**
 * The statement's name on every connection, from the second time it comes; undefined where it shall have none. After each of the
 * `changes` of tables it is another: a session does not prepare a statement again under a name that it knows.
 */
export function statementName(text: string, parameters: number, changes: number): string | undefined {
  if (parameters === 0 || parameters > mostParameters) return undefined;
  const name = nameOf(text);
  return name === undefined || changes === 0 ? name : `${name}_${changes}`;
}

function nameOf(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined || names.size >= mostNames) return known;
  if (!once.delete(text)) {
    if (once.size >= mostOnce) once.clear();
    once.add(text);
    return undefined;
  }
  // Of its text: where a pooler hides, a session may have what another process prepared, and must not run that for this.
  const name = `depositd_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
  names.set(text, name);
  return name;
}
