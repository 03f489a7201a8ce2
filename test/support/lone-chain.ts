import { onTestFinished } from 'vitest';
import { transferCall } from '../../src/demo/token.ts';
import { evmAddress } from './addresses.ts';
import { anvilForTest, type TestAnvil } from './anvil.ts';
import { type Api, createAdminApi, createApi, type PaymentBody } from './api.ts';
import { adminToken, createDaemonHome, type DaemonHome } from './daemon.ts';
import { type FaultProxy, faultProxyForTest } from './fault-proxy.ts';
import type { HttpClient } from './http.ts';
import { expectedAmount } from './scenario.ts';
import { placeTokens } from './tokens.ts';
import { waitFor } from './wait.ts';

export type LoneChainOptions = {
  /** Nodes besides the proxy, asked after it: this many more ways to the same chain. */
  others?: number;
  /** Of the chain's configuration. */
  chain?: object;
  payments?: object;
};

/** A daemon on BSC alone, whose first node can be made to lie. */
export type LoneChain = {
  anvil: TestAnvil;
  /** The contract of USDT. */
  usdt: string;
  proxy: FaultProxy;
  home: DaemonHome;
  api: Api;
  admin: HttpClient;
  create(): Promise<PaymentBody>;
  /** Sends what it asks for; it is in the next block. */
  pay(payment: PaymentBody): Promise<string>;
  until(payment: PaymentBody, what: string, holds: (body: PaymentBody) => boolean): Promise<PaymentBody>;
  /** Waits until everything that is mined now was read. */
  untilRead(): Promise<void>;
  eventsOf(payment: PaymentBody): Promise<string[]>;
  coverage(): Promise<{ complete_to: number; rechecked_to: number | null } | null>;
};

export async function openLoneChain(options: LoneChainOptions = {}): Promise<LoneChain> {
  const anvil = await anvilForTest();
  const { usdt } = await placeTokens(anvil, 'bsc');
  await anvil.mine(20);
  const proxy = await faultProxyForTest(anvil.url);
  const others = await Promise.all(
    Array.from({ length: options.others ?? 0 }, () => faultProxyForTest(anvil.url)),
  );
  const home = createDaemonHome({
    publicUrl: 'https://pay.example.com',
    listen: { host: '127.0.0.1', port: 0 },
    database: 'sqlite:./depositd.db',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    adminToken: '${DEPOSITD_ADMIN_TOKEN}',
    rates: { sources: ['fixed'], fixed: { usdt: '1', usdc: '1', busd: '1', bnb: '600' } },
    payments: options.payments ?? {},
    chains: {
      bsc: {
        rpc: [proxy.url, ...others.map(({ url }) => url)],
        pollSeconds: 0.1,
        idlePollSeconds: 0.1,
        recheckSeconds: 0.2,
        ...options.chain,
      },
    },
  });
  onTestFinished(() => home.remove());
  await home.start();
  const baseUrl = () => home.current().url;
  const admin = createAdminApi(baseUrl, adminToken);
  const merchant = await admin.post<{ id: string; api_key: string }>('/merchants/', { name: 'Shop' });
  const addresses = Array.from({ length: 5 }, (_, n) => evmAddress(n + 1));
  await admin.post(`/merchants/${merchant.body.id}/addresses/`, { network: 'bsc', addresses });
  const api = createApi(baseUrl, merchant.body.api_key);

  const chainState = async () => {
    type Chain = { cursor: { height: number } | null; coverage: Awaited<ReturnType<LoneChain['coverage']>> };
    const answer = await admin.get<{ data: Chain[] }>('/chains/');
    return answer.body.data[0];
  };
  const untilRead = async () => {
    const height = await anvil.height();
    await waitFor(`block ${height} to be read`, async () => {
      return ((await chainState())?.cursor?.height ?? -1) >= height;
    });
  };
  await untilRead();
  return {
    anvil,
    usdt,
    proxy,
    home,
    api,
    admin,
    untilRead,
    create: async () => {
      const answer = await api.create({ amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' });
      if (answer.status !== 201) throw new Error(answer.text);
      return answer.body;
    },
    pay: (payment) => anvil.send(transferCall(usdt, payment.assigned_address, expectedAmount(payment))),
    until: (payment, what, holds) => {
      let seen: unknown;
      return waitFor(
        `${payment.payment_number} to be ${what}`,
        async () => {
          const { body } = await api.retrieve(payment.payment_number);
          seen = body;
          return holds(body) && body;
        },
        { describe: () => seen },
      );
    },
    eventsOf: async ({ payment_number }) => {
      const events = await api.allEvents();
      return events.filter(({ body }) => body.payment_id === payment_number).map(({ body }) => body.event);
    },
    coverage: async () => (await chainState())?.coverage ?? null,
  };
}

/** Leaves out what a log query shows of one transaction; everything else is as it should be. */
export function leaveOut(proxy: FaultProxy, txHash: string) {
  const rewrite = (result: unknown) =>
    Array.isArray(result)
      ? result.filter((log: { transactionHash: string }) => log.transactionHash !== txHash)
      : result;
  return proxy.inject({ kind: 'rewrite', rewrite }, { method: 'eth_getLogs' });
}
