import type { Db, Trx } from '../schema.ts';

/** One change that an operator made, or that was made in an operator's name. Never holds a secret. */
export type AuditEntry = {
  /** Unix ms. */
  at: number;
  /** Who: `admin` over HTTP with the token, `cli` on the machine, `user NAME` who is signed in. */
  actor: string;
  /** What, as `thing.verb`: `merchant.added`, `key.revoked`. */
  action: string;
  /** The id of what was changed. */
  subject: string;
  detail: Record<string, unknown>;
};

/** Belongs in the transaction of the change itself. Entries are only ever added. */
export async function recordAudit(trx: Trx, entry: AuditEntry): Promise<void> {
  await trx
    .insertInto('audit_log')
    .values({ ...entry, detail: JSON.stringify(entry.detail) })
    .execute();
}

/** Newest first. `subject` (null: every one) is the id of what was changed. */
export async function listAudit(
  db: Db,
  filter: { subject?: string | null; beforeId: number | null; limit: number },
): Promise<(AuditEntry & { id: number })[]> {
  let query = db
    .selectFrom('audit_log')
    .select(['id', 'at', 'actor', 'action', 'subject', 'detail'])
    .orderBy('id', 'desc')
    .limit(filter.limit);
  if (filter.subject != null) query = query.where('subject', '=', filter.subject);
  if (filter.beforeId !== null) query = query.where('id', '<', filter.beforeId);
  const rows = await query.execute();
  return rows.map((row) => ({ ...row, detail: JSON.parse(row.detail) as Record<string, unknown> }));
}

/** When something was last done to a subject, Unix ms; null: never. */
export async function lastAuditAt(
  db: Db,
  { subject, action }: { subject: string; action: string },
): Promise<number | null> {
  const row = await db
    .selectFrom('audit_log')
    .select('at')
    .where('subject', '=', subject)
    .where('action', '=', action)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.at ?? null;
}
