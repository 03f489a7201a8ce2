import { expect, onTestFinished, test } from 'vitest';
import type { SandboxAct } from '../../src/checkout/sandbox.ts';
import { type AddressKey, writeAddress } from '../../src/core/address.ts';
import { startSimulatedTron } from '../../src/demo/tron/chain.ts';
import { evmKey } from '../support/addresses.ts';
import { createAdminApi, createApi, type PaymentBody } from '../support/api.ts';
import { adminToken, createDaemonHome, type DaemonHome } from '../support/daemon.ts';
import { openPayerPages } from '../support/payer-page.ts';
import { waitFor } from '../support/wait.ts';

/* The wallet of a sandbox on the simulated TRON of the demo, which the real daemon reads. */

async function openShop() {
  let home: DaemonHome | null = null;
  const clock = () => Date.now() + (home?.clockOffsetMs() ?? 0);
  const tron = await startSimulatedTron({ blockSeconds: 0.4, clock });
  onTestFinished(() => tron.stop());
  home = createDaemonHome({
    publicUrl: 'https://pay.example.com',
    sandbox: true,
    listen: { host: '127.0.0.1', port: 0 },
    database: 'sqlite:./depositd.db',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    adminToken: '${DEPOSITD_ADMIN_TOKEN}',
    rates: { sources: ['fixed'], fixed: { usdt: '1', trx: '0.25' } },
    chains: {
      tron: {
        rpc: [tron.url],
        chainId: tron.chainId,
        pollSeconds: 0.1,
        idlePollSeconds: 0.1,
        tokens: { usdc: true },
      },
    },
    // A test looks more often than a page does.
    checkout: { requestsPerSecond: 1000 },
  });
  onTestFinished(home.remove);
  await home.start();
  const url = () => home.current().url;
  const admin = createAdminApi(url, adminToken);
  const merchant = await admin.post<{ id: string; api_key: string }>('/merchants/', { name: 'Shop' });
  const addresses = Array.from({ length: 8 }, (_, n) => writeAddress('tron', evmKey(n + 1) as AddressKey));
  await admin.post(`/merchants/${merchant.body.id}/addresses/`, { network: 'tron', addresses });
  const api = createApi(url, merchant.body.api_key);
  const pages = openPayerPages({ home });
  return {
    pages,
    passTime: home.advanceClock,
    create: async () => {
      const made = await api.create({ amount_usd_cents: 5000, network: 'tron', currency: 'usdt' });
      expect(made.status, made.text).toBe(201);
      return made.body;
    },
    press: (payment: PaymentBody, act: SandboxAct) =>
      fetch(`${pages.url(payment)}/sandbox`, {
        method: 'POST',
        body: new URLSearchParams({ act }),
        redirect: 'manual',
      }),
  };
}

test('pays in full and in parts, too much, twice, in another token, late, and takes it off the chain again', async () => {
  const { pages, create, press, passTime } = await openShop();
  const [parts, more, twice, token, reorged] = [
    await create(),
    await create(),
    await create(),
    await create(),
    await create(),
  ];
  expect((await press(reorged, 'exact')).status).toBe(303);
  await press(parts, 'less');
  await press(more, 'more');
  await press(twice, 'twice');
  await press(token, 'wrong_token');
  const there = await press(token, 'wrong_network');
  expect([there.status, await there.text()]).toEqual([409, expect.stringContaining('No other chain has')]);

  await pages.untilState(token, 'wrong_asset', ({ instead }) => instead.includes('USDC · TRON (TRC20)'));
  // Whatever number of blocks came by then: they come by themselves.
  await waitFor('the transfer to be seen', async () =>
    ['seen', 'confirming'].includes((await pages.statusOf(reorged)).state),
  );
  expect((await press(reorged, 'reorg')).status).toBe(303);
  await pages.untilState(reorged, 'waiting', ({ received }) => received === '0.000000 USDT');
  // What was in the blocks after it went with it.
  await press(parts, 'exact');
  await press(more, 'more');
  await press(twice, 'twice');
  await pages.untilState(parts, 'paid', ({ received }) => received === '50.000000 USDT');
  await pages.untilState(more, 'overpaid', ({ received }) => received === '55.000000 USDT');
  await pages.untilState(twice, 'overpaid', ({ received }) => received === '100.000000 USDT');
  const final = await press(parts, 'reorg');
  expect([final.status, await final.text()]).toEqual([409, expect.stringContaining('The transfer is final')]);

  const late = await create();
  await passTime(1801);
  await pages.untilState(late, 'expired');
  await press(late, 'exact');
  await pages.untilState(late, 'late', ({ received }) => received === '50.000000 USDT');
});
