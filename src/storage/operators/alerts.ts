import { sql } from 'kysely';
import { type AlertName, alertNames } from '../../alerts/catalog.ts';
import type { Db, Trx } from '../schema.ts';

/** Something that an operator is called for, or was. Times are Unix ms, by `databaseTime`. */
export type Alert = {
  name: AlertName;
  /** What it is about, of its own kind; empty where there is only one. */
  subject: string;
  /** One sentence, as it was when last looked. */
  text: string;
  beganAt: number;
  /** When it was last seen. */
  seenAt: number;
  endedAt: number | null;
  /** What was sent of it. */
  told: 'nothing' | 'begin' | 'end';
};

const columns = ['name', 'subject', 'text', 'began_at', 'seen_at', 'ended_at', 'told'] as const;

/**
 * Those that last, and those that ended of which somebody may still be told. A newer version beside this one knows of more: its
 * alerts are its own affair.
 */
export async function listOpenAlerts(db: Db): Promise<Alert[]> {
  const rows = await db
    .selectFrom('alerts')
    .select(columns)
    .where('name', 'in', alertNames)
    // One that lasts has never been told of to the end.
    .where('told', '!=', sql.lit('end'))
    .orderBy('began_at')
    .orderBy('name')
    .orderBy('subject')
    .execute();
  return rows.map(toAlert);
}

/** Those that ended, the newest first. */
export async function listEndedAlerts(db: Db, limit: number): Promise<Alert[]> {
  const rows = await db
    .selectFrom('alerts')
    .select(columns)
    .where('ended_at', 'is not', null)
    .where('name', 'in', alertNames)
    .orderBy('ended_at', 'desc')
    .limit(limit)
    .execute();
  return rows.map(toAlert);
}

/** One that ended is begun again. */
export async function saveAlert(trx: Trx, alert: Alert): Promise<void> {
  const { name, subject, ...rest } = alert;
  const values = {
    text: rest.text,
    began_at: rest.beganAt,
    seen_at: rest.seenAt,
    ended_at: rest.endedAt,
    told: rest.told,
  };
  await trx
    .insertInto('alerts')
    .values({ name, subject, ...values })
    .onConflict((conflict) => conflict.columns(['name', 'subject']).doUpdateSet(values))
    .execute();
}

export async function pruneAlerts(trx: Trx, endedBefore: number): Promise<void> {
  await trx.deleteFrom('alerts').where('ended_at', '<', endedBefore).execute();
}

function toAlert(row: {
  name: string;
  subject: string;
  text: string;
  began_at: number;
  seen_at: number;
  ended_at: number | null;
  told: string;
}): Alert {
  return {
    name: row.name as AlertName,
    subject: row.subject,
    text: row.text,
    beganAt: row.began_at,
    seenAt: row.seen_at,
    endedAt: row.ended_at,
    told: row.told as Alert['told'],
  };
}
