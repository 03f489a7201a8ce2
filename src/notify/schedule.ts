import type { OutboundError } from '../outbound.ts';

/** Most attempts of one delivery. */
export const maxAttempts = 10;

/** Before attempt 1, 2, … 10, from the end of the one before: 29.8 minutes in all. */
export const waitsMs: readonly number[] = [0, 3.5, 7, 14, 28, 56, 112, 224, 448, 896].map((s) => s * 1000);

/** A wait is up to a tenth longer, so that what failed together does not return together. Never shorter. */
const jitterShare = 0.1;

/** The longest an attempt takes, for planning. */
const attemptMs = 10_000;

/** All attempts begin within this time of the first one, `Retry-After` or not. */
export const windowMs = 36 * 60_000;

/** How an attempt ended. `interrupted`: the process that made it died; nobody knows whether it was sent. */
export type AttemptOutcome =
  | {
      kind: 'answer';
      status: number;
      retryAfterMs: number | null;
      /** A bot wall gave it, not the receiver. */
      fromBotWall: boolean;
    }
  | { kind: 'failure'; error: OutboundError | 'interrupted' };

export type GiveUpReason = 'rejected' | 'gone' | 'blocked' | 'exhausted';

export type Verdict =
  | { kind: 'delivered' }
  /** `at` in Unix ms. `uncounted`: the attempt was in vain through a fault of ours, and is made again. */
  | { kind: 'retry'; at: number; uncounted?: true }
  | { kind: 'give-up'; reason: GiveUpReason; disableEndpoint: boolean };

export type JudgedAttempt = {
  /** 1 to 10. */
  attempt: number;
  /** When attempt 1 began, Unix ms. */
  firstAttemptAt: number;
  /** When this one ended, Unix ms. */
  endedAt: number;
  /** 0 to 1: where within the jitter the next wait lies. */
  random: number;
  /** Our clock is known to be wrong: the time that we sign is. */
  clockWrong: boolean;
  outcome: AttemptOutcome;
};

/**
 * What follows from an attempt:
 *
 * - 2xx: delivered
 * - 400, 401, 403, 404, 422: the receiver will not have it, give up at once
 * - 410: the receiver is gone for good, give up and disable the endpoint
 * - the target is refused by our own guard: give up, an operator has to act first
 * - whatever a bot wall answers in the receiver's place: again, like 503
 * - 400, 401, 403 while our clock is known to be wrong: again; the last attempt is made until the clock is right
 * - every other answer (408, 425, 429, 5xx, redirects, codes nobody heard of) and every failure of the
 *   network: again, until ten attempts are used up
 */
export function judge(attempt: JudgedAttempt): Verdict {
  const { outcome } = attempt;
  switch (outcome.kind) {
    case 'answer':
      return judgeAnswer(attempt, outcome);
    case 'failure':
      return outcome.error === 'blocked' ? giveUp('blocked') : retry(attempt, null);
    default:
      return outcome satisfies never;
  }
}

function judgeAnswer(
  attempt: JudgedAttempt,
  { status, retryAfterMs, fromBotWall }: Extract<AttemptOutcome, { kind: 'answer' }>,
): Verdict {
  if (fromBotWall) return retry(attempt, retryAfterMs);
  if (status >= 200 && status < 300) return { kind: 'delivered' };
  if (attempt.clockWrong && refusesSignature(status)) return retryInVain(attempt);
  switch (status) {
    case 400:
    case 401:
    case 403:
    case 404:
    case 422:
      return giveUp('rejected');
    case 410:
      return { kind: 'give-up', reason: 'gone', disableEndpoint: true };
    case 429:
    case 503:
      return retry(attempt, retryAfterMs);
    default:
      return retry(attempt, null);
  }
}

/** What receivers answer that do not accept the signature. */
export function refusesSignature(status: number): boolean {
  return status === 400 || status === 401 || status === 403;
}

function retry(attempt: JudgedAttempt, retryAfterMs: number | null): Verdict {
  if (attempt.attempt >= maxAttempts) return giveUp('exhausted');
  const asked = attempt.endedAt + (retryAfterMs ?? 0);
  const at = Math.max(nextStart(attempt, attempt.attempt + 1), Math.min(asked, latestStart(attempt)));
  return { kind: 'retry', at: Math.ceil(at) };
}

/** By the usual waits, but the last attempt is never used up. */
function retryInVain(attempt: JudgedAttempt): Verdict {
  const last = attempt.attempt >= maxAttempts;
  const at = nextStart(attempt, last ? maxAttempts : attempt.attempt + 1);
  return { kind: 'retry', at: Math.ceil(at), ...(last ? { uncounted: true } : {}) };
}

function nextStart({ endedAt, random }: JudgedAttempt, next: number): number {
  return endedAt + waitBefore(next) * (1 + jitterShare * random);
}

/** The latest that the next attempt may begin with every attempt after it still inside the window. */
function latestStart({ attempt, firstAttemptAt }: JudgedAttempt): number {
  let rest = 0;
  for (let later = attempt + 2; later <= maxAttempts; later++) {
    rest += attemptMs + waitBefore(later) * (1 + jitterShare);
  }
  return firstAttemptAt + windowMs - rest;
}

function waitBefore(attempt: number): number {
  return waitsMs[attempt - 1] ?? 0;
}

function giveUp(reason: GiveUpReason): Verdict {
  return { kind: 'give-up', reason, disableEndpoint: false };
}
