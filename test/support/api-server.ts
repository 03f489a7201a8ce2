import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { Registry } from '@prometheus-io/client';
import { onTestFinished } from 'vitest';
import { type ApiDeps, createApi } from '../../src/api/http/server.ts';
import type { LookUp } from '../../src/checkout/look.ts';
import type { Config } from '../../src/config.ts';
import type { Coin, Currency } from '../../src/core/assets.ts';
import type { BlockHash } from '../../src/core/chain.ts';
import { parityRate } from '../../src/core/money.ts';
import type { Network } from '../../src/core/networks.ts';
import type { NodeStatus } from '../../src/core/node.ts';
import { createLogger } from '../../src/log.ts';
import { createSecrets } from '../../src/notify/secrets.ts';
import { createPayments } from '../../src/payments/create.ts';
import { createPoolHealth } from '../../src/pool/health.ts';
import { checkAndAddAddresses } from '../../src/pool/import.ts';
import type { Bridge } from '../../src/providers/bridge.ts';
import { openProviders } from '../../src/providers/open.ts';
import type { Adapter } from '../../src/providers/provider.ts';
import { createReconciler } from '../../src/providers/reconcile.ts';
import { type ChainState, insertChain, updateChain } from '../../src/storage/chains/chains.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { addApiKey, addMerchant } from '../../src/storage/operators/merchants.ts';
import type { Db } from '../../src/storage/schema.ts';
import { evmAddress } from './addresses.ts';
import { testAdminToken, testConfig } from './config.ts';
import { checkAnswer, type OpenApiDocument } from './openapi.ts';
import { testTime, testUsdPer } from './payments.ts';

export type TestAnswer<T = unknown> = {
  status: number;
  headers: Headers;
  /** The bytes as text. */
  text: string;
  /** Parsed where it says it is JSON. */
  body: T;
};

export type TestRequest = {
  /** A merchant's key. */
  key?: string;
  /** With the admin token. */
  admin?: boolean;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is. */
  raw?: string | Uint8Array<ArrayBuffer>;
};

export type TestMerchant = { id: string; keyId: string; key: string };

export type ApiServer = {
  url: string;
  db: Db;
  config: Config;
  registry: Registry;
  /** Every line that was logged. */
  logs: Record<string, unknown>[];
  /** Chains that creating a payment woke. */
  woken: Network[];
  /** How often the notifier was woken. */
  notified(): number;
  now(): number;
  /** Lets time pass; the chains are not read meanwhile. */
  advance(seconds: number): void;
  /** Prices in dollars per coin; a coin that is missing has none. */
  setRates(usdPerCoin: Partial<Record<Coin, bigint>>): void;
  setStopping(stopping: boolean): void;
  /** One step of each provider's loop, as the daemon takes them. */
  followProviders(): Promise<void>;
  bridges: readonly Bridge[];
  close(): Promise<void>;
  /** Says how a chain stands; by default both are read just now, at head 1000. */
  setChain(network: Network, change: Partial<ChainState>): Promise<void>;
  addMerchant(name?: string): Promise<TestMerchant>;
  /** Adds `count` addresses that nobody else has. */
  addAddresses(merchant: TestMerchant, network: Network, count: number, currency?: Currency): Promise<void>;
  /** Sends a request and checks the answer against the OpenAPI document that describes its route. */
  send<T = unknown>(method: string, path: string, request?: TestRequest): Promise<TestAnswer<T>>;
};

const start = Date.UTC(2026, 4, 24, 11, 35, 0, 250);

/** The real server on loopback over `db`, its clock, prices and chains in the test's hands. */
export async function openApiServer(
  db: Db,
  changes: Partial<Config> = {},
  more: { adapters?: readonly Adapter[]; lookUp?: LookUp } = {},
): Promise<ApiServer> {
  const config = testConfig({ api: { requestsPerSecond: 100_000 }, ...changes });
  let now = start;
  let usdPerCoin: Partial<Record<Coin, bigint>> = {
    usdt: parityRate,
    usdc: parityRate,
    busd: parityRate,
    bnb: 600n * parityRate,
    eth: 3000n * parityRate,
  };
  let stopping = false;
  let notified = 0;
  let nextAddress = 1;
  const logs: Record<string, unknown>[] = [];
  const woken: Network[] = [];
  const steps = new Map<Bridge, ReturnType<typeof createReconciler>>();
  const clock = () => now;
  const log = createLogger({ level: 'debug', write: (line) => logs.push(JSON.parse(line)) });
  const rates = {
    usdPer: testUsdPer,
    quote: (coin: Coin) => {
      const price = usdPerCoin[coin];
      return price === undefined ? null : { usdPerCoin: price, sources: ['test'], fetchedAt: now };
    },
  };
  const pools = createPoolHealth({ db, clock, log, policy: config.payments, chains: config.chains });
  const payments = createPayments({
    db,
    config,
    rates,
    pools,
    clock,
    timeOf: testTime,
    wake: (network) => woken.push(network),
  });
  const secrets = createSecrets(randomBytes(32), 'the key of this test');
  const providers = await openProviders({
    db,
    config,
    secrets,
    userAgent: 'depositd',
    clock,
    log,
    onEvents: () => {
      notified += 1;
    },
    // Nobody waits in a test: the stand-ins take any number of requests.
    sleep: async () => {},
    ...(more.adapters === undefined ? {} : { adapters: more.adapters }),
  });
  const registry = new Registry();
  const node: NodeStatus = {
    host: 'node.example',
    preferred: true,
    state: 'ready',
    head: 1000,
    finalized: 990,
    lag: 0,
    answeredAt: start,
    lacks: [],
    limits: { blocksPerQuery: 200, callsPerRequest: 100, recipientFilter: true },
    latencyMs: 12.5,
    backoffUntil: null,
    lastError: null,
    asked: 3,
    failed: 0,
  };
  const deps: ApiDeps = {
    db,
    config,
    clock,
    log,
    rates,
    rateStatus: () => ({ sources: [], coins: [] }),
    payments,
    providers: providers.desk,
    registry,
    lookUp: more.lookUp ?? (async () => ({ kind: 'unknown' })),
    timeOf: testTime,
    nodesOf: (network) => (network === 'bsc' ? [node] : []),
    secrets,
    wakeNotifier: () => {
      notified += 1;
    },
    isStopping: () => stopping,
  };
  const api = await createApi(deps);
  await api.listen({ host: '127.0.0.1', port: 0 });
  onTestFinished(async () => {
    await api.close();
    await providers.stop();
    await pools.settled();
  });
  const url = `http://127.0.0.1:${(api.server.address() as AddressInfo).port}`;

  const states = new Map<Network, ChainState>();
  for (const { network } of Object.values(config.chains)) {
    const block = { height: 1000, hash: `0x${'a'.repeat(64)}` as BlockHash, time: Math.floor(start / 1000) };
    const state: ChainState = {
      network,
      cursor: block,
      head: block,
      time: { head: block, shownAt: start, watchedSince: null },
      finalizedHeight: 990,
      readAt: start,
      stoppedReason: null,
    };
    states.set(network, state);
    await inTransaction(db, (trx) => insertChain(trx, state));
  }

  async function fetchAnswer(method: string, path: string, request: TestRequest): Promise<TestAnswer> {
    const headers: Record<string, string> = {
      ...(request.key === undefined ? {} : { 'x-api-key': request.key }),
      ...(request.admin === true ? { authorization: `Bearer ${testAdminToken}` } : {}),
      ...(request.json === undefined && request.raw === undefined
        ? {}
        : { 'content-type': 'application/json' }),
      ...request.headers,
    };
    const body = request.json === undefined ? request.raw : JSON.stringify(request.json);
    const response = await fetch(url + path, {
      method,
      headers,
      redirect: 'manual',
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson && text !== '' ? JSON.parse(text) : text,
    };
  }

  const documents = await documentsOf(deps);

  return {
    url,
    db,
    config,
    registry,
    logs,
    woken,
    notified: () => notified,
    now: clock,
    advance: (seconds) => {
      now += seconds * 1000;
    },
    setRates: (prices) => {
      usdPerCoin = prices;
    },
    bridges: providers.bridges,
    followProviders: async () => {
      for (const bridge of providers.bridges) {
        const deps = { db, clock, log, onEvents: () => {} };
        const step = steps.get(bridge) ?? createReconciler(deps, bridge);
        steps.set(bridge, step);
        await step(new AbortController().signal);
      }
    },
    close: () => api.close(),
    setStopping: (value) => {
      stopping = value;
    },
    setChain: async (network, change) => {
      const state = { ...(states.get(network) as ChainState), ...change };
      states.set(network, state);
      await inTransaction(db, (trx) => updateChain(trx, state));
    },
    addMerchant: (name = 'Shop') =>
      inTransaction(db, async (trx) => {
        const { id } = await addMerchant(trx, { name, at: now });
        const { apiKey, secret } = await addApiKey(trx, { merchantId: id, at: now });
        return { id, keyId: apiKey.id, key: secret };
      }),
    addAddresses: async (merchant, network, count, currency) => {
      const rows = Array.from({ length: count }, () => ({
        network,
        address: evmAddress(nextAddress++),
        currency: currency ?? '',
        label: '',
      }));
      await checkAndAddAddresses({ db, config, clock }, { merchantId: merchant.id, rows, actor: 'test' });
    },
    send: async <T>(method: string, path: string, request: TestRequest = {}) => {
      const answer = await fetchAnswer(method, path, request);
      checkAnswer(documents, method, path, answer);
      return answer as TestAnswer<T>;
    },
  };
}

/** Of each configuration, as JSON without the ports of other servers of the test. */
const known = new Map<string, Promise<OpenApiDocument[]>>();

/** What describes the routes of a server with this configuration. Writing it takes longer than most tests do. */
function documentsOf(deps: ApiDeps): Promise<OpenApiDocument[]> {
  const key = JSON.stringify(deps.config).replaceAll(/127\.0\.0\.1:\d+/g, 'here');
  const documents = known.get(key) ?? readDocuments(deps);
  known.set(key, documents);
  return documents;
}

/** Of a server of its own: a test may count the requests to its server. */
async function readDocuments(deps: ApiDeps): Promise<OpenApiDocument[]> {
  const api = await createApi({ ...deps, registry: new Registry() });
  const read = async (url: string) => {
    const answer = await api.inject({ url, headers: { authorization: `Bearer ${testAdminToken}` } });
    return answer.json<OpenApiDocument>();
  };
  const documents = [await read('/api/v1/schema/'), await read('/admin/v1/schema/')];
  await api.close();
  return documents;
}
