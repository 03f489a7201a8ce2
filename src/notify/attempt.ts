import { parseHttpDate, parseRetryAfter } from '../core/http-time.ts';
import { counted } from '../core/plural.ts';
import type { OutboundCall, OutboundResult } from '../outbound.ts';
import type { Signer } from '../storage/webhooks/endpoints.ts';
import type { AttemptRecord, ClaimedDelivery } from '../storage/webhooks/queue.ts';
import { findBotWall } from './bot-wall.ts';
import { type Headers, hideHeaders } from './headers.ts';
import { type AttemptOutcome, judge, refusesSignature, type Verdict } from './schedule.ts';
import { signPayload, signStandard } from './signature.ts';

/** Everything that one attempt needs, read when it was claimed. */
export type Envelope = {
  delivery: ClaimedDelivery;
  leaseUntil: number;
  url: string;
  /** Each signs. PayHook's published verifier looks at the last signature alone. */
  keys: readonly SigningKey[];
  /** The operator's own for this endpoint. */
  headers: Headers;
  /** When the secret was last changed, Unix ms. */
  rotatedAt: number | null;
  event: { id: string; body: string; createdAt: number };
};

export type SigningKey = { signer: Signer; secret: string };

/** An attempt that has ended, and what follows. */
export type Conclusion = {
  endpointId: string;
  /** When what it tells happened, Unix ms; null where the process that began it is gone. */
  eventAt: number | null;
  record: AttemptRecord;
  verdict: Verdict;
  /** What was learned while a rotation is open: whose signature has to come last. */
  accepted: { signer: Signer; rotatedAt: number | null } | null;
};

/** All a receiver has to answer in: connection, headers and all. */
export const attemptTimeoutMs = 10_000;

/** The body decides nothing, it is only kept for people: nobody waits long for it. */
const bodyTimeoutMs = 1_000;
const keptResponseBytes = 2_048;

/** The request of an attempt made at `now` (Unix ms): the frozen bytes, signed afresh. */
export function prepareCall(envelope: Envelope, headerPrefix: string, now: number): OutboundCall {
  const { delivery, event } = envelope;
  const secrets = envelope.keys.map(({ secret }) => secret);
  const body = Buffer.from(event.body);
  const timestamp = Math.floor(now / 1000);
  const headers = {
    'content-type': 'application/json',
    [`${headerPrefix}-Event`]: delivery.eventType,
    [`${headerPrefix}-Delivery-Id`]: String(delivery.id),
    [`${headerPrefix}-Signature`]: signPayload(secrets, timestamp, body),
    'webhook-id': event.id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signStandard(secrets, { id: event.id, timestamp, body }),
  };
  // The prefix may have been another when they were added: ours are never sent twice.
  const written = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  const own = Object.entries(envelope.headers).filter(([name]) => !written.has(name.toLowerCase()));
  return {
    method: 'POST',
    url: envelope.url,
    headers: { ...headers, ...Object.fromEntries(own) },
    body,
    timeoutMs: attemptTimeoutMs,
    bodyTimeoutMs,
    maxBodyBytes: keptResponseBytes,
  };
}

/** What was sent and what came of it; `refused`: the same, before, with the signatures in the other order. */
export type Exchange = { envelope: Envelope; result: OutboundResult; refused: Exchange | null };

/**
 * The same message with the signatures in the other order, where a receiver that looks at the last alone may have
 * refused it for that: while a rotation is open. Null: there is nothing else to try.
 */
export function otherOrder({ envelope, result, refused }: Exchange): Envelope | null {
  if (refused !== null || envelope.keys.length < 2) return null;
  if (result.kind !== 'answer' || !refusesSignature(result.status)) return null;
  return findBotWall(result) === null ? { ...envelope, keys: envelope.keys.toReversed() } : null;
}

/**
 * What an attempt that lasted from `startedAt` to `endedAt` came to. `random`, from 0 to 1, is the jitter of the next
 * wait.
 */
export function conclude(
  exchange: Exchange,
  at: { startedAt: number; endedAt: number; random: number; clockWrong: boolean },
): Conclusion {
  const { envelope, result, refused } = exchange;
  const { delivery, rotatedAt } = envelope;
  const verdict = judge({ ...delivery, ...at, outcome: outcomeOf(result, at.endedAt) });
  const signer = lastSigner(envelope);
  const learned = refused !== null && verdict.kind === 'delivered' && signer !== null;
  const { detail, ...description } = described(exchange, at);
  const response = result.kind === 'answer' ? result.body.toString('utf8') : '';
  return toConclusion({
    delivery,
    eventAt: envelope.event.createdAt,
    ...at,
    verdict,
    ...description,
    detail: hideHeaders(detail, envelope.headers),
    response: hideHeaders(response, envelope.headers),
    accepted: learned ? { signer, rotatedAt } : null,
  });
}

function lastSigner({ keys }: Envelope): Signer | null {
  return keys.at(-1)?.signer ?? null;
}

/** What is known of an attempt that nobody saw end, because its process died, was stopped, or failed. */
export function concludeInterrupted(
  delivery: Pick<ClaimedDelivery, 'id' | 'endpointId' | 'attempt' | 'firstAttemptAt'>,
  { startedAt, endedAt, random }: { startedAt: number; endedAt: number; random: number },
  detail = 'depositd stopped during the attempt; whether it was sent is not known',
): Conclusion {
  // It counts from its beginning: nobody knows its end.
  const outcome: AttemptOutcome = { kind: 'failure', error: 'interrupted' };
  const verdict = judge({ ...delivery, endedAt: startedAt, random, outcome, clockWrong: false });
  return toConclusion({
    delivery,
    eventAt: null,
    startedAt,
    endedAt,
    verdict,
    status: null,
    error: 'interrupted',
    detail,
    response: '',
    accepted: null,
  });
}

function toConclusion(attempt: {
  delivery: Pick<ClaimedDelivery, 'id' | 'endpointId' | 'attempt' | 'firstAttemptAt'>;
  eventAt: number | null;
  startedAt: number;
  endedAt: number;
  verdict: Verdict;
  status: number | null;
  error: string | null;
  detail: string;
  response: string;
  accepted: Conclusion['accepted'];
}): Conclusion {
  const { delivery, eventAt, startedAt, endedAt, verdict, status, error, detail, response, accepted } =
    attempt;
  return {
    endpointId: delivery.endpointId,
    eventAt,
    verdict,
    accepted,
    record: {
      deliveryId: delivery.id,
      attempt: delivery.attempt,
      firstAttemptAt: delivery.firstAttemptAt,
      startedAt,
      durationMs: endedAt - startedAt,
      status,
      error,
      detail: withoutNul(detail),
      response: withoutNul(response),
      next: nextOf(verdict, endedAt),
    },
  };
}

function nextOf(verdict: Verdict, endedAt: number): AttemptRecord['next'] {
  switch (verdict.kind) {
    case 'delivered':
      return { state: 'delivered', finishedAt: endedAt };
    case 'retry':
      return { state: 'pending', nextAttemptAt: verdict.at, uncounted: verdict.uncounted ?? false };
    case 'give-up':
      return { state: 'failed', finishedAt: endedAt };
    default:
      return verdict satisfies never;
  }
}

function outcomeOf(result: OutboundResult, now: number): AttemptOutcome {
  switch (result.kind) {
    case 'answer': {
      const retryAfterMs = parseRetryAfter(result.headers['retry-after'], now);
      const fromBotWall = findBotWall(result) !== null;
      return { kind: 'answer', status: result.status, retryAfterMs, fromBotWall };
    }
    case 'failure':
      return { kind: 'failure', error: result.error };
    default:
      return result satisfies never;
  }
}

function described(
  { envelope, result, refused }: Exchange,
  at: { endedAt: number; clockWrong: boolean },
): { status: number | null; error: string | null; detail: string } {
  const order = refused === null ? '' : `${orderOf(refused)}; ${orderOf({ envelope, result })}`;
  if (result.kind === 'failure') {
    return { status: null, error: result.error, detail: joined(result.detail, order) };
  }
  const { status, headers } = result;
  const wall = findBotWall(result);
  if (wall !== null) {
    const detail = `answered ${status} by a bot wall before the receiver (${wall}): it must let depositd's requests pass`;
    return { status, error: 'bot_wall', detail: joined(detail, order) };
  }
  if (status >= 200 && status < 300) return { status, error: null, detail: order };
  const answered =
    status >= 300 && status < 400 ? `redirects to ${hostOf(headers.location)}` : `answered ${status}`;
  const clock = refusesSignature(status) ? clockHint(headers.date, at) : '';
  return { status, error: 'http', detail: joined(answered, clock, order) };
}

function orderOf({ envelope, result }: Pick<Exchange, 'envelope' | 'result'>): string {
  const which = lastSigner(envelope) === 'current' ? 'new' : 'old';
  const answer = result.kind === 'answer' ? String(result.status) : result.error;
  return `${answer} with the ${which} secret's signature last`;
}

/** A receiver's clock that differs by less is within what verifiers allow. */
const clocksDifferMs = 60_000;

/** A refused signature is often a wrong clock, and often ours. */
function clockHint(
  date: string | undefined,
  { endedAt, clockWrong }: { endedAt: number; clockWrong: boolean },
): string {
  if (clockWrong) return 'our clock is known to be wrong, so this is sent again';
  const theirs = parseHttpDate(date);
  if (theirs === null || Math.abs(theirs - endedAt) < clocksDifferMs) return '';
  const seconds = Math.round(Math.abs(theirs - endedAt) / 1000);
  return `our clock is ${counted(seconds, 'second')} ${theirs > endedAt ? 'behind' : 'ahead of'} the receiver's`;
}

function joined(...phrases: string[]): string {
  return phrases.filter((phrase) => phrase !== '').join('; ');
}

/** The host alone: the rest of a stranger's URL is nobody's business. */
function hostOf(location: string | undefined): string {
  if (location === undefined) return 'nowhere';
  return URL.canParse(location) ? new URL(location).host : 'another path';
}

/** PostgreSQL's text knows no NUL. */
function withoutNul(text: string): string {
  return text.replaceAll('\0', '\uFFFD');
}
