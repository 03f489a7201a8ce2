import { describe, expect, test } from 'vitest';
import { sandboxMessages } from '../src/checkout/languages/sandbox.ts';
import { chainConfig } from '../src/config/chain.ts';
import { configSchema } from '../src/config/schema.ts';
import { startDaemon } from '../src/daemon.ts';
import type { PresentedSession } from '../src/present/checkout-sessions.ts';
import type { PresentedPayment } from '../src/present/payments.ts';
import { openDatabase } from '../src/storage/database.ts';
import { openApiServer } from './support/api-server.ts';
import { testConfig } from './support/config.ts';
import { describeDatabases, freshDatabaseUrl } from './support/databases.ts';
import { fillDatabase } from './support/filled-database.ts';
import { silentLog } from './support/log.ts';

describe('a sandbox in the configuration', () => {
  const faultsOf = (network: string, entry: object, sandbox: boolean) => {
    const { chains } = configSchema.parse({
      publicUrl: 'http://127.0.0.1:8080',
      adminToken: '8f2c1d9e7b604a3355aa1290',
      chains: { [network]: entry },
    });
    const file = chains[network as 'bsc'];
    if (file === undefined) throw new Error('no chain');
    return chainConfig(network, file, sandbox).faults;
  };

  test.each([
    ['https://bsc-rpc.example', false],
    ['http://10.0.0.5:8545', false],
    ['http://localhost.example:8545', false],
    ['http://127.0.0.1.example:8545', false],
    ['http://127.0.0.1:8545', true],
    ['http://localhost:8545', true],
    ['http://[::1]:8545', true],
  ])('takes the chain id of a public network from %s: %s', (url, allowed) => {
    const faults = faultsOf('bsc', { rpc: [url] }, true);
    expect(faults.length === 0).toBe(allowed);
    expect(faults.join()).not.toContain('undefined');
    expect(faultsOf('bsc', { rpc: [url] }, false)).toEqual([]);
  });

  test('takes any other chain id from anywhere', () => {
    expect(faultsOf('bsc', { rpc: ['https://testnet.example'], chainId: 97 }, true)).toEqual([]);
  });

  test('makes its chains, and no others, chains of no live money', () => {
    const entry = { rpc: ['http://127.0.0.1:8545'] };
    const { chains } = configSchema.parse({
      publicUrl: 'http://127.0.0.1:8080',
      adminToken: '8f2c1d9e7b604a3355aa1290',
      chains: { bsc: entry },
    });
    if (chains.bsc === undefined) throw new Error('no chain');
    expect(chainConfig('bsc', chains.bsc, true).chain?.livemode).toBe(false);
    expect(chainConfig('bsc', chains.bsc, false).chain?.livemode).toBe(true);
  });
});

describeDatabases('livemode', (openTestDb) => {
  test.each([true, false])(
    'of a service with sandbox %s is its opposite, in answers, webhooks and pages',
    async (sandbox) => {
      const api = await openApiServer(await openTestDb(), { sandbox });
      const shop = await api.addMerchant();
      await api.addAddresses(shop, 'bsc', 2);
      const order = { amount_usd_cents: 5000 };
      const json = { ...order, network: 'bsc', currency: 'usdt' };
      const payment = await api.send<PresentedPayment>('POST', '/api/v1/payments/', { key: shop.key, json });
      const session = await api.send<PresentedSession>('POST', '/api/v1/checkout-sessions/', {
        key: shop.key,
        json: order,
      });
      expect([payment.body.livemode, session.body.livemode]).toEqual([!sandbox, !sandbox]);
      const { pathname } = new URL(payment.body.checkout_url);
      const pay = await api.send<string>('GET', pathname, { headers: { accept: 'text/html' } });
      expect(pay.text.includes('Sandbox wallet')).toBe(sandbox);
      // Without a node there is no wallet, and in a live service nothing that a node could do.
      const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html' };
      const act = await api.send('POST', `${pathname}/sandbox`, { raw: 'act=exact', headers });
      expect(act.status).toBe(405);
      await api.send('POST', `/api/v1/payments/${payment.body.payment_number}/cancel/`, { key: shop.key });
      await api.send('POST', `/api/v1/checkout-sessions/${session.body.id}/cancel/`, { key: shop.key });
      const events = await api.send<{ data: { body: { event: string; livemode: boolean } }[] }>(
        'GET',
        '/api/v1/events/',
        {
          key: shop.key,
        },
      );
      expect(events.body.data.map(({ body }) => [body.event, body.livemode])).toEqual([
        ['payment.cancelled', !sandbox],
        ['checkout_session.cancelled', !sandbox],
      ]);
      for (const url of [payment.body.checkout_url, session.body.checkout_url, 'http://x/pay/none']) {
        const page = await api.send<string>('GET', new URL(url).pathname, {
          headers: { accept: 'text/html' },
        });
        expect(page.text.includes(sandboxMessages.en), url).toBe(sandbox);
      }
    },
  );
});

describe('a database', () => {
  test('with live payments is no sandbox, and one of a sandbox never live', async () => {
    const database = await freshDatabaseUrl('SQLite');
    const db = await openDatabase(database);
    await fillDatabase(db, { payments: 30, now: Date.now() });
    const start = (sandbox: boolean) => startDaemon(testConfig({ database, sandbox }), { log: silentLog });
    await expect(start(true)).rejects.toThrow('the database holds live payments');
    await db.updateTable('payments').set({ livemode: 0 }).execute();
    await expect(start(false)).rejects.toThrow('the database holds payments of a sandbox');
    await db.destroy();
  });
});
