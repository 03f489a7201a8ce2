import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiServer, openApiServer } from '../support/api-server.ts';
import { openBrowser } from '../support/browser.ts';
import { desktop, openWindow } from '../support/dashboard-page.ts';
import { openTestSqlite } from '../support/databases.ts';
import { addPerson, firstOperator, goodPassword } from '../support/people.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await openBrowser();
}, 60_000);
afterAll(() => browser.close());

/** A window with a device that makes passkeys. Browsers know none for a bare address. */
async function openDevice(api: ApiServer): Promise<{ page: Page; url: string; sent: string[] }> {
  const { page } = await openWindow(browser, desktop);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  const sent: string[] = [];
  page.on('request', (request) => {
    if (request.method() === 'PUT' && request.url().endsWith('/session/passkey/'))
      sent.push(request.postData() ?? '');
  });
  return { page, url: api.url.replace('127.0.0.1', 'localhost'), sent };
}

async function signInByPassword(page: Page, url: string, name: string): Promise<void> {
  await page.goto(`${url}/dashboard/`);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(goodPassword);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Home' }).waitFor();
}

async function addPasskey(page: Page, url: string, password = goodPassword): Promise<void> {
  await page.goto(`${url}/dashboard/#/account`);
  await page.getByLabel('Name of the device').fill('My phone');
  await page.getByLabel('The password you sign in with').fill(password);
  await page.getByRole('button', { name: 'Add a passkey' }).click();
}

/** Sent by a page of this origin in which nobody is signed in: the status of the answer. */
async function put(origin: string, body: unknown): Promise<number> {
  const { page } = await openWindow(browser, desktop);
  await page.goto(`${origin}/dashboard/`);
  return page.evaluate(async (text) => {
    const headers = { 'content-type': 'application/json' };
    return (await fetch('/admin/v1/session/passkey/', { method: 'PUT', headers, body: text })).status;
  }, JSON.stringify(body));
}

test('a passkey made with the password signs in without it, once for each signature, until it is removed', async () => {
  const api = await openApiServer(await openTestSqlite());
  await firstOperator(api);
  const { page, url, sent } = await openDevice(api);
  await signInByPassword(page, url, 'ada');
  await addPasskey(page, url, 'not my password');
  await page.getByText('this is not your password').waitFor();
  await page.getByLabel('The password you sign in with').fill(goodPassword);
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await page.getByRole('cell', { name: 'My phone' }).waitFor();

  await page.getByRole('button', { name: 'Sign out' }).click();
  api.advance(1);
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.getByRole('heading', { name: 'Your account' }).waitFor();
  await page.getByText('ada', { exact: false }).first().waitFor();
  const signs = await api.db
    .selectFrom('audit_log')
    .select(['action', 'actor', 'detail'])
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow();
  expect(signs).toMatchObject({ action: 'user.signed_in', actor: 'user ada' });
  expect(signs.detail).toContain('"second_factor":"passkey"');

  // What was signed is good once; changed, or on another page, it never was.
  const body = JSON.parse(sent[0] ?? '{}') as {
    credential: { id: string; response: Record<string, string> };
  };
  expect(await put(url, body)).toBe(401);
  const { id, response } = body.credential;
  for (const credential of [
    {},
    { id },
    { ...body.credential, id: `${id}x` },
    { ...body.credential, response: { ...response, signature: 'AAAA' } },
    { ...body.credential, response: null },
  ]) {
    expect(await put(url, { credential })).toBe(401);
    // Five that fail make an address wait.
    api.advance(16 * 60);
  }

  await page.getByRole('button', { name: 'Remove', exact: true }).click();
  await page.getByLabel('The password you sign in with').fill(goodPassword);
  await page.getByRole('button', { name: 'Remove the passkey' }).click();
  await page.getByText('You have none.').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.getByText('This passkey is not known here').waitFor();
}, 60_000);

test('a passkey opens nothing when its user is disabled, its question is old, or it was asked of another host', async () => {
  const api = await openApiServer(await openTestSqlite());
  const ada = await firstOperator(api);
  await addPerson(api, { name: 'bob', role: 'viewer' });
  const { page, url, sent } = await openDevice(api);
  await signInByPassword(page, url, 'bob');
  await addPasskey(page, url);
  await page.getByRole('cell', { name: 'My phone' }).waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();

  // The answer arrives when the question is over.
  await page.route('**/session/passkey/', (route) => {
    if (route.request().method() === 'PUT') api.advance(301);
    return route.continue();
  });
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.getByText('This passkey is not known here').waitFor();
  await page.unroute('**/session/passkey/');

  // A page of another host that passes everything on: the browser has no passkey for it.
  await page.goto(`${api.url}/dashboard/`);
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.getByText('The device signed nothing').waitFor();

  // What was signed for this host is refused under another name of it.
  await page.goto(`${url}/dashboard/`);
  const answered = page.waitForResponse((one) => one.request().method() === 'PUT');
  await page.route('**/session/passkey/', (route) =>
    route.request().method() === 'PUT' ? route.abort() : route.continue(),
  );
  answered.catch(() => {});
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await expect.poll(() => sent.length, { timeout: 10_000 }).toBe(2);
  const body = JSON.parse(sent[1] ?? '{}');
  expect(await put(api.url, body)).toBe(401);
  await page.unroute('**/session/passkey/');

  const users = await ada.send<{ data: { id: string; name: string }[] }>('GET', '/admin/v1/users/');
  const bob = users.body.data.find(({ name }) => name === 'bob')?.id ?? '';
  await ada.send('DELETE', `/admin/v1/users/${bob}/`);
  await page.goto(`${url}/dashboard/`);
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.getByText('This passkey is not known here').waitFor();
}, 60_000);
