import type { OutboundCall, OutboundResult } from '../outbound.ts';
import type { AttemptRecord, ClaimedDelivery } from '../storage/webhooks/queue.ts';
import { type AttemptOutcome, judge, parseRetryAfter, type Verdict } from './schedule.ts';
import { signPayload, signStandard } from './signature.ts';

/** Everything that one attempt needs, read when it was claimed. */
export type Envelope = {
  delivery: ClaimedDelivery;
  leaseUntil: number;
  url: string;
  /** Newest first. */
  secrets: readonly string[];
  event: { id: string; body: string };
};

/** An attempt that has ended, and what follows. */
export type Conclusion = { endpointId: string; record: AttemptRecord; verdict: Verdict };

/** All a receiver has to answer in: connection, headers and all. */
export const attemptTimeoutMs = 10_000;

/** The body decides nothing, it is only kept for people: nobody waits long for it. */
const bodyTimeoutMs = 1_000;
const keptResponseBytes = 2_048;

/** The request of an attempt made at `now` (Unix ms): the frozen bytes, signed afresh. */
export function prepareCall(envelope: Envelope, headerPrefix: string, now: number): OutboundCall {
  const { delivery, event, secrets } = envelope;
  const body = Buffer.from(event.body);
  const timestamp = Math.floor(now / 1000);
  return {
    method: 'POST',
    url: envelope.url,
    headers: {
      'content-type': 'application/json',
      [`${headerPrefix}-Event`]: delivery.eventType,
      [`${headerPrefix}-Delivery-Id`]: String(delivery.id),
      [`${headerPrefix}-Signature`]: signPayload(secrets, timestamp, body),
      'webhook-id': event.id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signStandard(secrets, { id: event.id, timestamp, body }),
    },
    body,
    timeoutMs: attemptTimeoutMs,
    bodyTimeoutMs,
    maxBodyBytes: keptResponseBytes,
  };
}

/** What an attempt that began at `startedAt` came to. `random`, from 0 to 1, is the jitter of the next wait. */
export function conclude(
  delivery: ClaimedDelivery,
  { startedAt, result, random }: { startedAt: number; result: OutboundResult; random: number },
): Conclusion {
  const endedAt = startedAt + result.durationMs;
  const outcome = outcomeOf(result, endedAt);
  const verdict = judge({ ...delivery, endedAt, random, outcome });
  const response = result.kind === 'answer' ? result.body.toString('utf8') : '';
  return toConclusion({ delivery, startedAt, endedAt, verdict, ...described(result), response });
}

/** What is known of an attempt whose process died, or was stopped, before it ended. */
export function concludeInterrupted(
  delivery: Pick<ClaimedDelivery, 'id' | 'endpointId' | 'attempt' | 'firstAttemptAt'>,
  { startedAt, endedAt, random }: { startedAt: number; endedAt: number; random: number },
): Conclusion {
  // It counts from its beginning: nobody knows its end.
  const outcome: AttemptOutcome = { kind: 'failure', error: 'interrupted' };
  const verdict = judge({ ...delivery, endedAt: startedAt, random, outcome });
  const detail = 'depositd stopped during the attempt; whether it was sent is not known';
  return toConclusion({
    delivery,
    startedAt,
    endedAt,
    verdict,
    status: null,
    error: 'interrupted',
    detail,
    response: '',
  });
}

function toConclusion(attempt: {
  delivery: Pick<ClaimedDelivery, 'id' | 'endpointId' | 'attempt'>;
  startedAt: number;
  endedAt: number;
  verdict: Verdict;
  status: number | null;
  error: string | null;
  detail: string;
  response: string;
}): Conclusion {
  const { delivery, startedAt, endedAt, verdict, status, error, detail, response } = attempt;
  return {
    endpointId: delivery.endpointId,
    verdict,
    record: {
      deliveryId: delivery.id,
      attempt: delivery.attempt,
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
      return { state: 'pending', nextAttemptAt: verdict.at };
    case 'give-up':
      return { state: 'failed', finishedAt: endedAt };
    default:
      return verdict satisfies never;
  }
}

function outcomeOf(result: OutboundResult, now: number): AttemptOutcome {
  switch (result.kind) {
    case 'answer': {
      const retryAfter = result.headers['retry-after'];
      return { kind: 'answer', status: result.status, retryAfterMs: parseRetryAfter(retryAfter, now) };
    }
    case 'failure':
      return { kind: 'failure', error: result.error };
    default:
      return result satisfies never;
  }
}

function described(result: OutboundResult): { status: number | null; error: string | null; detail: string } {
  if (result.kind === 'failure') return { status: null, error: result.error, detail: result.detail };
  const { status, headers } = result;
  if (status >= 200 && status < 300) return { status, error: null, detail: '' };
  const detail =
    status >= 300 && status < 400 ? `redirects to ${hostOf(headers.location)}` : `answered ${status}`;
  return { status, error: 'http', detail };
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
