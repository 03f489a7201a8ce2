import { signal } from '@preact/signals';

/** Whoever is signed in, and what every change of theirs carries. */
export type Me = {
  id: string;
  name: string;
  role: 'operator' | 'merchant' | 'viewer';
  merchant_id: string | null;
  second_factor: boolean;
};

type SignedIn = { user: Me | null; csrf_token: string | null };

/** `undefined`: not known yet; null: nobody. */
export const me = signal<Me | null | undefined>(undefined);
/** Whether the session ended while its page was open: it is asked for again over the page, so that nothing is lost. */
export const ended = signal(false);

/** A connection may die without a word, ms. */
const readTimeoutMs = 30_000;

let csrfToken = '';
let again = Promise.withResolvers<void>();

/** What was answered instead of what was asked for. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string | null;
  /** What is wrong with each field, where that was said. */
  readonly fields: Record<string, string[]>;

  constructor(status: number, body: unknown) {
    const { errors, error, detail, code } = (body ?? {}) as {
      errors?: Record<string, string[]>;
      error?: string;
      detail?: string;
      code?: string;
    };
    const fields = errors ?? {};
    const first = Object.entries(fields).map(([field, faults]) => `${field}: ${faults.join(', ')}`);
    super(error ?? detail ?? (first.join('; ') || `The server answered ${status}.`));
    this.status = status;
    this.code = code ?? null;
    this.fields = fields;
  }
}

export function get<T>(path: string): Promise<T> {
  return request<T>('GET', path);
}

export function change<T = unknown>(
  method: 'POST' | 'PATCH' | 'PUT' | 'DELETE',
  path: string,
  body?: object,
) {
  return request<T>(method, path, body ?? (method === 'DELETE' ? undefined : {}));
}

async function request<T>(method: string, path: string, body?: object): Promise<T> {
  for (;;) {
    const response = await fetch(`/admin/v1${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(method === 'GET' ? {} : { 'x-csrf-token': csrfToken }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      // What was to be changed may have been: only what is read is asked for again.
      ...(method === 'GET' ? { signal: AbortSignal.timeout(readTimeoutMs) } : {}),
    }).catch(() => null);
    if (response === null) throw new ApiError(0, { detail: 'The server cannot be reached.' });
    const answer = await response.json().catch(() => null);
    if (response.ok) return answer as T;
    const expected = ['/session/', '/setup/', '/session/passkey/'].includes(path);
    if (response.status !== 401 || expected || me.value == null) throw new ApiError(response.status, answer);
    ended.value = true;
    await again.promise;
  }
}

export async function readMe(): Promise<void> {
  try {
    take(await get<SignedIn>('/session/'));
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    me.value = null;
  }
}

export async function signIn(credentials: { name: string; password: string; code?: string }): Promise<void> {
  take(await change<SignedIn>('POST', '/session/', credentials));
}

export const hasPasskeys =
  'PublicKeyCredential' in window && 'parseRequestOptionsFromJSON' in PublicKeyCredential;

export async function signInWithPasskey(): Promise<void> {
  const asked = await change<PublicKeyCredentialRequestOptionsJSON>('POST', '/session/passkey/');
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(asked);
  const credential = await signed(navigator.credentials.get({ publicKey }));
  take(await change<SignedIn>('PUT', '/session/passkey/', { credential }));
}

export async function addPasskey(given: { name: string; password: string; code: string }): Promise<void> {
  const asked = await change<PublicKeyCredentialCreationOptionsJSON>('POST', '/session/passkeys/');
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(asked);
  const credential = await signed(navigator.credentials.create({ publicKey }));
  await change('PUT', '/session/passkeys/', { ...given, credential });
}

/** What the device signed, as JSON. */
async function signed(asking: Promise<Credential | null>): Promise<unknown> {
  const credential = await asking.catch(() => null);
  if (credential instanceof PublicKeyCredential) return credential.toJSON();
  throw new ApiError(0, { detail: 'The device signed nothing: it was refused, or took too long.' });
}

export async function setUp(given: { link: string; name?: string; password: string }): Promise<void> {
  take(await change<SignedIn>('POST', '/setup/', given));
}

export async function signOut(): Promise<void> {
  await change('DELETE', '/session/');
  me.value = null;
}

function take({ user, csrf_token }: SignedIn): void {
  csrfToken = csrf_token ?? '';
  me.value = user;
  if (user === null || !ended.value) return;
  ended.value = false;
  again.resolve();
  again = Promise.withResolvers();
}
