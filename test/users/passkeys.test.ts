import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { openSecrets } from '../../src/notify/secrets.ts';
import { listUsers } from '../../src/storage/operators/users.ts';
import { createAttempts } from '../../src/users/attempts.ts';
import { createPasskeys } from '../../src/users/passkeys.ts';
import { totpCode } from '../../src/users/totp.ts';
import { openApiServer } from '../support/api-server.ts';
import { describeDatabases, openTestSqlite } from '../support/databases.ts';
import { createDevice, spki } from '../support/passkey-device.ts';
import { firstOperator, goodPassword } from '../support/people.ts';

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

describeDatabases('passkeys of two processes over one database', (openTestDb) => {
  test('what a device that does not count has signed is taken once, whichever process is asked, and at once by both', async () => {
    const api = await openApiServer(await openTestDb());
    await firstOperator(api);
    const { db } = api;
    const [user] = await listUsers(db);
    if (user === undefined) throw new Error('no user');
    const clock = api.now;
    const secretKey = randomBytes(32).toString('hex');
    const processOf = () => {
      const secrets = openSecrets({ dataFolder: '/nonexistent', secretKey }, null);
      return createPasskeys({ db, clock, attempts: createAttempts(clock), ...secrets });
    };
    const [one, two] = [processOf(), processOf()];
    const device = createDevice('pay.example.com', 'a phone');
    const session = { userId: user.id, name: user.name } as Parameters<typeof one.add>[0];

    const asked = await one.beginAdding(session, device);
    const early = one.beginSignIn(device).challenge;
    const credential = device.creationOf(spki(publicKey), { challenge: asked.challenge, counter: 0 });
    const given = { password: goodPassword, code: '', name: 'Phone', credential };
    expect(await two.add(session, given, device)).toMatchObject({ userId: user.id });
    expect(await one.add(session, given, device)).toMatchObject({ field: 'credential' });

    const answerTo = (challenge: string) => ({
      credential: device.assertionOf(privateKey, { challenge, counter: 0 }),
      address: '192.0.2.1',
      agent: '',
    });
    const outcomes = async (...signIns: ReturnType<typeof one.signIn>[]) =>
      (await Promise.all(signIns)).map(({ outcome }) => outcome).toSorted();
    // Asked for before there was this passkey: it cannot have been signed for it.
    expect(await outcomes(two.signIn(answerTo(early), device))).toEqual(['refused']);

    api.advance(1);
    const first = answerTo(one.beginSignIn(device).challenge);
    api.advance(1);
    const second = answerTo(two.beginSignIn(device).challenge);
    expect(await outcomes(two.signIn(first, device), one.signIn(first, device))).toEqual([
      'refused',
      'signed_in',
    ]);
    expect(await outcomes(one.signIn(first, device))).toEqual(['refused']);
    expect(await outcomes(one.signIn(second, device))).toEqual(['signed_in']);
    // Neither again, nor what was asked before it.
    expect(await outcomes(two.signIn(second, device))).toEqual(['refused']);
    expect(await outcomes(two.signIn(first, device))).toEqual(['refused']);
    const sessions = await db.selectFrom('user_sessions').select('user_id').execute();
    // The first is of who set it all up.
    expect(sessions).toHaveLength(3);
  });
});

test('whoever has a session and the password, and no code of the authenticator app, makes no passkey', async () => {
  const api = await openApiServer(await openTestSqlite());
  const ada = await firstOperator(api);
  const begun = await ada.send<{ secret: string }>('POST', '/admin/v1/session/totp/', {});
  const codeNow = () => totpCode(begun.body.secret, Math.floor(api.now() / 30_000));
  const password = goodPassword;
  const { secret } = begun.body;
  await ada.send('PUT', '/admin/v1/session/totp/', { password, secret, code: codeNow() });
  api.advance(30_000);
  const { hostname, origin } = new URL(api.url);
  const device = createDevice(hostname, 'a phone');
  const make = async (more: { code?: string }) => {
    const asked = await ada.send<{ challenge: string }>('POST', '/admin/v1/session/passkeys/');
    const credential = device.creationOf(spki(publicKey), { challenge: asked.body.challenge, origin });
    return ada.send('PUT', '/admin/v1/session/passkeys/', { password, name: 'Phone', credential, ...more });
  };
  const refused = { status: 400, body: { errors: { code: [expect.any(String)] } } };
  expect(await make({})).toMatchObject(refused);
  expect(await make({ code: '000000' })).toMatchObject(refused);
  expect(await make({ code: codeNow() })).toMatchObject({ status: 200, body: { name: 'Phone' } });
});
