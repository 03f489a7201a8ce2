import type { UserRole } from '../../core/user.ts';
import type { Db, Schema, Trx } from '../schema.ts';

/** A browser in which somebody is signed in. */
export type UserSession = {
  id: string;
  userId: string;
  createdAt: number;
  seenAt: number;
  /** Where and with what it was begun, for its user to recognise it by. */
  address: string;
  agent: string;
};

/** A session with whom it is for. */
export type SignedIn = UserSession & { name: string; role: UserRole; merchantId: string | null };

export async function insertSession(trx: Trx, session: UserSession & { hash: string }): Promise<void> {
  await trx
    .insertInto('user_sessions')
    .values({
      id: session.id,
      hash: session.hash,
      user_id: session.userId,
      created_at: session.createdAt,
      seen_at: session.seenAt,
      address: session.address,
      agent: session.agent,
    })
    .execute();
}

/** Of a user who is not disabled, seen after `seenAfter` (Unix ms); else null. */
export async function findSession(db: Db, hash: string, seenAfter: number): Promise<SignedIn | null> {
  const row = await db
    .selectFrom('user_sessions')
    .innerJoin('users', 'users.id', 'user_sessions.user_id')
    .select(sessionColumns)
    .select(['users.name', 'users.role', 'users.merchant_id'])
    .where('user_sessions.hash', '=', hash)
    .where('user_sessions.seen_at', '>', seenAfter)
    .where('users.disabled_at', 'is', null)
    .executeTakeFirst();
  if (row === undefined) return null;
  return { ...toSession(row), name: row.name, role: row.role, merchantId: row.merchant_id };
}

/** Last seen first. */
export async function listSessions(db: Db, userId: string, seenAfter: number): Promise<UserSession[]> {
  const rows = await db
    .selectFrom('user_sessions')
    .select(sessionColumns)
    .where('user_id', '=', userId)
    .where('seen_at', '>', seenAfter)
    .orderBy('seen_at', 'desc')
    .orderBy('id')
    .execute();
  return rows.map(toSession);
}

export async function touchSession(trx: Trx, id: string, at: number): Promise<void> {
  await trx
    .updateTable('user_sessions')
    .set({ seen_at: at })
    .where('id', '=', id)
    .where('seen_at', '<', at)
    .execute();
}

/** False when it is not this user's, or has ended. */
export async function endSession(trx: Trx, userId: string, id: string): Promise<boolean> {
  const result = await trx
    .deleteFrom('user_sessions')
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .executeTakeFirst();
  return result.numDeletedRows === 1n;
}

/** Ends every session, and every link by which a password is chosen: which of them were ended, or used, is not known. */
export async function endAllSessions(trx: Trx): Promise<void> {
  await trx.deleteFrom('user_sessions').execute();
  await trx.deleteFrom('user_links').execute();
}

/** All of a user's but one. */
export async function endSessionsOf(trx: Trx, userId: string, keep: string | null = null): Promise<void> {
  let ended = trx.deleteFrom('user_sessions').where('user_id', '=', userId);
  if (keep !== null) ended = ended.where('id', '<>', keep);
  await ended.execute();
}

export async function pruneSessions(trx: Trx, seenBefore: number, limit: number): Promise<number> {
  const old = trx.selectFrom('user_sessions').select('id').where('seen_at', '<=', seenBefore).limit(limit);
  const result = await trx.deleteFrom('user_sessions').where('id', 'in', old).executeTakeFirst();
  return Number(result.numDeletedRows);
}

const sessionColumns = [
  'user_sessions.id',
  'user_sessions.user_id',
  'user_sessions.created_at',
  'user_sessions.seen_at',
  'user_sessions.address',
  'user_sessions.agent',
] as const;

function toSession(row: Omit<Schema['user_sessions'], 'hash'>): UserSession {
  return {
    id: row.id,
    userId: row.user_id,
    createdAt: row.created_at,
    seenAt: row.seen_at,
    address: row.address,
    agent: row.agent,
  };
}
