import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { passwordFault, type UserRole, userNameFault } from '../core/user.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { getMerchant } from '../storage/operators/merchants.ts';
import { deletePasskeysOf } from '../storage/operators/passkeys.ts';
import { endSessionsOf, type SignedIn } from '../storage/operators/user-sessions.ts';
import {
  countOperators,
  disableUser,
  getUser,
  insertLink,
  insertUser,
  lockUsers,
  setPassword,
  setTotp,
  takeLink,
  type User,
} from '../storage/operators/users.ts';
import type { Db, Trx } from '../storage/schema.ts';
import type { Attempts } from './attempts.ts';
import { hashPassword, verifyPassword } from './password.ts';
import { actorOf, beginSession, hashToken } from './sign-in.ts';

type Deps = { db: Db; clock: Clock };
type Fault = { outcome: 'invalid'; field: 'name' | 'role' | 'merchant_id' | 'password'; fault: string };

/** How long a link is good: printed by `serve`, and handed to somebody by an operator, ms. */
const firstLinkMs = 15 * 60 * 1000;
const linkMs = 24 * 60 * 60 * 1000;

export type NewUser = { name: string; role: UserRole; merchantId: string | null; actor: string };

/** Adds a user who has no password yet. `token` is of the link by which they choose one. */
export async function addUser(
  { db, clock }: Deps,
  { actor, ...wanted }: NewUser,
): Promise<{ outcome: 'added'; user: User; token: string } | Fault> {
  const fault = userNameFault(wanted.name);
  if (fault !== null) return invalid('name', fault);
  if (wanted.role === 'operator' && wanted.merchantId !== null)
    return invalid('merchant_id', 'an operator sees every merchant; leave it out, or take another role');
  if (wanted.role === 'merchant' && wanted.merchantId === null)
    return invalid('merchant_id', 'this role needs a merchant');
  return inTransaction(db, async (trx) => {
    await lockUsers(trx);
    if (wanted.merchantId !== null) {
      const merchant = await getMerchant(trx, wanted.merchantId);
      if (merchant === null || merchant.removedAt !== null)
        return invalid('merchant_id', 'there is no such merchant');
    }
    const at = clock();
    const user = await insertUser(trx, { ...wanted, at });
    if (user === null) return invalid('name', 'this name is taken');
    const { id: subject, name, role, merchantId } = user;
    const detail = { name, role, ...(merchantId === null ? {} : { merchant_id: merchantId }) };
    await recordAudit(trx, { at, actor, action: 'user.added', subject, detail });
    return { outcome: 'added', user, token: await makeLink(trx, user.id, at + linkMs) } as const;
  });
}

/**
 * Makes a link by which a user chooses a new password; the old one is good until then. `withoutTotp` also takes the
 * authenticator app and the passkeys away, for a phone that is lost. Null: there is no such user, or they are disabled.
 */
export async function resetPassword(
  { db, clock }: Deps,
  { userId, withoutTotp, actor }: { userId: string; withoutTotp: boolean; actor: string },
): Promise<{ user: User; token: string } | null> {
  return inTransaction(db, async (trx) => {
    const user = await getUser(trx, userId);
    if (user === null || user.disabledAt !== null) return null;
    const at = clock();
    if (withoutTotp) {
      await setTotp(trx, userId, { sealed: null, step: 0, recoveryHashes: [] });
      await deletePasskeysOf(trx, userId);
    }
    const detail = { name: user.name, ...(withoutTotp ? { second_factor: 'removed' } : {}) };
    await recordAudit(trx, { at, actor, action: 'user.password_reset', subject: userId, detail });
    return { user, token: await makeLink(trx, userId, at + linkMs) };
  });
}

/** Ends the user's sessions too. Disabling is for ever: the name stays in the audit log. */
export async function disable(
  { db, clock }: Deps,
  { userId, actor }: { userId: string; actor: string },
): Promise<'disabled' | 'not_found' | 'last_operator'> {
  return inTransaction(db, async (trx) => {
    await lockUsers(trx);
    const user = await getUser(trx, userId);
    if (user === null || user.disabledAt !== null) return 'not_found';
    if (user.role === 'operator' && (await countOperators(trx)) === 1) return 'last_operator';
    const at = clock();
    if (!(await disableUser(trx, userId, at))) return 'not_found';
    await endSessionsOf(trx, userId);
    const detail = { name: user.name };
    await recordAudit(trx, { at, actor, action: 'user.disabled', subject: userId, detail });
    return 'disabled';
  });
}

/** What opens the page on which the first operator is made; null where there is an operator already. */
export async function makeFirstLink({ db, clock }: Deps): Promise<string | null> {
  return inTransaction(db, async (trx) =>
    (await countOperators(trx)) > 0 ? null : makeLink(trx, null, clock() + firstLinkMs),
  );
}

export type SetUp =
  /** `begun` is null for who has an authenticator app: a link in wrong hands is not enough to be signed in. */
  | { outcome: 'done'; begun: { token: string; session: SignedIn } | null }
  | Fault
  /** There is no such link, it was used, or its time is over. */
  | { outcome: 'link_over' };

export type Chosen = { link: string; name: string | null; password: string; address: string; agent: string };

/** Uses a link: sets the password, of the first operator also the name, and signs them in. */
export async function setUp({ db, clock }: Deps, chosen: Chosen): Promise<SetUp> {
  const fault = chosen.name === null ? null : userNameFault(chosen.name);
  if (fault !== null) return invalid('name', fault);
  const early = passwordFault(chosen.password, chosen.name ?? '');
  if (early !== null) return invalid('password', early);
  const password = await hashPassword(chosen.password);
  return inTransaction(db, async (trx): Promise<SetUp> => {
    await lockUsers(trx);
    const at = clock();
    const hash = hashToken(chosen.link);
    const link = await takeLink(trx, hash, at);
    const user =
      link === null
        ? null
        : link.userId === null
          ? await firstOperator(trx, chosen.name, at)
          : await getUser(trx, link.userId);
    if (link === null || user === null || user.disabledAt !== null) return { outcome: 'link_over' };
    const weak = passwordFault(chosen.password, user.name);
    if (weak !== null) {
      // The link is not used up by a password that was refused.
      await insertLink(trx, { hash, ...link });
      return invalid('password', weak);
    }
    await setPassword(trx, user.id, password);
    await endSessionsOf(trx, user.id);
    const by = { at, actor: actorOf(user.name), subject: user.id };
    await recordAudit(trx, { ...by, action: 'user.password_set', detail: { address: chosen.address } });
    const begun = user.totp === null ? await beginSession(trx, user, { ...chosen, at }) : null;
    return { outcome: 'done', begun };
  });
}

/** Null where somebody else was faster. */
async function firstOperator(trx: Trx, name: string | null, at: number): Promise<User | null> {
  if (name === null || (await countOperators(trx)) > 0) return null;
  return insertUser(trx, { name, role: 'operator', merchantId: null, at });
}

async function makeLink(trx: Trx, userId: string | null, expiresAt: number): Promise<string> {
  const token = randomBytes(32).toString('base64url');
  await insertLink(trx, { hash: hashToken(token), userId, expiresAt });
  return token;
}

function invalid(field: Fault['field'], fault: string): Fault {
  return { outcome: 'invalid', field, fault };
}

/** Null when this is the password of whoever is signed in. Whoever took over their session cannot guess it without end. */
export async function ownPasswordFault(
  { db, attempts }: { db: Db; attempts: Attempts },
  session: SignedIn,
  password: string,
): Promise<string | null> {
  const account = `own ${session.userId}`;
  if (attempts.wait(account, session.address) !== null) return 'too many attempts failed; try again later';
  return attempts.count(account, session.address, async (attempt) => {
    const user = await getUser(db, session.userId);
    if (!(await verifyPassword(password, user?.password ?? null))) return 'this is not your password';
    attempt.succeeded();
    return null;
  });
}

/** Of whoever is signed in; all their other sessions end. */
export async function changePassword(
  { db, clock, attempts }: Deps & { attempts: Attempts },
  session: SignedIn,
  given: { password: string; wanted: string },
): Promise<{ field: 'password' | 'new_password'; fault: string } | null> {
  const fault = passwordFault(given.wanted, session.name);
  if (fault !== null) return { field: 'new_password', fault };
  const wrong = await ownPasswordFault({ db, attempts }, session, given.password);
  if (wrong !== null) return { field: 'password', fault: wrong };
  const password = await hashPassword(given.wanted);
  await inTransaction(db, async (trx) => {
    await setPassword(trx, session.userId, password);
    await endSessionsOf(trx, session.userId, session.id);
    const by = { at: clock(), actor: actorOf(session.name), subject: session.userId, detail: {} };
    await recordAudit(trx, { ...by, action: 'user.password_set' });
  });
  return null;
}
