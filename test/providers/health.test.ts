import { Registry } from '@prometheus-io/client';
import { expect, test } from 'vitest';
import { createProviderMetrics } from '../../src/metrics/providers.ts';
import { oldestAnswerAt } from '../../src/storage/providers/fetches.ts';
import { findProviderState, providerTrouble } from '../../src/storage/providers/providers.ts';
import { describeDatabases } from '../support/databases.ts';
import { atFourpay, fourpaySubject } from '../support/providers/fourpay.ts';
import { openProviderShop, type ProviderShop } from '../support/providers/shop.ts';
import { forhoppSubject } from '../support/providers/subjects.ts';

/*
 * How a provider does, for whoever watches the daemon: /readyz and /metrics.
 */

async function degraded({ api, config }: ProviderShop): Promise<string[]> {
  const { body } = await api.send<{ degraded: { part: string; reason: string }[] }>('GET', '/readyz');
  return body.degraded.filter(({ part }) => part === `provider:${config.name}`).map(({ reason }) => reason);
}

/** The value of each metric of providers, without the label. */
async function metricsAt(shop: ProviderShop, now: number): Promise<Record<string, number>> {
  const registry = new Registry();
  const { db, config } = shop.api;
  createProviderMetrics(registry, { db, config, clock: () => now });
  const lines = (await registry.metrics()).split('\n').filter((line) => /^\w+\{/.test(line));
  return Object.fromEntries(
    lines.map((line) => {
      const [, name = '', value = ''] = /^depositd_provider_(\w+)\{.*\} (\S+)$/.exec(line) ?? [];
      return [name, Number(value)];
    }),
  );
}

describeDatabases('the health of a provider', (openTestDb) => {
  test('one that does not answer is degraded until it answers again; what is unmatched or refused is counted', async () => {
    const shop = await openProviderShop(await openTestDb(), forhoppSubject);
    const { charge } = await shop.begin();
    const foreign = {
      ...charge,
      id: 'ch_foreign',
      reference: 'of somebody else',
      status: 'captured' as const,
    };
    shop.standIn.charges.set(foreign.id, foreign);
    await shop.deliver(forhoppSubject.webhook(charge, { secret: 'a guess' }));
    await shop.pass(1);
    expect(await degraded(shop)).toEqual([]);
    const metrics = { failing: 0, unmatched_charges: 1, rejected_webhooks: 1 };
    expect(await metricsAt(shop, 0)).toMatchObject(metrics);
    shop.standIn.setDown(true);
    await shop.pass(15);
    expect(await degraded(shop)).toEqual(['it cannot be reached, or refuses us']);
    expect(await metricsAt(shop, 0)).toMatchObject({ failing: 1 });
    shop.standIn.setDown(false);
    await shop.pass(15);
    expect(await degraded(shop)).toEqual([]);
    expect(await metricsAt(shop, 0)).toMatchObject({ failing: 0 });
  });

  test('how long a payment has had no answer is told, and is trouble after half an hour', async () => {
    const shop = await openProviderShop(await openTestDb(), forhoppSubject);
    const { db, config } = shop.api;
    const [name = ''] = Object.keys(config.providers);
    expect(await oldestAnswerAt(db, name)).toBeNull();
    expect(await metricsAt(shop, 0)).not.toHaveProperty('oldest_answer_seconds');
    await shop.begin();
    const made = (await oldestAnswerAt(db, name)) ?? 0;
    await shop.pass(15);
    expect(await oldestAnswerAt(db, name)).toBe(made + 15_000);
    expect(await metricsAt(shop, made + 75_000)).toMatchObject({ oldest_answer_seconds: 60 });
    const well = { lastError: null, drift: null };
    expect(providerTrouble(well, made, made + 35 * 60_000)).toBeNull();
    expect(providerTrouble(well, made, made + 36 * 60_000)).toBe(
      'a payment has not been answered for 36 minutes',
    );
  });

  test('one whose webhooks somebody sends elsewhere is in trouble until they are ours again', async () => {
    const shop = await openProviderShop(await openTestDb(), fourpaySubject);
    const path = `/admin/v1/providers/${shop.config.name}/webhook-config/`;
    await shop.api.send('PUT', path, { admin: true, json: {} });
    await shop.pass(1);
    expect(await degraded(shop)).toEqual([]);
    if (atFourpay.configured !== null) atFourpay.configured.url = 'https://thief.example/hook';
    await shop.pass(901);
    expect(await metricsAt(shop, 0)).toMatchObject({ webhook_drift: 1 });
    const state = await findProviderState(shop.api.db, shop.config.name);
    expect(state === null ? null : providerTrouble(state, null, 0)).toBe(
      'its webhook configuration is not ours: its webhooks go to another URL',
    );
    await shop.api.send('PUT', path, { admin: true, json: {} });
    await shop.pass(901);
    expect(await metricsAt(shop, 0)).toMatchObject({ webhook_drift: 0 });
  });
});
