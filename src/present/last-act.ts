import { listAudit } from '../storage/operators/audit.ts';
import type { Db } from '../storage/schema.ts';
import { isoTime } from './values.ts';

/** Who did what to a subject last, as a sentence behind another; empty where nobody did anything. */
export async function lastActOn(db: Db, subject: string): Promise<string> {
  const [last] = await listAudit(db, { subject, beforeId: null, limit: 1 });
  return last === undefined ? '' : ` Last, ${last.actor}: ${last.action}, ${isoTime(last.at)}.`;
}
