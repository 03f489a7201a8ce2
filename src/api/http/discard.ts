import type { IncomingMessage } from 'node:http';
import { finished } from 'node:stream';

/** Longest wait for the rest of a body that nobody wants, ms. */
const patienceMs = 2_000;

/**
 * Reads what is left of a refused request's body and throws it away. A client that is still writing when the
 * connection ends never sees why it was refused; most write everything before they read.
 */
export function discardBody(request: IncomingMessage): Promise<void> {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  const hasBody = encoding !== undefined || Number(length ?? 0) > 0;
  if (!hasBody || request.readableEnded || request.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, patienceMs);
    finished(request, { writable: false }, done);
    request.resume();
  });
}
