import { createHash } from 'node:crypto';
import { z } from 'zod';
import { fieldError, serviceError } from '../http/errors.ts';

/** For who reads the document. */
export const idempotencyHeader = z.object({
  'idempotency-key': z
    .string()
    .optional()
    .describe('Makes a retry safe: within 24 hours the same key and body answer with what was made.'),
});

const printable = /^[\x20-\x7E]{1,255}$/;

/**
 * The `Idempotency-Key` of a request, null when there is none. The quotation marks that the IETF draft puts
 * around it are not part of it.
 *
 * @throws HttpError 400.
 */
export function readIdempotencyKey(header: string | string[] | undefined): string | null {
  if (header === undefined) return null;
  const text = String(header);
  const key = text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
  if (!printable.test(key)) {
    throw fieldError('Idempotency-Key', 'expected 1 to 255 printable ASCII characters');
  }
  return key;
}

/** Tells validated bodies apart, whatever the order of their keys. */
export function fingerprintOf(body: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(body)))
    .digest('hex');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, child]) => [name, sorted(child)] as const);
  return entries.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Refuses a request while another with the same key runs in this process. */
export type InFlight = {
  /**
   * @param id what must run only once at a time; null runs unconditionally.
   * @throws HttpError 409 with `Retry-After` while it runs already.
   */
  exclusively<T>(id: string | null, work: () => Promise<T>): Promise<T>;
};

export function createInFlight(): InFlight {
  const running = new Set<string>();
  return {
    async exclusively(id, work) {
      if (id === null) return work();
      if (running.has(id)) {
        throw serviceError(
          409,
          'idempotency_key_in_use',
          'The first request with this Idempotency-Key is still running; try again.',
          { 'retry-after': '1' },
        );
      }
      running.add(id);
      try {
        return await work();
      } finally {
        running.delete(id);
      }
    },
  };
}
