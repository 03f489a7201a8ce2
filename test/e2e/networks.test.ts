import { writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { knownChains } from '../../src/core/chains/known.ts';
import { eventTypes } from '../../src/core/events.ts';
import { parseAmount } from '../../src/core/money.ts';
import type { KnownNetwork } from '../../src/core/networks.ts';
import { mintCall, placeToken, transferCall } from '../../src/demo/token.ts';
import { startTestAnvil, type TestAnvil } from '../support/anvil.ts';
import { type Api, createAdminApi, createApi, type PaymentBody } from '../support/api.ts';
import { adminToken, createDaemonHome, type DaemonHome } from '../support/daemon.ts';
import { type Receiver, startReceiver, webhookBody } from '../support/receiver.ts';
import { testAddress } from '../support/scenario.ts';
import { waitFor } from '../support/wait.ts';

type Method = { network: string; chain: string; currency: string; available: boolean };

/** Tokens by their contract: their decimals. */
type Tokens = Record<string, number>;

const custom = { chainId: 424_242, token: '0x00000000000000000000000000000000000e0e05' };

type Shop = {
  anvils: Record<string, TestAnvil>;
  api: Api;
  receiver: Receiver;
  home: DaemonHome;
  config: { rates: { fixed: Record<string, string> }; chains: { mychain: object } & Record<string, object> };
  confirmed(payment: PaymentBody): Promise<Record<string, unknown>>;
};

let shop: Shop;
beforeAll(async () => {
  const closers: (() => Promise<unknown>)[] = [];
  shop = await open(closers);
  return async () => {
    for (const close of closers.reverse()) await close();
  };
});

async function open(closers: (() => Promise<unknown>)[]): Promise<Shop> {
  const start = async (chainId: number, tokens: Tokens): Promise<TestAnvil> => {
    const anvil = await startTestAnvil({ chainId, slotsInAnEpoch: 1 });
    closers.push(anvil.stop);
    for (const [address, decimals] of Object.entries(tokens)) {
      await placeToken(anvil, address, decimals);
      await anvil.send(mintCall(address, anvil.accounts[0] as string, 10n ** 30n));
    }
    await anvil.mine(5);
    return anvil;
  };
  const known = (network: KnownNetwork) => {
    const { chainId, tokens } = knownChains[network];
    return start(
      chainId,
      Object.fromEntries(Object.values(tokens).map((one) => [one.address, one.decimals])),
    );
  };
  const polygon = await known('polygon');
  const base = await known('base');
  const mychain = await start(custom.chainId, { [custom.token]: 2 });
  const anvils = { polygon, base, mychain };

  const fast = { pollSeconds: 0.1, idlePollSeconds: 0.1 };
  const config = {
    publicUrl: 'https://pay.example.com',
    listen: { host: '127.0.0.1', port: 0 },
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    adminToken: '${DEPOSITD_ADMIN_TOKEN}',
    rates: {
      sources: ['fixed'],
      fixed: { usdt: '1', usdc: '1', eth: '3000', pol: '0.25', myc: '2.5', eur: '1.10' },
    },
    chains: {
      polygon: { rpc: [polygon.url], ...fast },
      base: { rpc: [base.url], ...fast },
      mychain: {
        family: 'evm',
        chainId: custom.chainId,
        name: 'My Own Chain',
        confirmations: 3,
        rpc: [mychain.url],
        ...fast,
        native: { symbol: 'MYC', decimals: 18, rate: { coingecko: 'my-coin' } },
        tokens: { eurs: { address: custom.token, decimals: 2, rate: 'eur' } },
      },
    },
    webhooks: { allowHosts: ['127.0.0.1'] },
  };
  const home = createDaemonHome(config);
  closers.push(home.remove);
  await home.start();
  const url = () => home.current().url;
  const receiver = await startReceiver({ clockOffsetMs: home.clockOffsetMs });
  closers.push(receiver.stop);
  const admin = createAdminApi(url, adminToken);
  const merchant = (await admin.post<{ id: string; api_key: string }>('/merchants/', { name: 'Shop' })).body;
  for (const network of Object.keys(anvils)) {
    // The same key on all of them.
    const addresses = Array.from({ length: 10 }, (_, index) => testAddress('bsc', index));
    const added = await admin.post<{ added: number }>(`/merchants/${merchant.id}/addresses/`, {
      network,
      addresses,
    });
    expect(added.body).toMatchObject({ added: 10 });
  }
  const path = `/${merchant.id}`;
  const endpoint = await admin.post<{ secret: string }>(`/merchants/${merchant.id}/webhooks/`, {
    url: receiver.url(path),
    events: eventTypes,
  });
  receiver.trust(endpoint.body.secret, path);
  const confirmed = (payment: PaymentBody) =>
    waitFor(`${payment.payment_number} to be confirmed`, () => {
      const told = receiver
        .received('payment.confirmed')
        .find((one) => webhookBody(one).payment_id === payment.payment_number);
      return told?.verified === true ? webhookBody(told) : null;
    });
  return { anvils, home, config, api: createApi(url, merchant.api_key), receiver, confirmed };
}

async function create(network: string, currency: string): Promise<PaymentBody> {
  const answer = await shop.api.create({ amount_usd_cents: 5000, network, currency });
  expect(answer, answer.text).toMatchObject({ status: 201 });
  return answer.body;
}

/** Sends what is asked for, of a token or of the coin, and lets it become final. */
async function pay(payment: PaymentBody, on: string, token: string | null, decimals: number): Promise<void> {
  const anvil = shop.anvils[on] as TestAnvil;
  const amount = parseAmount(payment.expected_crypto_amount, decimals);
  if (amount === null) throw new Error(`not an amount: ${payment.expected_crypto_amount}`);
  const to = payment.assigned_address;
  await anvil.send(token === null ? { to, value: amount } : transferCall(token, to, amount));
  await anvil.mine(25);
}

const usdc = (network: KnownNetwork) => knownChains[network].tokens.usdc?.address ?? '';

describe('any EVM chain and any token, by configuration', () => {
  test.each([
    ['polygon', 'usdc', usdc('polygon'), 6, '50.000000', { chain: 'Polygon', currency: 'USDC' }],
    ['polygon', 'native', null, 18, '200.00000000', { chain: 'Polygon', currency: 'POL' }],
    ['base', 'native', null, 18, '0.01666667', { chain: 'Base', currency: 'ETH' }],
    ['mychain', 'native', null, 18, '20.00000000', { chain: 'My Own Chain', currency: 'MYC' }],
    // 50 dollars at 1.10 for a euro, rounded up to what the token can divide.
    ['mychain', 'eurs', custom.token, 2, '45.460000', { chain: 'My Own Chain', currency: 'EURS' }],
  ])(
    '%s: a payment in %s is confirmed and told in a signed webhook',
    async (network, currency, token, decimals, amount, shown) => {
      const payment = await create(network, currency);
      expect(payment).toMatchObject({ network, currency, expected_crypto_amount: amount });
      await pay(payment, network, token, decimals);
      expect(await shop.confirmed(payment)).toMatchObject({ ...shown, network, status: 'confirmed', amount });
    },
  );

  test('money that is sent to the right address on the wrong chain is found', async () => {
    const payment = await create('polygon', 'usdc');
    await pay(payment, 'base', usdc('base'), 6);
    const told = await waitFor('the deposit to be told', () => {
      const bodies = shop.receiver.received('deposit.unmatched').map(webhookBody);
      return bodies.find(
        ({ expected }) => (expected as PaymentBody | null)?.payment_number === payment.payment_number,
      );
    });
    expect(told).toMatchObject({
      chain: 'Base',
      network: 'base',
      currency: 'USDC',
      deposit: { reason: 'wrong_network' },
    });
  });

  test('what can be paid is listed with the names that the configuration gave', async () => {
    const { body } = await shop.api.get<{ data: Method[] }>('/api/v1/methods/');
    expect(body.data.map(({ network, chain, currency }) => [network, chain, currency])).toEqual([
      ['polygon', 'Polygon', 'usdt'],
      ['polygon', 'Polygon', 'usdc'],
      ['polygon', 'Polygon', 'native'],
      ['base', 'Base', 'usdt'],
      ['base', 'Base', 'usdc'],
      ['base', 'Base', 'native'],
      ['mychain', 'My Own Chain', 'eurs'],
      ['mychain', 'My Own Chain', 'native'],
    ]);
    expect(body.data.every(({ available }) => available)).toBe(true);
  });

  test('a payment in a token that is turned off afterwards is still confirmed; its chain cannot be removed', async () => {
    const { home, config } = shop;
    const payment = await create('mychain', 'eurs');
    await home.current().stop();
    const { mychain, ...others } = config.chains;
    const { myc, ...fixed } = config.rates.fixed;
    const rates = { ...config.rates, fixed };
    writeFileSync(home.configPath, JSON.stringify({ ...config, rates, chains: others }));
    expect(await home.run('serve')).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('chains.mychain: missing, though 1 payment is open on it'),
    });
    const without = { ...mychain, tokens: {} };
    writeFileSync(home.configPath, JSON.stringify({ ...config, chains: { ...others, mychain: without } }));
    await home.start();
    expect(home.logs).toContainEqual(
      expect.objectContaining({
        msg: 'token still watched',
        network: 'mychain',
        currency: 'eurs',
        open_payments: 1,
      }),
    );
    await pay(payment, 'mychain', custom.token, 2);
    expect(await shop.confirmed(payment)).toMatchObject({ status: 'confirmed', currency: 'EURS' });
  });
});
