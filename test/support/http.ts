/** An answer with its body read: as JSON where it says so, else as text. */
export type Answer<T = unknown> = { status: number; headers: Headers; body: T; text: string };

export type HttpClient = {
  get<T = unknown>(path: string, headers?: Record<string, string>): Promise<Answer<T>>;
  post<T = unknown>(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>>;
  /** Whatever else: another method, a body that is no JSON. */
  send<T = unknown>(path: string, request: RequestInit): Promise<Answer<T>>;
};

/** `baseUrl` is asked at each request: a daemon that was started again has another port. */
export function createHttpClient(baseUrl: () => string, headers: Record<string, string> = {}): HttpClient {
  async function send<T>(path: string, request: RequestInit): Promise<Answer<T>> {
    const merged = { ...headers, ...(request.headers as Record<string, string> | undefined) };
    const response = await fetch(baseUrl() + path, { redirect: 'manual', ...request, headers: merged });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true;
    const body = (isJson && text !== '' ? JSON.parse(text) : text) as T;
    return { status: response.status, headers: response.headers, body, text };
  }
  return {
    send,
    get: (path, more = {}) => send(path, { headers: more }),
    post: (path, body, more = {}) =>
      body === undefined
        ? send(path, { method: 'POST', headers: more })
        : send(path, {
            method: 'POST',
            body: JSON.stringify(body),
            headers: { 'content-type': 'application/json', ...more },
          }),
  };
}
