import type { Clock } from '../clock.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { endSessionsOf, type SignedIn } from '../storage/operators/user-sessions.ts';
import { getUser, setTotp } from '../storage/operators/users.ts';
import type { Db } from '../storage/schema.ts';
import { ownPasswordFault } from './accounts.ts';
import type { Attempts } from './attempts.ts';
import { actorOf, takeCode, totpSeal, type Unseal } from './sign-in.ts';
import { hashRecoveryCode, newRecoveryCodes, totpStep } from './totp.ts';

type Deps = { db: Db; clock: Clock; attempts: Attempts };
type Fault = { field: 'password' | 'code'; fault: string };

/**
 * Counts once its user has shown a code of it: nobody is locked out by an app that was never set up. One that is there is
 * not replaced, as that would take it away by the password alone.
 */
export async function addSecondFactor(
  { db, clock, attempts, seal }: Deps & { seal: (secret: string, subject: string) => string },
  session: SignedIn,
  given: { password: string; secret: string; code: string },
): Promise<{ recoveryCodes: string[] } | Fault> {
  const wrong = await ownPasswordFault({ db, attempts }, session, given.password);
  if (wrong !== null) return { field: 'password', fault: wrong };
  const at = clock();
  const step = totpStep(given.secret, given.code.replaceAll(/\s/g, ''), at);
  if (step === null) return { field: 'code', fault: 'this is not the code that the app shows now' };
  const recoveryCodes = newRecoveryCodes();
  const sealed = seal(given.secret, totpSeal(session.userId));
  const added = await inTransaction(db, async (trx) => {
    if ((await getUser(trx, session.userId))?.totp != null) return false;
    const totp = { sealed, step, recoveryHashes: recoveryCodes.map(hashRecoveryCode) };
    await setTotp(trx, session.userId, totp);
    await endSessionsOf(trx, session.userId, session.id);
    const by = { at, actor: actorOf(session.name), subject: session.userId, detail: {} };
    await recordAudit(trx, { ...by, action: 'user.second_factor_added' });
    return true;
  });
  if (!added) return { field: 'code', fault: 'there is an authenticator app already: remove it first' };
  return { recoveryCodes };
}

/** Needs a code as signing in does: a session and a password that were stolen do not take the app away. */
export async function removeSecondFactor(
  { db, clock, attempts, unseal }: Deps & { unseal: Unseal },
  session: SignedIn,
  given: { password: string; code: string },
): Promise<Fault | null> {
  const wrong = await ownPasswordFault({ db, attempts }, session, given.password);
  if (wrong !== null) return { field: 'password', fault: wrong };
  const account = `own code ${session.userId}`;
  if (attempts.wait(account, session.address) !== null)
    return { field: 'code', fault: 'too many attempts failed; try again later' };
  return attempts.count(account, session.address, async (attempt) => {
    const removed = await inTransaction(db, async (trx) => {
      const user = await getUser(trx, session.userId);
      if (user === null || user.totp === null) return true;
      if ((await takeCode(trx, { clock, unseal }, user, given.code)) === null) return false;
      await setTotp(trx, session.userId, { sealed: null, step: 0, recoveryHashes: [] });
      const by = { at: clock(), actor: actorOf(session.name), subject: session.userId, detail: {} };
      await recordAudit(trx, { ...by, action: 'user.second_factor_removed' });
      return true;
    });
    if (!removed) return { field: 'code', fault: 'this code is not right, or was used before' };
    attempt.succeeded();
    return null;
  });
}
