import { expect, test } from 'vitest';
import { listAudit } from '../../../src/storage/operators/audit.ts';
import { makeFirstLink } from '../../../src/users/accounts.ts';
import { totpCode } from '../../../src/users/totp.ts';
import { openApiServer } from '../../support/api-server.ts';
import { describeDatabases } from '../../support/databases.ts';
import { addPerson, cookieOf, firstOperator, goodPassword, personOf, signIn } from '../../support/people.ts';

describeDatabases('users', (openTestDb) => {
  test('the first operator is made by a link that is good once, for a quarter of an hour, while there is none', async () => {
    const api = await openApiServer(await openTestDb());
    const setUp = (link: string | null) =>
      api.send('POST', '/admin/v1/setup/', { json: { link, name: 'ada', password: goodPassword } });

    const late = await makeFirstLink({ db: api.db, clock: api.now });
    api.advance(15 * 60);
    expect((await setUp(late)).body).toEqual({
      errors: { link: ['this link was used, or its time is over: ask for another'] },
    });
    const link = await makeFirstLink({ db: api.db, clock: api.now });
    const json = { link, name: 'ada', password: 'password1234' };
    expect((await api.send('POST', '/admin/v1/setup/', { json })).body).toMatchObject({
      errors: { password: ['this is one of the first that somebody would try'] },
    });
    expect((await setUp(link)).status).toBe(200);
    expect((await setUp(link)).status).toBe(400);
    expect(await makeFirstLink({ db: api.db, clock: api.now })).toBeNull();
    expect(await signIn(api, 'ADA', goodPassword)).toMatchObject({ status: 200 });
  });

  test('what somebody changes is in the audit log with their name', async () => {
    const api = await openApiServer(await openTestDb());
    const ada = await firstOperator(api);
    await ada.send('POST', '/admin/v1/merchants/', { name: 'Shop' });
    const entries = await listAudit(api.db, { beforeId: null, limit: 9 });
    expect(entries.map(({ actor, action }) => [actor, action])).toEqual([
      ['user ada', 'merchant.added'],
      ['user ada', 'user.password_set'],
    ]);
  });

  test('a session ends after twelve idle hours, when it is ended, and with its user', async () => {
    const api = await openApiServer(await openTestDb());
    const ada = await firstOperator(api);
    const [one, two, three] = await Promise.all(
      [1, 2, 3].map(async () => personOf(api, 'ada', await signIn(api, 'ada', goodPassword))),
    );
    api.advance(11 * 3600);
    expect((await one?.send('GET', '/admin/v1/session/'))?.status).toBe(200);
    api.advance(3600);
    expect((await one?.send('GET', '/admin/v1/session/'))?.status).toBe(200);
    const idle = await two?.send('GET', '/admin/v1/session/');
    expect([idle?.status, idle?.body]).toEqual([401, { detail: 'This session has ended: sign in again.' }]);
    expect((await ada.send('GET', '/admin/v1/session/')).status).toBe(401);

    await one?.send('DELETE', '/admin/v1/session/');
    expect((await one?.send('GET', '/admin/v1/session/'))?.status).toBe(401);
    expect((await three?.send('GET', '/admin/v1/session/'))?.status).toBe(401);

    const ben = await addPerson(api, { name: 'ben', role: 'viewer' });
    const users = await api.send<{ data: { id: string; name: string }[] }>('GET', '/admin/v1/users/', {
      admin: true,
    });
    const id = users.body.data.find(({ name }) => name === 'ben')?.id;
    expect((await ben.send('GET', '/admin/v1/payments/')).status).toBe(200);
    await api.send('DELETE', `/admin/v1/users/${id}/`, { admin: true });
    expect((await ben.send('GET', '/admin/v1/payments/')).status).toBe(401);
    expect((await signIn(api, 'ben', goodPassword)).status).toBe(401);
  });

  test('an authenticator app is asked for once a code of it was shown, and no code is good twice', async () => {
    const api = await openApiServer(await openTestDb());
    const ada = await firstOperator(api);
    const begun = await ada.send<{ secret: string; uri: string }>('POST', '/admin/v1/session/totp/', {});
    const { secret, uri } = begun.body;
    expect(uri).toContain(`secret=${secret}`);
    const codeNow = () => totpCode(secret, Math.floor(api.now() / 30_000));
    const add = (code: string) =>
      ada.send<{ recovery_codes: string[] }>('PUT', '/admin/v1/session/totp/', {
        password: goodPassword,
        secret,
        code,
      });
    expect((await add('000000')).status).toBe(400);
    const { recovery_codes } = (await add(codeNow())).body;
    expect(recovery_codes).toHaveLength(10);

    const asked = await signIn(api, 'ada', goodPassword);
    expect([asked.status, asked.body]).toMatchObject([401, { code: 'code_required' }]);
    expect((await signIn(api, 'ada', goodPassword, { code: codeNow() })).status).toBe(401);
    api.advance(30);
    expect((await signIn(api, 'ada', goodPassword, { code: codeNow() })).status).toBe(200);
    expect((await signIn(api, 'ada', goodPassword, { code: codeNow() })).status).toBe(401);
    const code = recovery_codes[3];
    expect((await signIn(api, 'ada', goodPassword, { code })).status).toBe(200);
    expect((await signIn(api, 'ada', goodPassword, { code })).status).toBe(401);

    // Neither is it taken away, nor another put in its place, by who has the session and the password alone.
    const remove = (given: string) =>
      ada.send('POST', '/admin/v1/session/totp/remove/', { password: goodPassword, code: given });
    const refused = { errors: { code: ['this code is not right, or was used before'] } };
    for (const given of ['', '000000', codeNow(), code ?? ''])
      expect((await remove(given)).body).toEqual(refused);
    expect((await add(codeNow())).body).toEqual({
      errors: { code: ['there is an authenticator app already: remove it first'] },
    });
    expect((await remove('000000')).body).toEqual(refused);
    const stopped = { errors: { code: ['too many attempts failed; try again later'] } };
    expect((await remove(recovery_codes[4] ?? '')).body).toEqual(stopped);
    api.advance(15 * 60 + 1);
    expect((await remove(recovery_codes[4] ?? '')).status).toBe(200);
    api.advance(30);
    const once = await add(codeNow());
    expect(once.status).toBe(200);
    api.advance(30);
    expect((await remove(codeNow())).status).toBe(200);
    api.advance(30);
    expect((await add(codeNow())).status).toBe(200);

    // A new password does not take the second factor away, and whoever has the link alone is not signed in.
    const users = await api.send<{ data: { id: string }[] }>('GET', '/admin/v1/users/', { admin: true });
    const path = `/admin/v1/users/${users.body.data[0]?.id}/reset-password/`;
    const reset = async (json: object) => {
      const answer = await api.send<{ link: string }>('POST', path, { admin: true, json });
      const link = answer.body.link.split('/').at(-1);
      return api.send('POST', '/admin/v1/setup/', { json: { link, password: goodPassword } });
    };
    expect((await reset({})).body).toEqual({ user: null, csrf_token: null });
    expect((await reset({ without_totp: true })).body).toMatchObject({ user: { second_factor: false } });
  });

  test('twenty people who sign in from one address keep nobody there out', async () => {
    const api = await openApiServer(await openTestDb());
    const ada = await firstOperator(api);
    for (let n = 0; n < 21; n++) expect((await signIn(api, 'ada', goodPassword)).status).toBe(200);
    await addPerson(api, { name: 'ben', role: 'viewer' });
    const json = { password: goodPassword, new_password: 'teal kettle nine' };
    expect((await ada.send('POST', '/admin/v1/session/password/', json)).status).toBe(200);
  });

  test('who belongs to a merchant that is removed is disabled with it', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const ben = await addPerson(api, { name: 'ben', role: 'viewer', merchant_id: shop.id });
    const other = await api.addMerchant('Other');
    const eve = await addPerson(api, { name: 'eve', role: 'merchant', merchant_id: other.id });
    expect((await ben.send('GET', '/admin/v1/payments/')).status).toBe(200);
    await api.send('DELETE', `/admin/v1/merchants/${shop.id}/`, { admin: true });
    expect((await ben.send('GET', '/admin/v1/payments/')).status).toBe(401);
    expect((await signIn(api, 'ben', goodPassword)).status).toBe(401);
    expect((await eve.send('GET', '/admin/v1/payments/')).status).toBe(200);
    const [entry] = (await listAudit(api.db, { beforeId: null, limit: 9 })).filter(
      ({ action }) => action === 'user.disabled',
    );
    expect(entry).toMatchObject({ actor: 'admin', detail: { name: 'ben' } });
  });

  test('the last operator cannot be disabled', async () => {
    const api = await openApiServer(await openTestDb());
    await firstOperator(api);
    const users = await api.send<{ data: { id: string }[] }>('GET', '/admin/v1/users/', { admin: true });
    const gone = await api.send('DELETE', `/admin/v1/users/${users.body.data[0]?.id}/`, { admin: true });
    expect([gone.status, gone.body]).toMatchObject([409, { code: 'not_removable' }]);
  });

  test('of two operators who are disabled at the same moment one is left', async () => {
    const api = await openApiServer(await openTestDb());
    await firstOperator(api);
    const add = (name: string) =>
      api.send<{ user: { id: string } }>('POST', '/admin/v1/users/', {
        admin: true,
        json: { name, role: 'operator' },
      });
    for (let round = 0; round < 5; round++) await add(`op${round}`);
    const users = await api.send<{ data: { id: string }[] }>('GET', '/admin/v1/users/', { admin: true });
    const gone = await Promise.all(
      users.body.data.map(({ id }) => api.send('DELETE', `/admin/v1/users/${id}/`, { admin: true })),
    );
    expect(gone.map(({ status }) => status).toSorted()).toEqual([200, 200, 200, 200, 200, 409]);
  });

  test('a user who is added while their merchant is removed is disabled with it, or not added', async () => {
    const api = await openApiServer(await openTestDb());
    for (let round = 0; round < 5; round++) {
      const shop = await api.addMerchant(`Shop ${round}`);
      const json = { name: `u${round}`, role: 'viewer', merchant_id: shop.id };
      await Promise.all([
        api.send('POST', '/admin/v1/users/', { admin: true, json }),
        api.send('DELETE', `/admin/v1/merchants/${shop.id}/`, { admin: true }),
      ]);
    }
    const { body } = await api.send<{ data: object[] }>('GET', '/admin/v1/users/', { admin: true });
    expect(body.data.filter((user) => !('disabled_at' in user && user.disabled_at !== null))).toEqual([]);
  });

  test('a link is as good as before after a password that was refused', async () => {
    const api = await openApiServer(await openTestDb());
    const json = { name: 'benedict', role: 'operator' };
    const added = await api.send<{ link: string }>('POST', '/admin/v1/users/', { admin: true, json });
    const link = added.body.link.split('/').at(-1);
    const choose = (password: string) => api.send('POST', '/admin/v1/setup/', { json: { link, password } });
    expect((await choose('benedict1234')).status).toBe(400);
    api.advance(3_600);
    expect((await choose(goodPassword)).status).toBe(200);
  });

  test('whoever changes their password is asked for the old one, and their other sessions end', async () => {
    const api = await openApiServer(await openTestDb());
    const ada = await firstOperator(api);
    const other = personOf(api, 'ada', await signIn(api, 'ada', goodPassword));
    const change = (password: string) =>
      ada.send('POST', '/admin/v1/session/password/', { password, new_password: 'teal kettle nine' });
    expect((await change('not this one')).body).toEqual({
      errors: { password: ['this is not your password'] },
    });
    // Whoever has taken over a session cannot guess it without end, and by no other way.
    const remove = () =>
      ada.send('POST', '/admin/v1/session/totp/remove/', { password: 'a guess', code: '000000' });
    for (let n = 0; n < 4; n++) expect((await remove()).status).toBe(400);
    const stopped = { errors: { password: ['too many attempts failed; try again later'] } };
    expect((await remove()).body).toEqual(stopped);
    expect((await change(goodPassword)).body).toEqual(stopped);
    api.advance(15 * 60 + 1);
    expect((await change(goodPassword)).status).toBe(200);
    expect((await other.send('GET', '/admin/v1/session/')).status).toBe(401);
    expect((await ada.send('GET', '/admin/v1/session/')).status).toBe(200);
    expect((await signIn(api, 'ada', 'teal kettle nine')).status).toBe(200);
  });

  test('a cookie that was there before signing in opens nothing afterwards', async () => {
    const api = await openApiServer(await openTestDb());
    const ada = await firstOperator(api);
    const planted = `${ada.cookie.split('=')[0]}=${'A'.repeat(43)}`;
    const json = { name: 'ada', password: goodPassword };
    const entered = await api.send('POST', '/admin/v1/session/', { json, headers: { cookie: planted } });
    expect(cookieOf(entered)).not.toBe(planted);
    const tried = await api.send('GET', '/admin/v1/payments/', { headers: { cookie: planted } });
    expect(tried.status).toBe(401);
    // One's own of before ends, too.
    const again = await api.send('POST', '/admin/v1/session/', {
      json,
      headers: { cookie: ada.cookie, 'x-csrf-token': ada.csrf },
    });
    expect(again.status).toBe(200);
    expect((await ada.send('GET', '/admin/v1/session/')).status).toBe(401);
  });
});
