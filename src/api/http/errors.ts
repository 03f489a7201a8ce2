import type { FastifyReply, FastifyRequest } from 'fastify';
import { DepositdError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import { isStorageFault } from '../../storage/faults.ts';
import { discardBody } from './discard.ts';

/** The three shapes in which every fault is answered, never mixed. */
export type ErrorBody =
  | { errors: Record<string, string[]> }
  | { error: string; code: ErrorCode }
  | { detail: string };

/** What a program may meet in `code`. */
export const errorCodes = [
  'NoAddressConfiguredError',
  'all_addresses_held',
  'chain_unavailable',
  'clock_skew',
  'code_required',
  'cursor_expired',
  'endpoint_disabled',
  'idempotency_key_in_use',
  'idempotency_key_reused',
  'not_acceptable',
  'not_attachable',
  'not_cancellable',
  'not_capturable',
  'not_ignorable',
  'not_recordable',
  'not_refundable',
  'not_removable',
  'not_rescannable',
  'not_settleable',
  'provider_failed',
  'provider_unavailable',
  'rate_unavailable',
  'storage_unavailable',
  'unknown_cursor',
  'unsupported_by_provider',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** Ends a request with this answer. */
export class HttpError extends DepositdError {
  readonly statusCode: number;
  readonly body: ErrorBody;
  readonly headers: Record<string, string>;

  constructor(statusCode: number, body: ErrorBody, headers: Record<string, string> = {}) {
    super(`http_${statusCode}`, `answered ${statusCode}`);
    this.statusCode = statusCode;
    this.body = body;
    this.headers = headers;
  }
}

/** 400: what is wrong with each field, by the field's name. */
export function fieldErrors(faults: Iterable<readonly [field: string, message: string]>): HttpError {
  const errors = new Map<string, string[]>();
  for (const [field, message] of faults) errors.set(field, [...(errors.get(field) ?? []), message]);
  // `fromEntries` makes an own property even of `__proto__`.
  return new HttpError(400, { errors: Object.fromEntries(errors) });
}

export function fieldError(field: string, message: string): HttpError {
  return fieldErrors([[field, message]]);
}

/** The request was right but cannot be served; `code` is for programs. */
export function serviceError(
  statusCode: number,
  code: ErrorCode,
  message: string,
  headers: Record<string, string> = {},
): HttpError {
  return new HttpError(statusCode, { error: message, code }, headers);
}

export function detailError(
  statusCode: number,
  detail: string,
  headers: Record<string, string> = {},
): HttpError {
  return new HttpError(statusCode, { detail }, headers);
}

/** One answer for everything that is not there, or not the caller's. */
export function notFound(): HttpError {
  return detailError(404, 'Not found.');
}

export function unsupportedMediaType(): HttpError {
  return detailError(415, 'Unsupported media type; send Content-Type: application/json.');
}

/** Turns whatever a request threw into one of the three shapes; only our own faults are logged. */
export function createErrorHandler(log: Logger) {
  return async (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const answer = toHttpError(error);
    if (answer.statusCode >= 500) {
      const fields = { err: error, method: request.method, route: request.routeOptions.url ?? null };
      if (isStorageFault(error)) log.warn(fields, 'request failed: storage unavailable');
      else if (!(error instanceof HttpError)) log.error(fields, 'request failed');
    }
    await discardBody(request.raw);
    return reply.code(answer.statusCode).headers(answer.headers).send(answer.body);
  };
}

function toHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (isStorageFault(error)) {
    return serviceError(503, 'storage_unavailable', 'The database cannot be used at the moment; try again.', {
      'retry-after': '5',
    });
  }
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return detailError(413, 'The body is too large.');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return unsupportedMediaType();
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return detailError(400, 'The body is not as long as Content-Length says.');
    case 'FST_ERR_BAD_URL':
      return detailError(400, 'The URL is malformed.');
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return notFound();
  }
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return detailError(statusCode, 'The request is malformed.');
  }
  return detailError(500, 'An internal error occurred.');
}
