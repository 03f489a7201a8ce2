import { makeFirstLink } from '../../src/users/accounts.ts';
import type { ApiServer, TestAnswer } from './api-server.ts';

export const goodPassword = 'mauve teapot seven';

/** Somebody who is signed in, as a page of the dashboard is. */
export type Person = {
  name: string;
  cookie: string;
  csrf: string;
  send<T = unknown>(method: string, path: string, json?: unknown): Promise<TestAnswer<T>>;
};

type SignedIn = { user: { id: string } | null; csrf_token: string | null };

/** What a browser keeps of an answer. */
export function cookieOf(answer: TestAnswer): string {
  return (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
}

export function personOf(api: ApiServer, name: string, answer: TestAnswer<SignedIn>): Person {
  if (answer.status !== 200) throw new Error(`${name} was not let in: ${answer.text}`);
  const cookie = cookieOf(answer);
  const csrf = answer.body.csrf_token ?? '';
  const headers = { cookie, 'x-csrf-token': csrf };
  return {
    name,
    cookie,
    csrf,
    send: (method, path, json) =>
      api.send(method, path, { headers, ...(json === undefined ? {} : { json }) }),
  };
}

export async function firstOperator(api: ApiServer, name = 'ada'): Promise<Person> {
  const link = await makeFirstLink({ db: api.db, clock: api.now });
  const json = { link, name, password: goodPassword };
  return personOf(api, name, await api.send<SignedIn>('POST', '/admin/v1/setup/', { json }));
}

export async function addPerson(
  api: ApiServer,
  user: { name: string; role: 'operator' | 'merchant' | 'viewer'; merchant_id?: string },
): Promise<Person> {
  const added = await api.send<{ link: string }>('POST', '/admin/v1/users/', { admin: true, json: user });
  const link = added.body.link.split('/').at(-1);
  const json = { link, password: goodPassword };
  return personOf(api, user.name, await api.send<SignedIn>('POST', '/admin/v1/setup/', { json }));
}

export function signIn(api: ApiServer, name: string, password: string, more: Record<string, unknown> = {}) {
  return api.send<SignedIn>('POST', '/admin/v1/session/', { json: { name, password, ...more } });
}
