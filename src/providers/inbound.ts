import { createHash, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { providerEventBody } from '../present/event-body.ts';
import { inTransaction } from '../storage/database.ts';
import { listMerchants } from '../storage/operators/merchants.ts';
import { hastenFetch, hastenUnverified } from '../storage/providers/fetches.ts';
import {
  type InboundEvent,
  insertInboundEvent,
  listWaitingEvents,
  noteEventHandled,
} from '../storage/providers/inbound.ts';
import { findPaymentOfCharge } from '../storage/providers/payments.ts';
import { countRejectedWebhook } from '../storage/providers/providers.ts';
import type { Db, Trx } from '../storage/schema.ts';
import { appendEvent } from '../storage/webhooks/events.ts';
import type { Bridge } from './bridge.ts';
import { fetchCharge } from './fetch.ts';
import type { ReceivedWebhook } from './provider.ts';
import { type SettleDeps, settleCharge } from './settle.ts';

export type InboundDeps = {
  db: Db;
  clock: Clock;
  log: Logger;
  wake: (bridge: Bridge) => void;
  onEvents: () => void;
};

/** `kept`: it is on the disk, now or since earlier. */
export type InboundOutcome = 'kept' | 'refused' | 'not_found';

/** One that cannot be verified leads to a fetch of its payment once in this time, ms. */
const unverifiedEveryMs = 60_000;

/**
 * Keeps a webhook of a provider, if it may be its. What it says is a hint: it moves nothing, it only makes its payment
 * be asked about now. What gives access is cut out of it before it is kept.
 */
export async function receiveWebhook(
  { db, clock, log, wake, onEvents }: InboundDeps,
  bridge: Bridge,
  path: string,
  webhook: ReceivedWebhook,
): Promise<InboundOutcome> {
  if (!isSame(path, bridge.inboundPath)) return 'not_found';
  const now = clock();
  const { provider, name, scrub } = bridge;
  const verification = provider.verifyWebhook(webhook, now);
  if (verification.verdict === 'invalid') {
    await inTransaction(db, (trx) => countRejectedWebhook(trx, name));
    log.warn({ provider: name, reason: verification.reason }, 'provider webhook refused');
    return 'refused';
  }
  const hint = provider.readWebhook(webhook);
  const event = {
    provider: name,
    dedupeKey: hint.dedupeKey.slice(0, 200),
    verdict: verification.verdict,
    reading: verification.verdict === 'verified' ? verification.reading : '',
    type: printable(hint.type),
    chargeId: hint.chargeId,
    reference: hint.reference === null ? null : printable(hint.reference),
    body: printable(scrub(Buffer.from(webhook.body).toString('utf8'))),
    receivedAt: now,
  };
  const passedOn = !provider.descriptor.capabilities.charges && verification.verdict === 'verified';
  const isNew = await inTransaction(db, async (trx) => {
    const added = await insertInboundEvent(trx, event);
    if (added && passedOn) await passOn(trx, bridge, event, now);
    return added;
  });
  if (isNew) wake(bridge);
  if (isNew && passedOn) onEvents();
  return 'kept';
}

/** What a provider sends that has no payments is told to its merchants as it is. It confirms nothing. */
async function passOn(
  trx: Trx,
  { config, provider, livemode }: Bridge,
  { type, body }: { type: string; body: string },
  now: number,
): Promise<void> {
  const merchants =
    config.merchants ??
    (await listMerchants(trx)).filter(({ removedAt }) => removedAt === null).map(({ id }) => id);
  for (const merchantId of merchants) {
    const shown = {
      name: config.name,
      label: config.label,
      type: provider.descriptor.type,
      event: type,
      body,
    };
    await appendEvent(trx, {
      merchantId,
      type: 'provider.event',
      paymentId: null,
      body: providerEventBody(shown, { livemode, at: now }),
      at: now,
    });
  }
}

/** Looks at what came in since the last time: each event makes its payment be asked about. Answers how many there were. */
export async function handleWebhooks(deps: SettleDeps, bridge: Bridge, signal: AbortSignal): Promise<number> {
  const { db, clock } = deps;
  const waiting = await listWaitingEvents(db, bridge.name, 50);
  for (const event of waiting) {
    if (signal.aborted) break;
    const outcome = await handle(deps, bridge, event, signal);
    await inTransaction(db, (trx) => noteEventHandled(trx, event.id, outcome, clock()));
  }
  return waiting.length;
}

async function handle(
  deps: SettleDeps,
  bridge: Bridge,
  event: InboundEvent,
  signal: AbortSignal,
): Promise<string> {
  const { db, clock, log } = deps;
  const { name, provider } = bridge;
  if (!provider.descriptor.capabilities.charges) return 'passed on';
  if (event.chargeId === null && event.reference === null) return 'about no payment';
  const payment = await findPaymentOfCharge(db, name, event);
  if (payment === null) {
    log.info(
      { provider: name, charge: event.chargeId, type: event.type },
      'provider webhook without payment',
    );
    return 'no payment of ours';
  }
  const now = clock();
  if (event.verdict === 'unverified') {
    const heard = await inTransaction(db, (trx) =>
      hastenUnverified(trx, payment.id, { now, everyMs: unverifiedEveryMs }),
    );
    return heard ? 'unverified, asked about' : 'unverified, asked about lately';
  }
  await inTransaction(db, (trx) => hastenFetch(trx, payment.id, now));
  // The id that it names leads to the charge sooner than the list; whether it is this payment's, the answer must show.
  if (payment.chargeId === null && event.chargeId !== null) {
    const fetched = await fetchCharge(bridge, payment, { signal, candidate: event.chargeId });
    if (fetched.outcome === 'done' && fetched.value !== null)
      await settleCharge(deps, bridge, payment.id, fetched.value);
  }
  return 'asked about';
}

/** Databases refuse NUL and lone surrogates. */
function printable(text: string): string {
  return text.replaceAll('\0', '\ufffd').toWellFormed();
}

/** In the same time wherever two texts differ. */
function isSame(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
