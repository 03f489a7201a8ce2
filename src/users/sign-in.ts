import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { sessionIdleMs } from '../core/user.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import {
  endSession,
  findSession,
  insertSession,
  type SignedIn,
  touchSession,
} from '../storage/operators/user-sessions.ts';
import { findUser, nameKey, takeRecoveryCode, takeTotpStep, type User } from '../storage/operators/users.ts';
import type { Db, Trx } from '../storage/schema.ts';
import type { Attempt, Attempts } from './attempts.ts';
import { isHashingBusy, verifyPassword } from './password.ts';
import { hashRecoveryCode, totpStep } from './totp.ts';

/** Opens what was sealed for a user. */
export type Unseal = (sealed: string, subject: string) => string;

export type SignInDeps = { db: Db; clock: Clock; attempts: Attempts; unseal: Unseal };

export type SignIn =
  | { outcome: 'signed_in'; token: string; session: SignedIn }
  /** One answer for an unknown name, a wrong password and a user who is disabled. */
  | { outcome: 'refused' }
  | { outcome: 'code_required' }
  | { outcome: 'code_refused' }
  | { outcome: 'too_many'; seconds: number };

export type Credentials = {
  name: string;
  password: string;
  /** Of the authenticator app, or a recovery code; null where none was given. */
  code: string | null;
  address: string;
  agent: string;
};

/** How long a session may be used before that is written down again, ms. */
const touchEveryMs = 60_000;

/** Begins a session of its own: one that the browser brought along is never taken over. */
export async function signIn(deps: SignInDeps, given: Credentials): Promise<SignIn> {
  const { attempts } = deps;
  const account = nameKey(given.name);
  const seconds = attempts.wait(account, given.address);
  if (seconds !== null) return { outcome: 'too_many', seconds };
  if (isHashingBusy()) return { outcome: 'too_many', seconds: 5 };
  return attempts.count(account, given.address, (attempt) => checkCredentials(deps, given, attempt));
}

async function checkCredentials(
  { db, clock, unseal }: SignInDeps,
  given: Credentials,
  attempt: Attempt,
): Promise<SignIn> {
  const user = await findUser(db, given.name);
  const right = await verifyPassword(given.password, user?.password ?? null);
  if (user === null || !right || user.disabledAt !== null) return { outcome: 'refused' };
  if (user.totp !== null && given.code === null) {
    // Codes that were wrong before still count: else whoever has the password could guess them without end.
    attempt.takeBack();
    return { outcome: 'code_required' };
  }
  const begun = await inTransaction(db, async (trx) => {
    const code = user.totp === null ? 'none' : await takeCode(trx, { clock, unseal }, user, given.code ?? '');
    if (code === null) return null;
    const detail = { address: given.address, ...(code === 'none' ? {} : { second_factor: code }) };
    const { id, name } = user;
    const by = { at: clock(), actor: actorOf(name), subject: id };
    await recordAudit(trx, { ...by, action: 'user.signed_in', detail });
    return beginSession(trx, user, { ...given, at: clock() });
  });
  if (begun === null) return { outcome: 'code_refused' };
  attempt.succeeded();
  return { outcome: 'signed_in', ...begun };
}

/** How a user is named in the audit log. */
export function actorOf(name: string): string {
  return `user ${name}`;
}

export async function beginSession(
  trx: Trx,
  user: User,
  { address, agent, at }: { address: string; agent: string; at: number },
): Promise<{ token: string; session: SignedIn }> {
  const token = randomBytes(32).toString('base64url');
  const { id: userId, name, role, merchantId } = user;
  const session = {
    id: `ses_${randomBytes(8).toString('hex')}`,
    userId,
    createdAt: at,
    seenAt: at,
    address,
    agent: agent.slice(0, 200),
  };
  await insertSession(trx, { ...session, hash: hashToken(token) });
  return { token, session: { ...session, name, role, merchantId } };
}

/** Whose session a cookie names, and notes that it was used; null: nobody's any more. */
export async function resumeSession(
  { db, clock }: { db: Db; clock: Clock },
  token: string,
): Promise<SignedIn | null> {
  if (!/^[\w-]{43}$/.test(token)) return null;
  const now = clock();
  const session = await findSession(db, hashToken(token), now - sessionIdleMs);
  if (session !== null && now - session.seenAt >= touchEveryMs)
    await inTransaction(db, (trx) => touchSession(trx, session.id, now));
  return session;
}

export async function signOut(
  { db }: { db: Db },
  session: Pick<SignedIn, 'userId' | 'id'>,
): Promise<boolean> {
  return inTransaction(db, (trx) => endSession(trx, session.userId, session.id));
}

/** What a page must send along with a change, and cannot know without having been signed in. */
export function csrfTokenOf(token: string): string {
  return createHash('sha256').update(`csrf ${token}`).digest('base64url');
}

export function isCsrfToken(given: string, token: string): boolean {
  const expected = Buffer.from(csrfTokenOf(token));
  const bytes = Buffer.from(given);
  return bytes.length === expected.length && timingSafeEqual(bytes, expected);
}

/** What is stored of a cookie or a link: 256 random bits need no slow hash. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Which kind of code it was; null: none that is good. Each is taken once. */
export async function takeCode(
  trx: Trx,
  { clock, unseal }: Pick<SignInDeps, 'clock' | 'unseal'>,
  user: User,
  code: string,
): Promise<'app' | 'recovery code' | null> {
  const digits = code.replaceAll(/\s/g, '');
  if (!/^\d{6}$/.test(digits))
    return (await takeRecoveryCode(trx, user.id, hashRecoveryCode(code))) ? 'recovery code' : null;
  const step = totpStep(unseal(user.totp ?? '', totpSeal(user.id)), digits, clock());
  return step !== null && (await takeTotpStep(trx, user.id, step)) ? 'app' : null;
}

/** What a secret is bound to when it is sealed. */
export function totpSeal(userId: string): string {
  return `totp of ${userId}`;
}
