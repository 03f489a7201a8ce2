import type { ProviderPayment } from '../core/payment.ts';
import type { Bridge } from './bridge.ts';
import type { Charge, Result } from './provider.ts';

/** Most pages of a list that are read to find one charge, or in one sweep: a list that never ends is left. */
const mostPages = 100;

/** A provider's clock and ours may differ, and a list may be by days, ms. */
const dayMs = 24 * 60 * 60 * 1000;

/**
 * What the provider shows of a payment. Done with null where it shows nothing yet, as one that gives no id with a
 * creation does until somebody pays. `candidate` is an id that a webhook named: whether it is this payment's is for
 * whoever decides about the answer.
 */
export async function fetchCharge(
  { provider, client }: Pick<Bridge, 'provider' | 'client'>,
  payment: Pick<ProviderPayment, 'chargeId' | 'reference' | 'createdAt'>,
  { signal, candidate = null }: { signal?: AbortSignal; candidate?: string | null } = {},
): Promise<Result<Charge | null>> {
  const { fetch: ask } = provider;
  if (ask === undefined) return { outcome: 'done', value: null };
  const id = payment.chargeId ?? candidate;
  if (id !== null) return client.call(ask(id), signal);
  const found = await findCharge({ provider, client }, payment, signal);
  if (found.outcome !== 'done' || found.value === null) return found;
  return client.call(ask(found.value.id), signal);
}

/** A charge by our reference, among those of the list. */
async function findCharge(
  bridge: Pick<Bridge, 'provider' | 'client'>,
  { reference, createdAt }: Pick<ProviderPayment, 'reference' | 'createdAt'>,
  signal?: AbortSignal,
): Promise<Result<Charge | null>> {
  let found: Charge | null = null;
  const listed = await listCharges(bridge, createdAt - dayMs, signal, (charge) => {
    if (charge.reference === reference) found = charge;
    return found === null;
  });
  return listed.outcome === 'done' ? { outcome: 'done', value: found } : listed;
}

/**
 * Reads a list to its end, or until `goOn` answers no. A page that shows nothing new ends it too, whatever it says of
 * further ones. Done with whether the end was reached.
 */
export async function listCharges(
  { provider, client }: Pick<Bridge, 'provider' | 'client'>,
  since: number,
  signal: AbortSignal | undefined,
  goOn: (charge: Charge) => boolean,
): Promise<Result<boolean>> {
  const { list } = provider;
  if (list === undefined) return { outcome: 'done', value: true };
  const seen = new Set<string>();
  let cursor: string | null = null;
  for (let page = 0; page < mostPages; page++) {
    const result: Result<{ charges: readonly Charge[]; next: string | null }> = await client.call(
      list(since, cursor),
      signal,
    );
    if (result.outcome !== 'done') return result;
    const fresh = result.value.charges.filter(({ id }) => !seen.has(id));
    for (const charge of fresh) {
      seen.add(charge.id);
      if (!goOn(charge)) return { outcome: 'done', value: true };
    }
    cursor = result.value.next;
    if (cursor === null || fresh.length === 0) return { outcome: 'done', value: true };
  }
  return { outcome: 'done', value: false };
}
