import type { Clock } from '../clock.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { endSessionsOf, type SignedIn } from '../storage/operators/user-sessions.ts';
import { getUser, setTotp } from '../storage/operators/users.ts';
import type { Db } from '../storage/schema.ts';
import { verifyPassword } from './password.ts';
import { actorOf, totpSeal } from './sign-in.ts';
import { hashRecoveryCode, newRecoveryCodes, totpStep } from './totp.ts';

type Fault = { field: 'password' | 'code'; fault: string };

/** Counts once its user has shown a code of it: nobody is locked out by an app that was never set up. */
export async function addSecondFactor(
  { db, clock, seal }: { db: Db; clock: Clock; seal: (secret: string, subject: string) => string },
  session: SignedIn,
  given: { password: string; secret: string; code: string },
): Promise<{ recoveryCodes: string[] } | Fault> {
  const user = await getUser(db, session.userId);
  if (!(await verifyPassword(given.password, user?.password ?? null))) return wrongPassword;
  const at = clock();
  const step = totpStep(given.secret, given.code.replaceAll(/\s/g, ''), at);
  if (step === null) return { field: 'code', fault: 'this is not the code that the app shows now' };
  const recoveryCodes = newRecoveryCodes();
  const sealed = seal(given.secret, totpSeal(session.userId));
  await inTransaction(db, async (trx) => {
    const totp = { sealed, step, recoveryHashes: recoveryCodes.map(hashRecoveryCode) };
    await setTotp(trx, session.userId, totp);
    await endSessionsOf(trx, session.userId, session.id);
    const by = { at, actor: actorOf(session.name), subject: session.userId, detail: {} };
    await recordAudit(trx, { ...by, action: 'user.second_factor_added' });
  });
  return { recoveryCodes };
}

export async function removeSecondFactor(
  { db, clock }: { db: Db; clock: Clock },
  session: SignedIn,
  password: string,
): Promise<Fault | null> {
  const user = await getUser(db, session.userId);
  if (!(await verifyPassword(password, user?.password ?? null))) return wrongPassword;
  await inTransaction(db, async (trx) => {
    await setTotp(trx, session.userId, { sealed: null, step: 0, recoveryHashes: [] });
    const by = { at: clock(), actor: actorOf(session.name), subject: session.userId, detail: {} };
    await recordAudit(trx, { ...by, action: 'user.second_factor_removed' });
  });
  return null;
}

const wrongPassword: Fault = { field: 'password', fault: 'this is not your password' };
