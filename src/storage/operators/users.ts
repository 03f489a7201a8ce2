import { randomBytes } from 'node:crypto';
import type { Selectable } from 'kysely';
import type { UserRole } from '../../core/user.ts';
import { serializeByName } from '../database.ts';
import type { Db, Schema, Trx } from '../schema.ts';

export type User = {
  id: string;
  name: string;
  role: UserRole;
  /** Whose objects alone this user sees; null: everybody's. */
  merchantId: string | null;
  /** As `hashPassword` made it; null until the first link was opened. */
  password: string | null;
  /** The sealed secret of the authenticator app; null without one. */
  totp: string | null;
  createdAt: number;
  disabledAt: number | null;
};

/** What makes two names the same to people. */
export function nameKey(name: string): string {
  return name.normalize('NFKC').toLowerCase();
}

/**
 * Whoever adds or disables users has the table alone: one operator is left, there is one first operator, and nobody is of a
 * merchant that was removed.
 */
export async function lockUsers(trx: Trx): Promise<void> {
  await serializeByName(trx, 'users');
}

/** Null when the name is taken. */
export async function insertUser(
  trx: Trx,
  user: { name: string; role: UserRole; merchantId: string | null; at: number },
): Promise<User | null> {
  const row = await trx
    .insertInto('users')
    .values({
      id: `usr_${randomBytes(8).toString('hex')}`,
      name: user.name,
      name_key: nameKey(user.name),
      role: user.role,
      merchant_id: user.merchantId,
      created_at: user.at,
    })
    .onConflict((conflict) => conflict.column('name_key').doNothing())
    .returning(userColumns)
    .executeTakeFirst();
  return row === undefined ? null : toUser(row);
}

export async function findUser(db: Db, name: string): Promise<User | null> {
  const row = await db
    .selectFrom('users')
    .select(userColumns)
    .where('name_key', '=', nameKey(name))
    .executeTakeFirst();
  return row === undefined ? null : toUser(row);
}

export async function getUser(db: Db, id: string): Promise<User | null> {
  const row = await db.selectFrom('users').select(userColumns).where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : toUser(row);
}

/** Oldest first, disabled ones included. */
export async function listUsers(db: Db, part?: { offset: number; limit: number }): Promise<User[]> {
  const all = db.selectFrom('users').select(userColumns).orderBy('created_at').orderBy('id');
  const rows = await (part === undefined ? all : all.limit(part.limit).offset(part.offset)).execute();
  return rows.map(toUser);
}

/** Operators who can sign in, or could once they have opened their link. */
export async function countOperators(db: Db): Promise<number> {
  const { n } = await db
    .selectFrom('users')
    .select(({ fn }) => fn.countAll<number>().as('n'))
    .where('role', '=', 'operator')
    .where('disabled_at', 'is', null)
    .executeTakeFirstOrThrow();
  return Number(n);
}

export async function setPassword(trx: Trx, id: string, password: string): Promise<void> {
  await trx.updateTable('users').set({ password }).where('id', '=', id).execute();
}

/** False when somebody was faster. */
export async function disableUser(trx: Trx, id: string, at: number): Promise<boolean> {
  const result = await trx
    .updateTable('users')
    .set({ disabled_at: at })
    .where('id', '=', id)
    .where('disabled_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** With `sealed: null` the authenticator app and the recovery codes go. */
export async function setTotp(
  trx: Trx,
  id: string,
  totp: { sealed: string | null; step: number; recoveryHashes: readonly string[] },
): Promise<void> {
  await trx
    .updateTable('users')
    .set({ totp: totp.sealed, totp_step: totp.step })
    .where('id', '=', id)
    .execute();
  await trx.deleteFrom('recovery_codes').where('user_id', '=', id).execute();
  if (totp.recoveryHashes.length === 0) return;
  const rows = totp.recoveryHashes.map((hash) => ({ user_id: id, hash }));
  await trx.insertInto('recovery_codes').values(rows).execute();
}

/** Takes the code of a time step; false where it, or a later one, was taken before: a code is good for one sign-in. */
export async function takeTotpStep(trx: Trx, id: string, step: number): Promise<boolean> {
  const result = await trx
    .updateTable('users')
    .set({ totp_step: step })
    .where('id', '=', id)
    .where('totp_step', '<', step)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** False where there is no such code any more. */
export async function takeRecoveryCode(trx: Trx, id: string, hash: string): Promise<boolean> {
  const result = await trx
    .deleteFrom('recovery_codes')
    .where('user_id', '=', id)
    .where('hash', '=', hash)
    .executeTakeFirst();
  return result.numDeletedRows === 1n;
}

/** A link that sets a password once; `userId: null` is for the first operator. */
export async function insertLink(
  trx: Trx,
  link: { hash: string; userId: string | null; expiresAt: number },
): Promise<void> {
  // The newest one alone is good.
  const { hash, userId: user_id, expiresAt: expires_at } = link;
  await trx
    .deleteFrom('user_links')
    .where('user_id', user_id === null ? 'is' : '=', user_id)
    .execute();
  await trx.insertInto('user_links').values({ hash, user_id, expires_at }).execute();
}

/** Uses a link up. Null when there is none, or its time is over. */
export async function takeLink(
  trx: Trx,
  hash: string,
  now: number,
): Promise<{ userId: string | null; expiresAt: number } | null> {
  const row = await trx
    .deleteFrom('user_links')
    .where('hash', '=', hash)
    .where('expires_at', '>', now)
    .returning(['user_id', 'expires_at'])
    .executeTakeFirst();
  return row === undefined ? null : { userId: row.user_id, expiresAt: row.expires_at };
}

export async function pruneLinks(trx: Trx, now: number, limit: number): Promise<number> {
  const over = trx.selectFrom('user_links').select('hash').where('expires_at', '<=', now).limit(limit);
  const result = await trx.deleteFrom('user_links').where('hash', 'in', over).executeTakeFirst();
  return Number(result.numDeletedRows);
}

const userColumns = [
  'id',
  'name',
  'role',
  'merchant_id',
  'password',
  'totp',
  'created_at',
  'disabled_at',
] as const;

type UserRow = Selectable<Schema['users']>;

function toUser(row: Pick<UserRow, (typeof userColumns)[number]>): User {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    merchantId: row.merchant_id,
    password: row.password,
    totp: row.totp,
    createdAt: row.created_at,
    disabledAt: row.disabled_at,
  };
}
