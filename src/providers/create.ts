import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Currency } from '../core/assets.ts';
import type { FiatCode } from '../core/fiat.ts';
import { fiatExponent } from '../core/fiat.ts';
import type { FiatAmount, PaymentView, ProviderPayment } from '../core/payment.ts';
import { newPaymentNumber, newPaymentToken } from '../payments/new-payment.ts';
import { inTransaction, serializeByName } from '../storage/database.ts';
import { findIdempotencyKey, rememberIdempotencyKey } from '../storage/payments/idempotency.ts';
import { viewById } from '../storage/payments/views.ts';
import {
  claimIntent,
  deleteIntent,
  findIntentByKey,
  insertIntent,
  type StoredIntent,
} from '../storage/providers/intents.ts';
import { insertProviderPayment } from '../storage/providers/payments.ts';
import type { Db, Trx } from '../storage/schema.ts';
import type { Bridge } from './bridge.ts';
import type { Created, Intent } from './provider.ts';

/** What an app asks for, already validated; optional texts are empty. */
export type ChargeRequest = {
  merchantId: string;
  /** What the payer is asked for, in the provider's currency; null where no rate can be trusted. */
  amount: bigint | null;
  currency: FiatCode;
  price: FiatAmount;
  amountUsdCents: number;
  externalOrderId: string;
  customerEmail: string;
  redirectUrl: string;
  metadata: Record<string, unknown>;
  livemode: boolean;
  locale?: string;
  checkoutSession?: string | null;
  /** Comes before the payment is written, in the same transaction. Whatever but null refuses it. */
  admit?: (trx: Trx, now: number) => Promise<string | null>;
  /** `fingerprint` tells two validated bodies apart. */
  idempotency: { key: string; fingerprint: string } | null;
};

export type ChargeOutcome =
  | { outcome: 'created' | 'replayed'; view: PaymentView }
  | { outcome: 'idempotency_key_reused' }
  | { outcome: 'idempotency_key_in_use' }
  /** What was made at the provider nobody has the link of: it can only expire. */
  | { outcome: 'not_admitted'; why: string }
  | { outcome: 'rate_unavailable' }
  /** The provider would refuse it: nobody was asked. */
  | { outcome: 'not_offered'; reason: string }
  /** It was refused, or it is not known whether it was made: with the same key it is made once at most. */
  | { outcome: 'provider_failed'; reason: string }
  /** Nothing was asked for. */
  | { outcome: 'provider_unavailable'; reason: string; retryAfterSeconds: number };

export type ChargeDeps = {
  db: Db;
  clock: Clock;
  /** Called once a payment is committed: it is to be asked about soon. */
  wake: (bridge: Bridge) => void;
};

/** Beyond the provider's time-out, until somebody else may take up what a process left, ms. */
const claimSlackMs = 30_000;

/** What the provider does not say: until when it takes the money; and the farthest that it is believed, ms. */
const unsaidLifeMs = 24 * 60 * 60 * 1000;
const longestLifeMs = 31 * unsaidLifeMs;

const firstFetchMs = 15_000;

/**
 * Has a provider make a charge, and makes a payment of it. What is asked for is written down before it is asked: when
 * the answer is lost, or this process, the same `Idempotency-Key` finds it, and the provider is asked in the very same
 * words. A payment exists only once the provider has answered with where to pay it.
 */
export async function createCharge(
  deps: ChargeDeps,
  bridge: Bridge,
  request: ChargeRequest,
): Promise<ChargeOutcome> {
  const { db, clock } = deps;
  const { provider, client, config } = bridge;
  const { create } = provider;
  if (create === undefined) return { outcome: 'not_offered', reason: 'it makes no payments' };
  const claimMs = config.timeoutSeconds * 1000 + claimSlackMs;
  const claimed = await inTransaction(db, (trx) => claim(trx, bridge, request, { now: clock(), claimMs }));
  if (claimed.outcome !== 'claimed') return claimed;
  const { intent } = claimed;

  const result = await client.call(create(intentOf(intent, bridge, request)));
  switch (result.outcome) {
    case 'done': {
      const fault = faultIn(result.value, intent, bridge);
      if (fault !== null) return giveUp(deps, intent, { outcome: 'provider_failed', reason: fault });
      const made = await inTransaction(db, (trx) =>
        record(trx, bridge, request, { intent, created: result.value, now: clock() }),
      );
      if ('why' in made) return made;
      deps.wake(bridge);
      return { outcome: 'created', view: { kind: 'provider', payment: made } };
    }
    case 'declined':
    case 'rejected':
      return forget(deps, intent, { outcome: 'provider_failed', reason: result.reason });
    case 'not_found':
      return forget(deps, intent, { outcome: 'provider_failed', reason: 'HTTP 404' });
    case 'limited': {
      const retryAfterSeconds = Math.max(1, Math.ceil((result.retryAfterMs ?? 10_000) / 1000));
      const busy = 'it asks to be left alone for a while';
      return forget(deps, intent, { outcome: 'provider_unavailable', reason: busy, retryAfterSeconds });
    }
    case 'not_sent':
      return forget(deps, intent, {
        outcome: 'provider_unavailable',
        reason: result.reason,
        retryAfterSeconds: 30,
      });
    case 'unknown':
      return giveUp(deps, intent, { outcome: 'provider_failed', reason: result.reason });
    default:
      return result satisfies never;
  }
}

type Claim = { outcome: 'claimed'; intent: StoredIntent } | ChargeOutcome;

async function claim(
  trx: Trx,
  { name, provider }: Bridge,
  request: ChargeRequest,
  { now, claimMs }: { now: number; claimMs: number },
): Promise<Claim> {
  const { merchantId, idempotency } = request;
  const claimedUntil = now + claimMs;
  if (idempotency !== null) {
    const { key, fingerprint } = idempotency;
    await serializeByName(trx, `idempotency ${merchantId} ${key}`);
    const remembered = await findIdempotencyKey(trx, merchantId, key, now);
    const earlier = await findIntentByKey(trx, merchantId, key);
    if (remembered !== null) {
      if (remembered.fingerprint !== fingerprint || remembered.paymentId === undefined)
        return { outcome: 'idempotency_key_reused' };
      return { outcome: 'replayed', view: await viewById(trx, remembered.paymentId) };
    }
    if (earlier !== null) {
      if (earlier.fingerprint !== fingerprint) return { outcome: 'idempotency_key_reused' };
      if (earlier.claimedUntil > now) return { outcome: 'idempotency_key_in_use' };
      const { createKeptMs } = provider.descriptor.capabilities;
      if (createKeptMs !== null && now - earlier.createdAt < createKeptMs) {
        await claimIntent(trx, earlier.id, claimedUntil);
        return { outcome: 'claimed', intent: { ...earlier, claimedUntil } };
      }
      // What the first made, if anything, can only expire: nobody has its link. The second gets a name of its own.
      await deleteIntent(trx, earlier.id);
    }
  }
  const { amount, currency } = request;
  if (amount === null) return { outcome: 'rate_unavailable' };
  const reason = provider.refuses({ amount, currency });
  if (reason !== null) return { outcome: 'not_offered', reason };
  const intent = await insertIntent(trx, {
    merchantId,
    provider: name,
    idempotencyKey: idempotency?.key ?? null,
    fingerprint: idempotency?.fingerprint ?? '',
    reference: `dep_${randomBytes(16).toString('hex')}`,
    providerKey: `dep_${randomBytes(16).toString('hex')}`,
    amount,
    currency,
    createdAt: now,
    claimedUntil,
  });
  return { outcome: 'claimed', intent };
}

/** The same words each time for one intent: a provider refuses a key with another body. */
function intentOf(intent: StoredIntent, { inboundUrl }: Bridge, request: ChargeRequest): Intent {
  return {
    reference: intent.reference,
    idempotencyKey: intent.providerKey,
    amount: intent.amount,
    currency: intent.currency,
    description: request.externalOrderId,
    customerEmail: request.customerEmail,
    returnUrl: request.redirectUrl,
    cancelUrl: '',
    notifyUrl: inboundUrl,
  };
}

/** Why nobody may be sent to what was made: it is not what was asked for, or leads somewhere else. */
function faultIn(created: Created, intent: StoredIntent, { provider }: Bridge): string | null {
  const { checkoutHosts, capabilities } = provider.descriptor;
  if (created.amount !== null && created.amount !== intent.amount) return 'it answered with another amount';
  if (created.currency !== null && created.currency !== intent.currency) {
    return 'it answered with another currency';
  }
  if (capabilities.createTellsId && (created.amount === null || created.currency === null)) {
    return 'it answered without the amount';
  }
  if (capabilities.statesMode && created.mode !== provider.mode) return 'it answered in another mode';
  const url = URL.canParse(created.checkoutUrl) ? new URL(created.checkoutUrl) : null;
  if (
    url?.protocol !== 'https:' ||
    url.username !== '' ||
    url.port !== '' ||
    !checkoutHosts.includes(url.hostname)
  ) {
    return 'its link leads to a host that is not its own';
  }
  return null;
}

async function record(
  trx: Trx,
  { name, provider, config }: Bridge,
  request: ChargeRequest,
  { intent, created, now }: { intent: StoredIntent; created: Created; now: number },
): Promise<ProviderPayment | { outcome: 'not_admitted'; why: string }> {
  const why = (await request.admit?.(trx, now)) ?? null;
  if (why !== null) {
    await deleteIntent(trx, intent.id);
    return { outcome: 'not_admitted', why };
  }
  const said = created.expiresAt;
  const expiresAt = said !== null && said > now && said < now + longestLifeMs ? said : now + unsaidLifeMs;
  const payment = await insertProviderPayment(
    trx,
    {
      paymentNumber: newPaymentNumber(now),
      merchantId: request.merchantId,
      kind: 'provider',
      status: 'pending',
      reason: null,
      network: name,
      chain: config.label,
      currency: intent.currency.toLowerCase() as Currency,
      decimals: fiatExponent(intent.currency),
      expectedAmount: intent.amount,
      price: request.price,
      amountUsdCents: request.amountUsdCents,
      externalOrderId: request.externalOrderId,
      customerEmail: request.customerEmail,
      redirectUrl: request.redirectUrl,
      metadata: request.metadata,
      locale: request.locale ?? '',
      checkoutSession: request.checkoutSession ?? null,
      replaces: null,
      replacedBy: null,
      requotes: 0,
      livemode: request.livemode,
      paymentToken: newPaymentToken(),
      createdAt: now,
      expiresAt: Math.floor(expiresAt / 1000) * 1000,
      confirmedAt: null,
      endedAt: null,
      acceptedAt: null,
      providerType: provider.descriptor.type,
      mode: provider.mode,
      reference: intent.reference,
      chargeId: created.id,
      chargeStatus: 'pending',
      statusText: '',
      checkoutUrl: created.checkoutUrl,
      fee: null,
      net: null,
      refunded: 0n,
      disputed: false,
      capture: 'none',
    },
    now + firstFetchMs,
  );
  await deleteIntent(trx, intent.id);
  if (request.idempotency !== null) {
    const { merchantId, idempotency } = request;
    await rememberIdempotencyKey(trx, { merchantId, ...idempotency, paymentId: payment.id, at: now });
  }
  return payment;
}

/** Nothing was made: the next one begins anew. */
async function forget<T extends ChargeOutcome>(
  { db }: ChargeDeps,
  intent: StoredIntent,
  outcome: T,
): Promise<T> {
  await inTransaction(db, (trx) => deleteIntent(trx, intent.id));
  return outcome;
}

/** Something may have been made: who asks with the same key again asks for the same. */
async function giveUp<T extends ChargeOutcome>(
  { db }: ChargeDeps,
  intent: StoredIntent,
  outcome: T,
): Promise<T> {
  await inTransaction(db, (trx) => claimIntent(trx, intent.id, 0));
  return outcome;
}
