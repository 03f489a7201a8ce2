import type { NoAnswer } from '../../providers/refund.ts';
import { type HttpError, serviceError } from '../http/errors.ts';

/** What a provider cannot do, or a no of it, or its silence. */
export function providerError(
  outcome: NoAnswer | { outcome: 'unsupported'; reason: string },
  label: string,
): HttpError {
  const { reason } = outcome;
  switch (outcome.outcome) {
    case 'unsupported':
      return serviceError(409, 'unsupported_by_provider', `${reason}.`);
    case 'provider_failed':
      return serviceError(502, 'provider_failed', `${label} did not do it: ${reason}.`);
    case 'provider_unavailable': {
      const headers = { 'retry-after': String(outcome.retryAfterSeconds) };
      return serviceError(
        503,
        'provider_unavailable',
        `${label} cannot be used at the moment: ${reason}.`,
        headers,
      );
    }
    default:
      return outcome satisfies never;
  }
}
