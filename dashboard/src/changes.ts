import { signal } from '@preact/signals';

/*
 * One stream of the server for this tab, which tells that something has changed. Whoever shows something looks again then.
 * Without the stream they look by themselves.
 */

/** `off`: nobody has asked for it, or it is refused; then pages look every few seconds. */
export const stream = signal<'off' | 'open' | 'reconnecting'>('off');

/** Between two looks, however much changes, ms. */
const leastMs = 3_000;
/** After a refusal, ms. */
const againMs = 30_000;

const listeners = new Set<() => void>();
let source: EventSource | null = null;
let retry = 0;
let told = 0;
let waiting = 0;

/** Calls `look` after each change until it is let go. */
export function onChange(look: () => void): () => void {
  listeners.add(look);
  open();
  return () => {
    listeners.delete(look);
    // The next page's are there in a moment.
    if (listeners.size === 0) setTimeout(() => listeners.size === 0 && close(), 1_000);
  };
}

function open(): void {
  // A browser has few connections to one server: a tab that nobody sees needs none.
  if (source !== null || listeners.size === 0 || document.hidden) return;
  clearTimeout(retry);
  const own = new EventSource('/admin/v1/changes/');
  source = own;
  own.addEventListener('open', () => {
    // What changed meanwhile was not told.
    if (stream.value === 'reconnecting') tell();
    stream.value = 'open';
  });
  own.addEventListener('changed', tell);
  own.addEventListener('error', () => {
    if (source !== own) return;
    if (own.readyState !== EventSource.CLOSED) {
      stream.value = 'reconnecting';
      return;
    }
    close();
    retry = window.setTimeout(open, againMs);
  });
}

function close(): void {
  source?.close();
  source = null;
  stream.value = 'off';
}

function tell(): void {
  const now = Date.now();
  if (waiting !== 0) return;
  waiting = window.setTimeout(
    () => {
      waiting = 0;
      told = Date.now();
      for (const look of listeners) look();
    },
    Math.max(0, told + leastMs - now),
  );
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return close();
  open();
  tell();
});
