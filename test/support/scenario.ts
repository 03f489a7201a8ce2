import { getAddress, keccak256, toHex } from 'viem';
import type { KnownToken } from '../../src/core/assets.ts';
import { knownChains } from '../../src/core/chains/known.ts';
import { eventTypes } from '../../src/core/events.ts';
import { parseAmount } from '../../src/core/money.ts';
import type { KnownNetwork } from '../../src/core/networks.ts';

import { transferCall } from '../../src/demo/token.ts';
import { startTestAnvil, type TestAnvil, type TransactionRequest } from './anvil.ts';
import { type Api, createAdminApi, createApi, type PaymentBody } from './api.ts';
import { adminToken, createDaemonHome, type DaemonHome } from './daemon.ts';
import type { DatabaseKind } from './databases.ts';
import type { HttpClient } from './http.ts';
import { createPostgresDatabase } from './postgres-desk.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { type SwitchableNode, startSwitchableNode } from './switchable-node.ts';
import { placeTokens, type TestTokens } from './tokens.ts';
import { waitFor } from './wait.ts';

export type EvmNetwork = 'bsc' | 'ethereum';
export type Currency = PaymentBody['currency'];

export type ScenarioOptions = {
  /** Default: SQLite. */
  database?: DatabaseKind;
  /** Sections of the configuration to add or replace; those of `chains` are merged into each chain's. */
  config?: { payments?: object; chains?: Partial<Record<EvmNetwork, object>> } & Record<string, unknown>;
  /** Addresses in each network's pool. Default 30. */
  addresses?: number;
  /** Where the API is, instead of where the daemon that was started last is; null: there. */
  url?: () => string | null;
  /** What the plans of the nodes allow in a day. */
  requestsPerDay?: number;
  /** The finalized tag of both chains trails the head by twice this. Default 1. */
  slotsInAnEpoch?: number;
};

export type TestChain = {
  network: EvmNetwork;
  anvil: TestAnvil;
  tokens: TestTokens;
  /** The daemon's way to it. */
  node: SwitchableNode;
  /** Confirmations that a payment needs by default. */
  requiredConfirmations: number;
};

export type Merchant = { id: string; endpointId: string; api: Api };

/** Two chains, their tokens, a daemon on them, a merchant with addresses, and the merchant's receiver. */
export type Scenario = {
  bsc: TestChain;
  ethereum: TestChain;
  home: DaemonHome;
  receiver: Receiver;
  /** The merchant's app. */
  api: Api;
  /** The operator. */
  admin: HttpClient;
  merchant: Merchant;
  /** Another merchant with other addresses, whose webhooks go to the same receiver. */
  addMerchant(addresses: Partial<Record<EvmNetwork, string[]>>): Promise<Merchant>;
  chain(network: string): TestChain;
  /** Creates a payment of 50 US dollars, or fails. */
  create(network: EvmNetwork, currency: Currency, more?: object): Promise<PaymentBody>;
  /** What its customer sends: the expected amount, or another, to the assigned address. */
  paymentRequest(payment: PaymentBody, amount?: bigint): TransactionRequest;
  /** Sends that; it waits for a block. Returns the transaction's hash. */
  pay(payment: PaymentBody, amount?: bigint): Promise<string>;
  /** Sends that and makes blocks until it has `confirmations`. */
  payAndMine(payment: PaymentBody, confirmations: number, amount?: bigint): Promise<string>;
  retrieve(payment: PaymentBody): Promise<PaymentBody>;
  /** Waits until the payment, as the app sees it, satisfies `holds`. */
  until(payment: PaymentBody, what: string, holds: (body: PaymentBody) => boolean): Promise<PaymentBody>;
  /** The names of what happened to the payment, in order. */
  eventsOf(payment: PaymentBody): Promise<string[]>;
  chainState(network: EvmNetwork): Promise<ChainBody | undefined>;
  /** Waits until the daemon has read a chain up to its head of now and done all that follows from it. */
  untilRead(network: EvmNetwork): Promise<void>;
  /** Waits until it has asked the chain's node a few times more, whatever the answers. */
  untilPolled(network: EvmNetwork): Promise<void>;
  /** Lets time pass for the daemon and for both chains; nothing is mined. */
  passTime(seconds: number): Promise<void>;
  /** Stops everything. Throws when the daemon logged a bug of its own, or a secret. */
  stop(): Promise<void>;
};

/** A chain as the operator sees it. */
export type ChainBody = { network: string; cursor: { height: number } | null; head: number | null };

/** Base units of what the customer is asked for. */
export function expectedAmount(payment: PaymentBody): bigint {
  return amountOf(payment, payment.expected_crypto_amount);
}

export function amountOf(payment: PaymentBody, decimal: string): bigint {
  const amount = parseAmount(decimal, decimalsOf(payment.network as EvmNetwork, payment.currency));
  if (amount === null) throw new Error(`not an amount: ${decimal}`);
  return amount;
}

export function decimalsOf(network: EvmNetwork, currency: Currency): number {
  if (currency === 'native') return knownChains[network as KnownNetwork].native.decimals;
  const token = knownChains[network as KnownNetwork].tokens[currency as KnownToken];
  if (token === undefined) throw new Error(`no ${currency} on ${network}`);
  return token.decimals;
}

export async function startScenario(options: ScenarioOptions = {}): Promise<Scenario> {
  const closers: (() => Promise<unknown>)[] = [];
  try {
    return await build(options, closers);
  } catch (error) {
    for (const close of closers.reverse()) await close();
    throw error;
  }
}

async function build(options: ScenarioOptions, closers: (() => Promise<unknown>)[]): Promise<Scenario> {
  const startChain = async (network: EvmNetwork): Promise<TestChain> => {
    const { chainId, requiredConfirmations } = knownChains[network as KnownNetwork];
    const anvil = await startTestAnvil({ chainId, slotsInAnEpoch: options.slotsInAnEpoch ?? 1 });
    closers.push(anvil.stop);
    const tokens = await placeTokens(anvil, network);
    // Below this no reorg of a test reaches.
    await anvil.mine(70);
    const node = await startSwitchableNode(anvil.url);
    closers.push(node.stop);
    return { network, anvil, tokens, node, requiredConfirmations };
  };
  const [bsc, ethereum] = await Promise.all([startChain('bsc'), startChain('ethereum')]);

  let database = 'sqlite:./depositd.db';
  if (options.database === 'PostgreSQL') {
    const postgres = await createPostgresDatabase(false);
    closers.push(postgres.remove);
    database = postgres.url;
  }
  const home = createDaemonHome(configuration(options, database, bsc, ethereum));
  closers.push(home.remove);
  await home.start();
  const baseUrl = () => options.url?.() ?? home.current().url;

  const receiver = await startReceiver({ clockOffsetMs: home.clockOffsetMs });
  closers.push(receiver.stop);

  const admin = createAdminApi(baseUrl, adminToken);
  const secrets = [adminToken];
  const addMerchant = async (addresses: Partial<Record<EvmNetwork, string[]>>): Promise<Merchant> => {
    const merchant = created(
      await admin.post<{ id: string; api_key: string }>('/merchants/', { name: 'Shop' }),
    );
    for (const [network, list] of Object.entries(addresses)) {
      const answer = await admin.post<{ added: number }>(`/merchants/${merchant.id}/addresses/`, {
        network,
        addresses: list,
      });
      if (answer.body.added !== list.length) throw new Error(`no addresses: ${answer.text}`);
    }
    const path = `/${merchant.id}`;
    const endpoint = created(
      await admin.post<{ id: string; secret: string }>(`/merchants/${merchant.id}/webhooks/`, {
        url: receiver.url(path),
        events: eventTypes,
      }),
    );
    receiver.trust(endpoint.secret, path);
    secrets.push(merchant.api_key, endpoint.secret);
    return { id: merchant.id, endpointId: endpoint.id, api: createApi(baseUrl, merchant.api_key) };
  };
  const count = options.addresses ?? 30;
  const pool = (network: EvmNetwork) =>
    Array.from({ length: count }, (_, index) => testAddress(network, index));
  const merchant = await addMerchant({ bsc: pool('bsc'), ethereum: pool('ethereum') });
  const { api } = merchant;
  const chain = (network: string) => (network === 'bsc' ? bsc : ethereum);

  const retrieve = async (payment: PaymentBody) => {
    const answer = await api.retrieve(payment.payment_number);
    if (answer.status !== 200) throw new Error(`retrieve answered ${answer.status}: ${answer.text}`);
    return answer.body;
  };

  const paymentRequest = (payment: PaymentBody, amount = expectedAmount(payment)): TransactionRequest => {
    if (payment.currency === 'native') return { to: payment.assigned_address, value: amount };
    const token = chain(payment.network).tokens[payment.currency];
    return transferCall(token, payment.assigned_address, amount);
  };
  const pay = (payment: PaymentBody, amount?: bigint) =>
    chain(payment.network).anvil.send(paymentRequest(payment, amount));

  const chainState = async (network: EvmNetwork): Promise<ChainBody | undefined> => {
    const answer = await admin.get<{ data: ChainBody[] }>('/chains/');
    return answer.body.data.find((candidate) => candidate.network === network);
  };
  const untilPolled = async (network: EvmNetwork) => {
    const { node } = chain(network);
    // Two steps of the watcher: one that may have begun before, and whatever it asks to confirm.
    const enough = node.requests() + 4;
    await waitFor(`${network} to be asked again`, () => node.requests() >= enough);
  };
  const untilRead = async (network: EvmNetwork) => {
    const height = await chain(network).anvil.height();
    let seen: ChainBody | undefined;
    await waitFor(
      `${network} to be read to ${height}`,
      async () => {
        seen = await chainState(network);
        return (seen?.cursor?.height ?? -1) >= height;
      },
      { describe: () => seen },
    );
    await untilPolled(network);
  };
  await Promise.all([untilRead('bsc'), untilRead('ethereum')]);

  return {
    bsc,
    ethereum,
    home,
    receiver,
    api,
    admin,
    merchant,
    addMerchant,
    chain,
    create: async (network, currency, more = {}) =>
      created(await api.create({ amount_usd_cents: 5000, network, currency, ...more })),
    paymentRequest,
    pay,
    payAndMine: async (payment, confirmations, amount) => {
      const txHash = await pay(payment, amount);
      await chain(payment.network).anvil.mine(confirmations);
      return txHash;
    },
    retrieve,
    until: (payment, what, holds) => {
      let seen: unknown;
      return waitFor(
        `${payment.payment_number} to be ${what}`,
        async () => {
          try {
            const body = await retrieve(payment);
            seen = body;
            return holds(body) && body;
          } catch (error) {
            // The daemon may be on its way up again.
            seen = String(error);
            return null;
          }
        },
        { describe: () => seen },
      );
    },
    eventsOf: async (payment) => {
      const events = await api.allEvents();
      const own = events.filter(({ body }) => body.payment_id === payment.payment_number);
      return own.map(({ body }) => body.event);
    },
    chainState,
    untilRead,
    untilPolled,
    passTime: async (seconds) => {
      await Promise.all([bsc, ethereum].map(({ anvil }) => anvil.increaseTime(seconds)));
      await home.advanceClock(seconds);
    },
    stop: async () => {
      for (const close of closers.reverse()) await close();
      const bugs = home.logs.filter((line) => line.level === 'error');
      if (bugs.length > 0) throw new Error(`the daemon logged errors: ${JSON.stringify(bugs.slice(0, 5))}`);
      if (home.stray.length > 0) throw new Error(`the daemon printed: ${home.stray.slice(0, 20).join('\n')}`);
      const text = JSON.stringify(home.logs);
      if (secrets.some((secret) => text.includes(secret))) throw new Error('the daemon logged a secret');
    },
  };
}

function configuration(
  { config: { chains = {}, ...sections } = {}, requestsPerDay }: ScenarioOptions,
  database: string,
  bsc: TestChain,
  ethereum: TestChain,
): object {
  const nodesOf = ({ node: { url } }: TestChain) => [
    requestsPerDay === undefined ? url : { url, requestsPerDay },
  ];
  const fast = { pollSeconds: 0.1, idlePollSeconds: 0.1 };
  return {
    publicUrl: 'https://pay.example.com',
    listen: { host: '127.0.0.1', port: 0 },
    database,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    adminToken: '${DEPOSITD_ADMIN_TOKEN}',
    rates: { sources: ['fixed'], fixed: { usdt: '1', usdc: '1', busd: '1', bnb: '612.50', eth: '3000' } },
    chains: {
      bsc: { rpc: nodesOf(bsc), ...fast, ...chains.bsc },
      ethereum: { rpc: nodesOf(ethereum), ...fast, ...chains.ethereum },
    },
    webhooks: { allowHosts: ['127.0.0.1'] },
    ...sections,
  };
}

/** Addresses that nobody has the key of. */
export function testAddress(network: EvmNetwork, index: number): string {
  return getAddress(`0x${keccak256(toHex(`${network} ${index}`)).slice(-40)}`);
}

function created<T>(answer: { status: number; body: T; text: string }): T {
  if (answer.status !== 201) throw new Error(`expected 201, got ${answer.status}: ${answer.text}`);
  return answer.body;
}
