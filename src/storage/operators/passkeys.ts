import type { Selectable } from 'kysely';
import type { Db, Schema, Trx } from '../schema.ts';

/** A key pair of a user's device; the public half, by which its signatures are checked. */
export type Passkey = {
  /** As the authenticator named it, base64url. */
  id: string;
  userId: string;
  name: string;
  /** The host that it was made for. */
  rpId: string;
  /** DER (SPKI), base64url. */
  publicKey: string;
  /** Signatures that it has made, where it counts them. */
  counter: number;
  /** When the last challenge was made that it has answered: none that is older is taken. */
  challengeAt: number;
  createdAt: number;
  usedAt: number | null;
};

const columns = [
  'id',
  'user_id',
  'name',
  'rp_id',
  'public_key',
  'counter',
  'challenge_at',
  'created_at',
  'used_at',
] as const;

/** False when there is one of that id. */
export async function insertPasskey(trx: Trx, passkey: Passkey): Promise<boolean> {
  const row = await trx
    .insertInto('passkeys')
    .values({
      id: passkey.id,
      user_id: passkey.userId,
      name: passkey.name,
      rp_id: passkey.rpId,
      public_key: passkey.publicKey,
      counter: passkey.counter,
      challenge_at: passkey.challengeAt,
      created_at: passkey.createdAt,
      used_at: passkey.usedAt,
    })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .returning('id')
    .executeTakeFirst();
  return row !== undefined;
}

export async function findPasskey(db: Db, id: string): Promise<Passkey | null> {
  const row = await db.selectFrom('passkeys').select(columns).where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : toPasskey(row);
}

/** Oldest first. */
export async function listPasskeys(db: Db, userId: string): Promise<Passkey[]> {
  const rows = await db
    .selectFrom('passkeys')
    .select(columns)
    .where('user_id', '=', userId)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows.map(toPasskey);
}

/** False when this challenge or a later one was answered before, or another signature was taken since it was read. */
export async function notePasskeyUse(
  trx: Trx,
  { id, counter }: Pick<Passkey, 'id' | 'counter'>,
  used: { counter: number; challengeAt: number; at: number },
): Promise<boolean> {
  const result = await trx
    .updateTable('passkeys')
    .set({ counter: used.counter, challenge_at: used.challengeAt, used_at: used.at })
    .where('id', '=', id)
    .where('counter', '=', counter)
    .where('challenge_at', '<', used.challengeAt)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** False when this user has none of that id. */
export async function deletePasskey(trx: Trx, userId: string, id: string): Promise<boolean> {
  const result = await trx
    .deleteFrom('passkeys')
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .executeTakeFirst();
  return result.numDeletedRows === 1n;
}

export async function deletePasskeysOf(trx: Trx, userId: string): Promise<void> {
  await trx.deleteFrom('passkeys').where('user_id', '=', userId).execute();
}

function toPasskey(row: Selectable<Schema['passkeys']>): Passkey {
  return {
    id: row.id,
    userId: row.user_id,
    name: row.name,
    rpId: row.rp_id,
    publicKey: row.public_key,
    counter: row.counter,
    challengeAt: row.challenge_at,
    createdAt: row.created_at,
    usedAt: row.used_at,
  };
}
