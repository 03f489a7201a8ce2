import { signal } from '@preact/signals';

/** Where the reader is: `#/payments?status=pending`. Views are addresses that can be kept and sent. */
export type Route = { parts: string[]; query: URLSearchParams };

function read(): Route {
  const [path = '', query = ''] = location.hash.slice(1).split('?', 2);
  const parts = path.split('/').filter((part) => part !== '');
  return { parts: parts.map(decodeURIComponent), query: new URLSearchParams(query) };
}

export const route = signal<Route>(read());

addEventListener('hashchange', () => {
  const before = route.value.parts.join('/');
  route.value = read();
  // Readers of the screen begin at the new page's heading; on the same one they stay where they are.
  if (route.value.parts.join('/') !== before) queueMicrotask(() => document.querySelector('main')?.focus());
});

export function link(parts: readonly string[], query: Record<string, string> = {}): string {
  const filled = Object.entries(query).filter(([, value]) => value !== '');
  const search = filled.length === 0 ? '' : `?${new URLSearchParams(filled)}`;
  return `#/${parts.map(encodeURIComponent).join('/')}${search}`;
}

/** Changes what is asked for on this page; a value that is empty goes. */
export function ask(changes: Record<string, string>): void {
  const { parts, query } = route.value;
  location.hash = link(parts, { ...Object.fromEntries(query), ...changes });
}
