import type { Passkey } from '../storage/operators/passkeys.ts';
import type { UserSession } from '../storage/operators/user-sessions.ts';
import type { User } from '../storage/operators/users.ts';
import { isoTime, timeOrNull } from './values.ts';

/*
 * The JSON of users and their sessions. Never with what opens an account.
 */

export function presentUser(user: User) {
  return {
    id: user.id,
    name: user.name,
    role: user.role,
    merchant_id: user.merchantId,
    has_password: user.password !== null,
    second_factor: user.totp !== null,
    created_at: isoTime(user.createdAt),
    disabled_at: timeOrNull(user.disabledAt),
  };
}

export function presentSession(session: UserSession, current: string | null) {
  return {
    id: session.id,
    current: session.id === current,
    address: session.address,
    agent: session.agent,
    created_at: isoTime(session.createdAt),
    seen_at: isoTime(session.seenAt),
  };
}

export function presentPasskey({ id, name, createdAt, usedAt }: Passkey) {
  return { id, name, created_at: isoTime(createdAt), used_at: timeOrNull(usedAt) };
}
