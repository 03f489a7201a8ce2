import { formatFiatAmount } from '../core/fiat.ts';
import { inTransaction } from '../storage/database.ts';
import {
  claimDueFetches,
  type DuePayment,
  hastenFetch,
  nextFetchAt,
  noteFetch,
} from '../storage/providers/fetches.ts';
import { hasIntent } from '../storage/providers/intents.ts';
import { findPaymentOfCharge, listProviderPaymentsById } from '../storage/providers/payments.ts';
import { findProviderState, insertUnmatchedCharge, noteProvider } from '../storage/providers/providers.ts';
import type { Bridge } from './bridge.ts';
import { captureCharge } from './capture.ts';
import { fetchCharge, listCharges } from './fetch.ts';
import { handleWebhooks } from './inbound.ts';
import type { Charge } from './provider.ts';
import { resolveRefunds } from './refund.ts';
import { type SettleDeps, settleCharge } from './settle.ts';

/** Payments asked about at the same time. */
const atOnce = 8;

/** A claim protects a payment from being asked about by two; more than a fetch and a list take, ms. */
const leaseMs = 5 * 60 * 1000;

/** After a provider failed it is left alone for this long, ms. */
const failedWaitMs = 15_000;

/** Another process may have kept a webhook: how often somebody looks, ms. */
const lookEveryMs = 5_000;

const dayMs = 24 * 60 * 60 * 1000;

/** How far back the daily sweep reads, ms: longer than the provider, or we, may have been away. */
const sweptMs = 3 * dayMs;

/** How often the provider's webhook configuration is compared with ours, ms. */
const driftEveryMs = 15 * 60 * 1000;

/**
 * The step of one provider's loop: hears what came in, asks about every payment whose time has come, finds out about
 * refunds whose answer was lost, and once a day reads the provider's own list. Webhooks only shorten the wait: without
 * one of them every payment still ends right. Answers how long to wait, ms.
 */
export function createReconciler(deps: SettleDeps, bridge: Bridge): (signal: AbortSignal) => Promise<number> {
  const { db, clock } = deps;
  const { name } = bridge;
  let comparedAt = Number.NEGATIVE_INFINITY;

  return async (signal) => {
    const heard = await handleWebhooks(deps, bridge, signal);
    const due = await inTransaction(db, (trx) => {
      const now = clock();
      return claimDueFetches(trx, name, { now, leaseUntil: now + leaseMs, limit: atOnce });
    });
    const answered = await Promise.all(due.map((one) => askAbout(deps, bridge, one, signal)));
    await resolveRefunds(deps, bridge, signal);
    await sweepOnce(deps, bridge, signal);
    if (Math.abs(clock() - comparedAt) >= driftEveryMs) {
      comparedAt = clock();
      await compareConfig(deps, bridge, signal);
    }
    const note = bridge.takeNote();
    if (note !== null) await inTransaction(db, (trx) => noteProvider(trx, name, note));
    if (answered.includes(false)) return failedWaitMs;
    if (heard > 0 || due.length === atOnce) return 0;
    const next = await nextFetchAt(db, name);
    return next === null ? lookEveryMs : Math.max(0, Math.min(lookEveryMs, next - clock()));
  };
}

/** Whether the provider answered. */
async function askAbout(
  deps: SettleDeps,
  bridge: Bridge,
  { paymentId, fetches }: DuePayment,
  signal: AbortSignal,
): Promise<boolean> {
  const { db, clock } = deps;
  const [payment] = await listProviderPaymentsById(db, [paymentId]);
  if (payment === undefined) return true;
  const fetched = await fetchCharge(bridge, payment, { signal });
  if (fetched.outcome !== 'done') {
    const gone = fetched.outcome === 'not_found';
    const nextAt = clock() + (gone ? 15 * 60 * 1000 : failedWaitMs);
    const mismatch = gone ? 'the provider does not find it' : null;
    await inTransaction(db, (trx) =>
      noteFetch(trx, paymentId, { fetches, nextAt, fetchedAt: null, mismatch }),
    );
    if (gone)
      deps.log.warn({ provider: bridge.name, payment: payment.paymentNumber }, 'provider payment not found');
    return gone;
  }
  const settled = await settleCharge(deps, bridge, paymentId, fetched.value, fetches);
  const waits = settled.chargeStatus === 'authorized' && settled.status === 'pending';
  if (waits && bridge.provider.captureMode === 'automatic' && settled.capture !== 'part') {
    await captureCharge(deps, bridge, { paymentId, amount: null });
  }
  return true;
}

/**
 * Reads what the provider's list shows of the last days: a payment that stands there otherwise is asked about, and a
 * charge that nobody asked for through us is reported, once.
 */
async function sweepOnce(deps: SettleDeps, bridge: Bridge, signal: AbortSignal): Promise<void> {
  const { db, clock } = deps;
  const { name, provider } = bridge;
  if (provider.list === undefined) return;
  const now = clock();
  const { sweptAt = null } = (await findProviderState(db, name)) ?? {};
  if (sweptAt !== null && Math.abs(now - sweptAt) < dayMs) return;
  const charges: Charge[] = [];
  const listed = await listCharges(bridge, now - sweptMs, signal, (charge) => {
    charges.push(charge);
    return true;
  });
  for (const charge of charges) {
    if (signal.aborted) return;
    await compare(deps, bridge, charge);
  }
  if (listed.outcome !== 'done') return;
  await inTransaction(db, (trx) => noteProvider(trx, name, { sweptAt: now }));
  deps.log.info({ provider: name, charges: charges.length, complete: listed.value }, 'provider swept');
}

async function compare({ db, clock, log }: SettleDeps, { name }: Bridge, charge: Charge): Promise<void> {
  const { id: chargeId, reference, status, amount, currency } = charge;
  const payment = await findPaymentOfCharge(db, name, { chargeId, reference });
  if (payment !== null) {
    const grown = charge.refunded !== null && charge.refunded > payment.refunded;
    if (payment.chargeStatus === status && payment.chargeId !== null && !grown) return;
    await inTransaction(db, (trx) => hastenFetch(trx, payment.id, clock()));
    return;
  }
  // One that nobody has the link of, and one whose answer is awaited: no money is in either.
  if (['pending', 'expired', 'failed', 'voided'].includes(status)) return;
  if (reference !== null && (await hasIntent(db, reference))) return;
  const shown =
    amount === null || currency === null ? null : formatFiatAmount({ minorUnits: amount, currency });
  const isNew = await inTransaction(db, (trx) =>
    insertUnmatchedCharge(trx, {
      provider: name,
      chargeId,
      status,
      amount: shown,
      currency,
      foundAt: clock(),
    }),
  );
  if (isNew)
    log.warn({ provider: name, charge: chargeId, status, amount: shown, currency }, 'provider.unmatched');
}

/** Whoever else has the token can send the provider's webhooks elsewhere: what is configured there is compared. */
async function compareConfig({ db, log }: SettleDeps, bridge: Bridge, signal: AbortSignal): Promise<void> {
  const { name, provider, client, inboundUrl } = bridge;
  if (provider.readWebhookConfig === undefined) return;
  const read = await client.call(provider.readWebhookConfig(), signal);
  if (read.outcome !== 'done') return;
  const drift = driftOf(read.value);
  const before = (await findProviderState(db, name))?.drift ?? null;
  if (drift === before) return;
  await inTransaction(db, (trx) => noteProvider(trx, name, { drift }));
  if (drift === null) log.info({ provider: name }, 'provider webhook configuration right again');
  else log.warn({ provider: name, reason: drift }, 'provider webhook configuration differs');

  function driftOf(config: { url: string; secretSet: boolean; active: boolean } | 'none'): string | null {
    if (config === 'none') return 'no webhook is configured';
    if (config.url !== inboundUrl) return 'its webhooks go to another URL';
    if (!config.secretSet) return 'no secret is set: a key of the provider signs for all its customers';
    return config.active ? null : 'it is switched off';
  }
}
