import { expect } from 'vitest';
import type { PaymentBody } from './api.ts';
import type { Currency, EvmNetwork, Scenario } from './scenario.ts';
import { waitFor } from './wait.ts';

export type Side = 'before' | 'after';

/**
 * On which sides of the nth commit to kill a daemon: by turns, or on both with `DEPOSITD_KILLS=all`, which takes twice
 * as long.
 */
export function sidesOf(commit: number): readonly Side[] {
  if (process.env.DEPOSITD_KILLS === 'all') return ['before', 'after'];
  return commit % 2 === 0 ? ['before'] : ['after'];
}

/** An app that does not give up: the daemon may die at any moment of a creation. `key` makes it one payment. */
export function createStubbornly(
  shop: Scenario,
  network: EvmNetwork,
  currency: Currency,
  key: string,
): Promise<PaymentBody> {
  let seen: unknown;
  return waitFor(
    `payment ${key} to be created`,
    async () => {
      try {
        const answer = await shop.api.create(
          { amount_usd_cents: 5000, network, currency, external_order_id: key },
          { 'idempotency-key': key },
        );
        seen = answer.text;
        return answer.status === 201 && answer.body;
      } catch (error) {
        seen = String(error);
        return null;
      }
    },
    { describe: () => seen },
  );
}

/**
 * A payment that a payer who does not give up chooses in a checkout session, which the app makes as stubbornly. Answers the
 * session's id too.
 */
export async function chooseStubbornly(
  shop: Scenario,
  network: EvmNetwork,
  currency: Currency,
  key: string,
): Promise<{ payment: PaymentBody; session: string }> {
  const until = <T>(what: string, attempt: () => Promise<T | false>): Promise<T> =>
    waitFor(`${what} of ${key}`, () => attempt().catch(() => false as const));
  const session = await until('the session', async () => {
    const order = { amount_usd_cents: 5000, external_order_id: key };
    const path = '/api/v1/checkout-sessions/';
    const answer = await shop.api.post<{ id: string; checkout_url: string }>(path, order, {
      'idempotency-key': key,
    });
    return answer.status === 201 && answer.body;
  });
  const { pathname } = new URL(session.checkout_url);
  await until('the choice', async () => {
    const body = new URLSearchParams({ method: `${network}/${currency}` });
    const url = `${shop.home.current().url}${pathname}`;
    return (await fetch(url, { method: 'POST', body, redirect: 'manual' })).status === 303;
  });
  const payment = await until('the payment', async () => {
    const { payments } = await sessionOf(shop, session.id);
    return (await shop.api.retrieve(payments[0] ?? '')).body;
  });
  return { payment, session: session.id };
}

/** A session as its app sees it. */
export async function sessionOf(shop: Scenario, id: string): Promise<{ status: string; payments: string[] }> {
  const path = `/api/v1/checkout-sessions/${id}/`;
  const { status, text, body } = await shop.api.get<{ status: string; payments: string[] }>(path);
  if (status !== 200) throw new Error(`${status}: ${text}`);
  return body;
}

/** Every payment was seen and confirmed once, and its webhook came at least once, always with the same bytes. */
export async function expectNothingLostOrDoubled(
  shop: Scenario,
  payments: readonly PaymentBody[],
): Promise<void> {
  // Whatever a killed daemon was sending is sent again after a while. Less than the verifier tolerates: a request
  // that is under way just now was signed before, and is judged after.
  await shop.home.advanceClock(280);
  const events = await shop.api.allEvents();
  for (const payment of payments) {
    const requests = await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number);
    expect(requests.every((request) => request.verified)).toBe(true);
    expect(new Set(requests.map((request) => request.body.toString())).size).toBe(1);
    expect(new Set(requests.map((request) => request.headers['webhook-id'])).size).toBe(1);
    const own = events.filter(({ body }) => body.payment_id === payment.payment_number);
    expect(own.map(({ body }) => body.event)).toEqual(['payment.detected', 'payment.confirmed']);
  }
}
