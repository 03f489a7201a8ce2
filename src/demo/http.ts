import { CommandError } from '../errors.ts';

export type Caller = {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: object): Promise<T>;
};

/** JSON over HTTP, as an app would do it. Anything but success is the demo's end. */
export function createCaller(baseUrl: string, headers: Record<string, string>): Caller {
  async function call<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await fetch(baseUrl + path, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new CommandError(`${method} ${path} answered ${response.status}: ${text}`);
    return JSON.parse(text) as T;
  }
  return { get: (path) => call('GET', path), post: (path, body) => call('POST', path, body) };
}
