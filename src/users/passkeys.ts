import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import {
  deletePasskey,
  findPasskey,
  insertPasskey,
  listPasskeys,
  notePasskeyUse,
  type Passkey,
} from '../storage/operators/passkeys.ts';
import type { SignedIn } from '../storage/operators/user-sessions.ts';
import { getUser } from '../storage/operators/users.ts';
import type { Db } from '../storage/schema.ts';
import { ownPasswordFault } from './accounts.ts';
import type { Attempts } from './attempts.ts';
import { actorOf, beginSession, type SignIn, takeCode, type Unseal } from './sign-in.ts';
import { checkSignature, idOf, readNewKey } from './webauthn.ts';

/*
 * Passkeys (WebAuthn, https://www.w3.org/TR/webauthn-3/): a device signs what the server made up, after its owner has shown
 * it a finger, a face or a PIN. That is two factors in one, and no use on a page of another host.
 */

/** The page that asks: the browser tells the device its origin, and the device signs it. */
export type Place = { origin: string; rpId: string };

export type PasskeyDeps = {
  db: Db;
  clock: Clock;
  attempts: Attempts;
  seal: (secret: string, subject: string) => string;
  unseal: Unseal;
};

type Fault = { field: 'password' | 'code' | 'credential'; fault: string };

/** What a device was asked is good for so long, ms. */
const challengeMs = 5 * 60_000;

/** Nobody has more devices. */
const mostPasskeys = 20;

export type Passkeys = ReturnType<typeof createPasskeys>;

export function createPasskeys({ db, clock, attempts, seal, unseal }: PasskeyDeps) {
  /** Nothing is kept of one that nobody answers: it carries the time when it was made, sealed. */
  function newChallenge(subject: string): string {
    return seal(`${clock()} ${randomBytes(16).toString('hex')}`, subject);
  }

  /** When it was made; null when its time is over, or it is none of ours. */
  function madeAt(challenge: string, subject: string): number | null {
    try {
      const [at = ''] = unseal(Buffer.from(challenge, 'base64url').toString(), subject).split(' ');
      return clock() < Number(at) + challengeMs ? Number(at) : null;
    } catch {
      return null;
    }
  }

  /** What a browser hands to a device to make a passkey. */
  async function beginAdding({ userId, name }: SignedIn, { rpId }: Place) {
    const known = await listPasskeys(db, userId);
    return {
      rp: { id: rpId, name: 'depositd' },
      user: { id: Buffer.from(userId).toString('base64url'), name, displayName: name },
      challenge: Buffer.from(newChallenge(addingOf(userId))).toString('base64url'),
      pubKeyCredParams: algorithms.map((alg) => ({ type: 'public-key', alg })),
      timeout: challengeMs,
      attestation: 'none',
      excludeCredentials: known.map(({ id }) => ({ type: 'public-key', id })),
      authenticatorSelection: {
        residentKey: 'required',
        requireResidentKey: true,
        userVerification: 'required',
      },
    };
  }

  /**
   * Needs the password, and a code where signing in does: whoever took over a session, and knows the password too, must not
   * put a key of their own into the door.
   */
  async function add(
    session: SignedIn,
    given: { password: string; code: string; name: string; credential: unknown },
    { origin, rpId }: Place,
  ): Promise<Passkey | Fault> {
    const wrong = await ownPasswordFault({ db, attempts }, session, given.password);
    if (wrong !== null) return { field: 'password', fault: wrong };
    const { userId } = session;
    if ((await listPasskeys(db, userId)).length >= mostPasskeys) return refusedKey('remove one first');
    const made = readNewKey(given.credential, {
      origin,
      rpId,
      isChallenge: (text) => madeAt(text, addingOf(userId)) !== null,
    });
    if (made === null) return refusedKey('this was not made for here; try again');
    const { id, publicKey, counter } = made;
    const now = clock();
    const passkey: Passkey = {
      id,
      userId,
      name: given.name,
      rpId,
      publicKey,
      counter,
      challengeAt: now,
      createdAt: now,
      usedAt: null,
    };
    const account = `own code ${userId}`;
    if (attempts.wait(account, session.address) !== null)
      return refusedCode('too many attempts failed; try again later');
    return attempts.count(account, session.address, async (attempt) => {
      const added = await inTransaction(db, async (trx) => {
        const user = await getUser(trx, userId);
        const isOwner =
          user?.totp == null || (await takeCode(trx, { clock, unseal }, user, given.code)) !== null;
        if (!isOwner) return 'no owner';
        if (!(await insertPasskey(trx, passkey))) return 'known';
        const by = { at: passkey.createdAt, actor: actorOf(session.name), subject: userId };
        await recordAudit(trx, { ...by, action: 'user.passkey_added', detail: { name: passkey.name } });
        return 'added';
      });
      if (added === 'no owner') return refusedCode('this code is not right, or was used before');
      attempt.succeeded();
      return added === 'added' ? passkey : refusedKey('this passkey is known already');
    });
  }

  async function remove(
    session: SignedIn,
    given: { password: string; id: string },
  ): Promise<'removed' | 'not_found' | Fault> {
    const wrong = await ownPasswordFault({ db, attempts }, session, given.password);
    if (wrong !== null) return { field: 'password', fault: wrong };
    return inTransaction(db, async (trx) => {
      if (!(await deletePasskey(trx, session.userId, given.id))) return 'not_found';
      const by = { at: clock(), actor: actorOf(session.name), subject: session.userId, detail: {} };
      await recordAudit(trx, { ...by, action: 'user.passkey_removed' });
      return 'removed';
    });
  }

  /** What a browser hands to a device to sign in; the device knows whose it is. */
  function beginSignIn({ rpId }: Place) {
    return {
      rpId,
      challenge: Buffer.from(newChallenge(signingIn)).toString('base64url'),
      timeout: challengeMs,
      userVerification: 'required',
      allowCredentials: [],
    };
  }

  async function signIn(
    given: { credential: unknown; address: string; agent: string },
    place: Place,
  ): Promise<Extract<SignIn, { outcome: 'signed_in' | 'refused' | 'too_many' }>> {
    const account = `passkey from ${given.address}`;
    const seconds = attempts.wait(account, given.address);
    if (seconds !== null) return { outcome: 'too_many', seconds };
    return attempts.count(account, given.address, async (attempt) => {
      const signed = await findSigner(given.credential, place);
      if (signed === null) return { outcome: 'refused' };
      const { passkey, counter, challengeAt } = signed;
      const begun = await inTransaction(db, async (trx) => {
        const user = await getUser(trx, passkey.userId);
        const at = clock();
        if (user === null || user.disabledAt !== null) return null;
        if (!(await notePasskeyUse(trx, passkey, { counter, challengeAt, at }))) return null;
        const detail = { address: given.address, second_factor: 'passkey' };
        const by = { at, actor: actorOf(user.name), subject: user.id };
        await recordAudit(trx, { ...by, action: 'user.signed_in', detail });
        return beginSession(trx, user, { ...given, at });
      });
      if (begun === null) return { outcome: 'refused' };
      attempt.succeeded();
      return { outcome: 'signed_in', ...begun };
    });
  }

  /** Null for whatever is not the signature of a passkey of this host under an open challenge of ours. */
  async function findSigner(
    credential: unknown,
    { origin, rpId }: Place,
  ): Promise<{ passkey: Passkey; counter: number; challengeAt: number } | null> {
    const id = idOf(credential);
    const passkey = id === null ? null : await findPasskey(db, id);
    if (passkey === null || passkey.rpId !== rpId) return null;
    const isChallenge = (text: string) => madeAt(text, signingIn) !== null;
    const signed = checkSignature(credential, passkey, { origin, rpId, isChallenge });
    const challengeAt = signed === null ? null : madeAt(signed.challenge, signingIn);
    if (signed === null || challengeAt === null) return null;
    return { passkey, counter: signed.counter, challengeAt };
  }

  return { beginAdding, add, remove, beginSignIn, signIn };
}

/** EdDSA, ES256 and RS256 (COSE): every device has one of them. */
const algorithms = [-8, -7, -257];

const signingIn = 'passkey sign-in';

function addingOf(userId: string): string {
  return `passkey of ${userId}`;
}

function refusedKey(fault: string): Fault {
  return { field: 'credential', fault };
}

function refusedCode(fault: string): Fault {
  return { field: 'code', fault };
}
