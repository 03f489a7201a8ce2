import type { Clock } from '../clock.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { endSessionsOf, type SignedIn } from '../storage/operators/user-sessions.ts';
import { setTotp } from '../storage/operators/users.ts';
import type { Db } from '../storage/schema.ts';
import { ownPasswordFault } from './accounts.ts';
import type { Attempts } from './attempts.ts';
import { actorOf, totpSeal } from './sign-in.ts';
import { hashRecoveryCode, newRecoveryCodes, totpStep } from './totp.ts';

type Deps = { db: Db; clock: Clock; attempts: Attempts };
type Fault = { field: 'password' | 'code'; fault: string };

/** Counts once its user has shown a code of it: nobody is locked out by an app that was never set up. */
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
  { db, clock, attempts }: Deps,
  session: SignedIn,
  password: string,
): Promise<Fault | null> {
  const wrong = await ownPasswordFault({ db, attempts }, session, password);
  if (wrong !== null) return { field: 'password', fault: wrong };
  await inTransaction(db, async (trx) => {
    await setTotp(trx, session.userId, { sealed: null, step: 0, recoveryHashes: [] });
    const by = { at: clock(), actor: actorOf(session.name), subject: session.userId, detail: {} };
    await recordAudit(trx, { ...by, action: 'user.second_factor_removed' });
  });
  return null;
}
