import { expect, onTestFinished, test } from 'vitest';
import { createAdminApi, createApi } from '../support/api.ts';
import { adminToken, createDaemonHome, type KillAt } from '../support/daemon.ts';
import { testSettings } from '../support/providers/accounts.ts';
import type { Shown } from '../support/providers/shop.ts';
import { forhoppSubject as subject } from '../support/providers/subjects.ts';
import { createScriptedChain } from '../support/scripted-chain.ts';
import { startScriptedNode } from '../support/scripted-node.ts';
import { waitFor } from '../support/wait.ts';

/*
 * The real daemon with a provider, killed again and again between what it has written down and what it has asked the provider
 * for, on either side. Every write in turn is in test/providers/interrupted.test.ts.
 */

/** At which of its commits each life ends, in turn: some must get further than others, or nobody gets anywhere. */
const deaths: readonly KillAt[] = [
  { commit: 1, side: 'before' },
  { commit: 1, side: 'after' },
  { commit: 2, side: 'before' },
  { commit: 3, side: 'before' },
  { commit: 2, side: 'after' },
];

/** Then it may live. With `DEPOSITD_KILLS=all` each kind of death finds it three times, at moments of its own. */
const mostKills = deaths.length * (process.env.DEPOSITD_KILLS === 'all' ? 3 : 1);

test('a daemon that is killed at its commits again and again charges, captures and refunds nothing twice', async () => {
  const standIn = await subject.start(Date.now());
  // A daemon is ready once its chains are read.
  const node = await startScriptedNode(
    createScriptedChain({ network: 'bsc', clock: Date.now, finalityLag: 4, height: 20 }),
  );
  onTestFinished(() => node.close());
  const home = createDaemonHome({
    publicUrl: 'https://pay.example.com',
    listen: { host: '127.0.0.1', port: 0 },
    database: 'sqlite:./depositd.db',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    adminToken: '${DEPOSITD_ADMIN_TOKEN}',
    rates: { sources: ['fixed'], fixed: { usdt: '1', usdc: '1', busd: '1', bnb: '600' } },
    chains: { bsc: { rpc: [node.url] } },
    providers: { cards: { type: 'forhopp', baseUrl: standIn.url, ...testSettings.forhopp } },
    webhooks: { allowHosts: ['127.0.0.1'] },
  });
  onTestFinished(() => home.remove());
  const baseUrl = () => home.current().url;
  const admin = createAdminApi(baseUrl, adminToken);

  let [kills, over] = [0, false];
  const run = async (): Promise<void> => {
    const { daemon, ready } = home.launch(kills < mostKills ? deaths[kills % deaths.length] : undefined);
    void daemon.ended.then(() => {
      if (over) return;
      kills += 1;
      again = run();
    });
    // It may die before it is ready.
    await ready.catch(() => {});
  };
  await home.start();
  const merchant = await admin.post<{ id: string; api_key: string }>('/merchants/', { name: 'Shop' });
  const api = createApi(baseUrl, merchant.body.api_key);
  const providers = await admin.get<{ data: { inbound_url: string }[] }>('/providers/');
  const inbound = new URL(providers.body.data[0]?.inbound_url ?? '').pathname;

  await home.current().stop();
  let again = run();
  /** Asks until there is a good answer, as apps do; what a dead process had in hand is another's after a while. */
  const insist = async <T>(what: string, ask: () => Promise<T | null>): Promise<T> => {
    let seen: unknown;
    return waitFor(
      what,
      async () => {
        await again;
        try {
          const found = await ask();
          if (found !== null) return found;
          standIn.advance(40);
          await home.advanceClock(40);
        } catch (error) {
          seen = String(error);
        }
        return null;
      },
      { describe: () => seen },
    );
  };

  async function live(n: string): Promise<void> {
    const known = new Set(standIn.charges.keys());
    const payment = await insist('a payment', async () => {
      const body = { amount: '50.00', amount_currency: 'USD', network: 'cards', currency: 'usd' };
      const answer = await api.post<Shown>('/api/v1/payments/', body, { 'idempotency-key': `order ${n}` });
      return answer.status === 201 ? answer.body : null;
    });
    const made = [...standIn.charges.values()].filter(({ id }) => !known.has(id));
    expect(made).toHaveLength(1);
    const [charge] = made;
    if (charge === undefined) return;
    charge.status = 'authorized';
    const { headers, body } = subject.webhook(charge, { event: 'charge.authorized' });
    await insist('the webhook to be taken', async () => {
      const answer = await fetch(baseUrl() + inbound, { method: 'POST', headers, body });
      return answer.status === 200 ? true : null;
    });
    const path = `/api/v1/payments/${payment.payment_number}/`;
    const view = () => insist('the payment', async () => (await api.get<Shown>(path)).body);
    await insist('it to be authorized', async () =>
      (await view()).provider.status === 'authorized' ? true : null,
    );
    await insist('it to be captured', async () => {
      if ((await view()).status === 'confirmed') return true;
      await api.post(`${path}capture/`, {});
      return null;
    });
    const refund = await insist('the refund', async () => {
      const key = { 'idempotency-key': `refund ${n}` };
      const answer = await api.post<{ status: string }>(`${path}refunds/`, {}, key);
      return answer.body.status === 'succeeded' ? answer : null;
    });
    expect(refund.status).toBe(201);
    expect(standIn.charges.size).toBe(known.size + 1);
    expect(charge).toMatchObject({ captured: 5000, refunds: [{ amount: 5000 }] });
    expect(charge.refunds).toHaveLength(1);
    const events = await insist('its events', async () => {
      const all = await api.allEvents();
      const own = all.filter((event) => event.body.payment_id === payment.payment_number);
      const types = own.map((event) => event.body.event);
      return types.includes('provider.refunded') ? types : null;
    });
    expect(events).toEqual(['provider.authorized', 'payment.confirmed', 'provider.refunded']);
  }

  await live('1');
  await live('2');
  over = true;
  expect(kills).toBe(mostKills);
}, 180_000);
