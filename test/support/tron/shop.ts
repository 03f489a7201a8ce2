import { onTestFinished } from 'vitest';
import type { AddressKey } from '../../../src/core/address.ts';
import { parseAddress, writeAddress } from '../../../src/core/address.ts';
import { evmKey } from '../addresses.ts';
import { type Api, createAdminApi, createApi, type PaymentBody } from '../api.ts';
import { adminToken, createDaemonHome, type DaemonHome } from '../daemon.ts';
import type { HttpClient } from '../http.ts';
import { tokenKey } from '../payments.ts';
import type { ScriptedTransfer } from '../scripted-chain.ts';
import { waitFor } from '../wait.ts';
import { createSimulatedTronChain, type SimulatedTronChain } from './simulated-chain.ts';
import { type SimulatedTronNode, startSimulatedTronNode } from './simulated-node.ts';
import { chainIdOf } from './source.ts';

/** A daemon on TRON alone, over simulated nodes. */
export type TronShop = {
  chain: SimulatedTronChain;
  nodes: SimulatedTronNode[];
  home: DaemonHome;
  api: Api;
  admin: HttpClient;
  create(currency?: 'usdt' | 'native'): Promise<PaymentBody>;
  /** What a payment asks for, as a transfer in so many equal parts. */
  transferOf(payment: PaymentBody, parts?: number): ScriptedTransfer;
  /** Sends all that it asks for; it is in the next block. */
  pay(payment: PaymentBody): string;
  until(payment: PaymentBody, what: string, holds: (body: PaymentBody) => boolean): Promise<PaymentBody>;
  untilConfirmed(payment: PaymentBody): Promise<PaymentBody>;
  retrieve(payment: PaymentBody): Promise<PaymentBody>;
  /** Waits until everything that is mined now was read. */
  untilRead(): Promise<void>;
  eventsOf(payment: PaymentBody): Promise<string[]>;
  stop(): Promise<void>;
};

export type TronShopOptions = {
  nodes?: number;
  /** How far the solid block trails the head: 18 with all producers at work. */
  solidLag?: number;
  chain?: object;
  payments?: object;
};

/** Enough for a suite that shares a shop. */
export const addressesInShop = 15;

/** A shop that ends with the test. */
export async function openTronShop(options: TronShopOptions = {}): Promise<TronShop> {
  const shop = await startTronShop(options);
  onTestFinished(shop.stop);
  return shop;
}

/** The same for a suite: the caller stops it. */
export async function startTronShop(options: TronShopOptions = {}): Promise<TronShop> {
  const clock = () => Date.now() + (home?.clockOffsetMs() ?? 0);
  let home: DaemonHome | null = null;
  const chain = createSimulatedTronChain({ clock, finalityLag: options.solidLag ?? 18, height: 40 });
  const nodes = await Promise.all(
    Array.from({ length: options.nodes ?? 2 }, () => startSimulatedTronNode(chain)),
  );
  const opened = createDaemonHome({
    publicUrl: 'https://pay.example.com',
    listen: { host: '127.0.0.1', port: 0 },
    database: 'sqlite:./depositd.db',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    adminToken: '${DEPOSITD_ADMIN_TOKEN}',
    rates: { sources: ['fixed'], fixed: { usdt: '1', trx: '0.25' } },
    payments: options.payments ?? {},
    chains: {
      tron: {
        rpc: nodes.map(({ url }) => url),
        chainId: chainIdOf(chain),
        pollSeconds: 0.1,
        idlePollSeconds: 0.1,
        recheckSeconds: 0.2,
        ...options.chain,
      },
    },
  });
  home = opened;
  await opened.start();
  const baseUrl = () => opened.current().url;
  const admin = createAdminApi(baseUrl, adminToken);
  const merchant = await admin.post<{ id: string; api_key: string }>('/merchants/', { name: 'Shop' });
  const addresses = Array.from({ length: addressesInShop }, (_, n) => writeAddress('tron', evmKey(n + 1)));
  await admin.post(`/merchants/${merchant.body.id}/addresses/`, { network: 'tron', addresses });
  const api = createApi(baseUrl, merchant.body.api_key);

  const retrieve = async ({ payment_number }: PaymentBody) => (await api.retrieve(payment_number)).body;
  const until: TronShop['until'] = (payment, what, holds) => {
    let seen: unknown;
    return waitFor(
      `${payment.payment_number} to be ${what}`,
      async () => {
        // A daemon that was killed is not up again yet.
        const body = await retrieve(payment).catch(() => null);
        seen = body;
        return body !== null && holds(body) && body;
      },
      { describe: () => seen },
    );
  };
  const shop: TronShop = {
    chain,
    nodes,
    home: opened,
    api,
    admin,
    retrieve,
    until,
    untilConfirmed: (payment) => until(payment, 'confirmed', ({ status }) => status === 'confirmed'),
    create: async (currency = 'usdt') => {
      const answer = await api.create({ amount_usd_cents: 5000, network: 'tron', currency });
      if (answer.status !== 201) throw new Error(answer.text);
      return answer.body;
    },
    transferOf: ({ assigned_address, expected_crypto_amount, currency }, parts = 1) => {
      const parsed = parseAddress('tron', assigned_address);
      if ('error' in parsed) throw new Error(parsed.error);
      // Both have six decimals.
      const amount = BigInt(expected_crypto_amount.replace('.', '').padEnd(1, '0'));
      return {
        token: tokenKey('tron', currency) as AddressKey | 'native',
        currency,
        recipient: parsed.key,
        amount: amount / BigInt(parts),
      };
    },
    pay: (payment) => chain.send(shop.transferOf(payment)),
    untilRead: async () => {
      const { height } = chain.head();
      await waitFor(`block ${height} to be read`, async () => {
        const answer = await admin
          .get<{ data: { cursor: { height: number } | null }[] }>('/chains/')
          .catch(() => null);
        return (answer?.body.data[0]?.cursor?.height ?? -1) >= height;
      });
    },
    eventsOf: async ({ payment_number }) => {
      const events = await api.allEvents();
      return events.filter(({ body }) => body.payment_id === payment_number).map(({ body }) => body.event);
    },
    stop: async () => {
      await opened.remove();
      await Promise.all(nodes.map((node) => node.close()));
    },
  };
  await shop.untilRead();
  return shop;
}
