import { expect, test } from 'vitest';
import type { PresentedSession } from '../../src/present/checkout-sessions.ts';
import type { Db } from '../../src/storage/schema.ts';
import { describeDatabases } from '../support/databases.ts';
import { example, exampleSubject } from '../support/providers/example.ts';
import { openProviderShop } from '../support/providers/shop.ts';

const form = { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html' };

async function openCheckout(db: Db) {
  const shop = await openProviderShop(db, exampleSubject, {}, { adapters: [example] });
  const { api, merchant, config } = shop;
  await api.addAddresses(merchant, 'bsc', 1);
  const json = { amount: '50.00', amount_currency: exampleSubject.currency };
  const made = await api.send<PresentedSession>('POST', '/api/v1/checkout-sessions/', {
    key: merchant.key,
    json,
  });
  const { pathname: path } = new URL(made.body.checkout_url);
  const provider = `${config.name}/${exampleSubject.currency.toLowerCase()}`;
  return {
    ...shop,
    path,
    provider,
    choose: (method: string) =>
      api.send<string>('POST', path, { raw: `method=${encodeURIComponent(method)}`, headers: form }),
    statuses: async () => {
      type Page = { data: { network: string; status: string; checkout_session: string }[] };
      const { body } = await api.send<Page>('GET', '/api/v1/payments/', { key: merchant.key });
      expect(body.data.map((payment) => payment.checkout_session)).toEqual(body.data.map(() => made.body.id));
      return body.data.map(({ network, status }) => `${network} ${status}`).reverse();
    },
    session: async () => {
      const answer = await api.send<PresentedSession>('GET', `/api/v1/checkout-sessions/${made.body.id}/`, {
        key: merchant.key,
      });
      return answer.body.status;
    },
  };
}

describeDatabases('a fiat provider among the choices of a checkout session', (openTestDb) => {
  test('is chosen like a coin, and what it takes completes the session', async () => {
    const { choose, provider, statuses, session, standIn, pass, api, path, config } = await openCheckout(
      await openTestDb(),
    );
    expect((await api.send<string>('GET', path, { headers: form })).text).toContain(config.label);
    const chosen = await choose(provider);
    expect(chosen.headers.get('location')).toMatch(/\/pay\/[A-Za-z0-9_-]{43}/);
    expect(await statuses()).toEqual([`${config.name} pending`]);
    const [charge] = standIn.charges.values();
    if (charge === undefined) throw new Error('the provider has no charge');
    charge.status = 'captured';
    await pass(20);
    expect(await statuses()).toEqual([`${config.name} confirmed`]);
    expect(await session()).toBe('completed');
  });

  test('gives way to a coin, and a coin to it, as the payer goes back', async () => {
    const { choose, provider, statuses, config } = await openCheckout(await openTestDb());
    await choose(provider);
    await choose('bsc/usdt');
    await choose(provider);
    expect(await statuses()).toEqual([`${config.name} cancelled`, 'bsc cancelled', `${config.name} pending`]);
  });

  test('is asked for one charge by two tabs that choose it at once', async () => {
    const { choose, provider, statuses, standIn, config } = await openCheckout(await openTestDb());
    const answers = await Promise.all([choose(provider), choose(provider)]);
    for (const { status } of answers) expect([303, 503]).toContain(status);
    expect(answers.some(({ status }) => status === 303)).toBe(true);
    expect(standIn.charges.size).toBe(1);
    expect(await statuses()).toEqual([`${config.name} pending`]);
  });
});
