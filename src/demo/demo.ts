import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { assetSymbol, type Currency, nativeCoin } from '../core/assets.ts';
import { networks } from '../core/networks.ts';
import { CommandError } from '../errors.ts';
import { type DemoChain, type DemoNetwork, startDemoChain } from './chain.ts';
import { freePort, startDemoDaemon } from './daemon.ts';
import { type Caller, createCaller } from './http.ts';
import type { Screen } from './screen.ts';
import { type Shop, startShop } from './shop.ts';

export type DemoOptions = {
  /** End after the payments instead of leaving everything running. */
  once: boolean;
  /** How fast the local chains are. */
  blockSeconds: number;
  screen: Screen;
  /** Aborts when the demo should end. */
  signal: AbortSignal;
};

/** What was started is ended in reverse. */
type Closers = (() => Promise<void> | void)[];

type Payment = {
  payment_number: string;
  status: string;
  network: DemoNetwork;
  currency: Currency;
  expected_crypto_amount: string;
  assigned_address: string;
  tx_hash: string;
  confirmations: number;
};

type Stage = {
  chains: Record<DemoNetwork, DemoChain>;
  shop: Shop;
  app: Caller;
  baseUrl: string;
  apiKey: string;
  adminToken: string;
};

const orders: readonly { network: DemoNetwork; currency: Currency; usdCents: number; item: string }[] = [
  { network: 'bsc', currency: 'usdt', usdCents: 5_000, item: 'a pair of shoes' },
  { network: 'ethereum', currency: 'usdc', usdCents: 1_999, item: 'a book' },
  { network: 'bsc', currency: 'native', usdCents: 350, item: 'a coffee' },
];

const addressesPerNetwork = 10;

/** How often a payment is looked at while it waits for blocks, ms. */
const lookMs = 100;

/** Much longer than any of it takes. */
const patienceMs = 60_000;

/** The whole product on one machine, told step by step. Leaves nothing behind. */
export async function runDemo(options: DemoOptions): Promise<void> {
  const closers: Closers = [];
  try {
    const stage = await setUp(options, closers);
    const startedAt = performance.now();
    for (const order of orders) {
      options.signal.throwIfAborted();
      await playOrder(order, stage, options);
    }
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    options.screen.text('');
    options.screen.good(
      'done',
      `${orders.length} payments confirmed and told by signed webhooks in ${seconds} s`,
    );
    if (!options.once) await leaveRunning(stage, options);
  } catch (error) {
    // Ctrl-C is how the demo ends.
    if (!options.signal.aborted) throw error;
  } finally {
    if (!options.once) options.screen.text('\nstopping …');
    for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
  }
}

async function setUp({ screen, blockSeconds }: DemoOptions, closers: Closers): Promise<Stage> {
  screen.title('depositd: the whole product on this machine, with chains and money of its own');

  const folder = mkdtempSync(join(tmpdir(), 'depositd-demo-'));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));

  screen.step('Two local chains, with USDT, USDC and BUSD at their real addresses and decimals');
  const startChain = async (network: DemoNetwork) => {
    const chain = await startDemoChain(network, blockSeconds);
    closers.push(() => chain.stop());
    return chain;
  };
  const [bsc, ethereum] = await Promise.all([startChain('bsc'), startChain('ethereum')]);
  const chains = { bsc, ethereum };
  for (const { network, url } of [bsc, ethereum]) {
    const { chain, chainId } = networks[network];
    screen.detail(network, `${chain}, chain id ${chainId}, node ${url}`);
  }

  screen.step('The daemon: depositd serve');
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  const adminToken = randomBytes(24).toString('hex');
  const configPath = join(folder, 'config.json');
  writeFileSync(configPath, JSON.stringify(configuration(baseUrl, port, chains), null, 2));
  const daemon = await startDemoDaemon(configPath, { DEPOSITD_ADMIN_TOKEN: adminToken });
  closers.push(() => daemon.stop());
  screen.detail('configuration', configPath);
  screen.detail('listens on', baseUrl);
  const operator = createCaller(`${baseUrl}/admin/v1`, { authorization: `Bearer ${adminToken}` });
  await untilChainsAreRead(operator);

  screen.step('A merchant with a key, receive addresses, and a webhook endpoint');
  const merchant = await operator.post<{ id: string; api_key: string }>('/merchants/', { name: 'Demo Shop' });
  const app = createCaller(baseUrl, { 'x-api-key': merchant.api_key });
  for (const network of ['bsc', 'ethereum'] as const) {
    const addresses = Array.from(
      { length: addressesPerNetwork },
      () => `0x${randomBytes(20).toString('hex')}`,
    );
    await operator.post(`/merchants/${merchant.id}/addresses/`, { network, addresses });
  }
  const shop = await startShop(async (paymentNumber) => {
    const payment = await app.get<Payment>(`/api/v1/payments/${paymentNumber}/`);
    return chains[payment.network].pay(
      payment.currency,
      payment.assigned_address,
      payment.expected_crypto_amount,
    );
  });
  closers.push(() => shop.stop());
  const endpoint = await operator.post<{ secret: string }>(`/merchants/${merchant.id}/webhooks/`, {
    url: `${shop.url}/webhooks`,
  });
  shop.trust(endpoint.secret);
  screen.detail('merchant', `${merchant.id}, ${addressesPerNetwork} addresses on each chain`);
  screen.detail('webhooks to', `${shop.url}/webhooks`);
  return { chains, shop, app, baseUrl, apiKey: merchant.api_key, adminToken };
}

/** One order from creation to the verified webhook, as it happens. */
async function playOrder(
  { network, currency, usdCents, item }: (typeof orders)[number],
  { chains, shop, app }: Stage,
  { screen, signal }: DemoOptions,
): Promise<void> {
  const symbol = currency === 'native' ? assetSymbol(nativeCoin[network]) : currency.toUpperCase();
  const dollars = `$${(usdCents / 100).toFixed(2)}`;
  screen.step(`A customer buys ${item} for ${dollars}, in ${symbol} on ${networks[network].chain}`);
  const payment = await app.post<Payment>('/api/v1/payments/', {
    amount_usd_cents: usdCents,
    network,
    currency,
    external_order_id: item.replaceAll(' ', '-'),
  });
  const path = `/api/v1/payments/${payment.payment_number}/`;
  screen.detail('created', payment.payment_number);
  screen.detail('to pay', `${payment.expected_crypto_amount} ${symbol} to ${payment.assigned_address}`);

  await chains[network].pay(currency, payment.assigned_address, payment.expected_crypto_amount);
  const seen = await untilPayment(app, path, signal, (now) => now.tx_hash !== '');
  screen.detail('seen', `${seen.tx_hash.slice(0, 26)}…${seen.tx_hash.slice(-8)}`);

  const required = networks[network].requiredConfirmations;
  const counter = screen.counter('confirmations', required);
  try {
    await untilPayment(app, path, signal, (now) => {
      counter.reach(now.status === 'confirmed' ? required : now.confirmations);
      return now.status === 'confirmed';
    });
  } finally {
    counter.end();
  }
  screen.good('confirmed', 'the order is paid');

  const told = await within(shop.told('payment.confirmed', payment.payment_number), 'the webhook', signal);
  if (!told.verified) throw new CommandError('the webhook arrived with a wrong signature');
  screen.good('webhook', `${told.event} received, its signature verified`);
}

async function leaveRunning(
  { shop, baseUrl, apiKey, adminToken }: Stage,
  { screen, signal }: DemoOptions,
): Promise<void> {
  screen.text(`
Everything goes on running. Be the shop:

  curl -s ${baseUrl}/api/v1/payments/ -H 'X-API-Key: ${apiKey}' \\
    -H 'Content-Type: application/json' \\
    -d '{"amount_usd_cents": 4200, "network": "bsc", "currency": "usdt"}'

Be the customer, who pays it in full (put in its payment_number):

  curl -s -X POST ${shop.url}/pay/PAYMENT_NUMBER

See what became of it:

  curl -s ${baseUrl}/api/v1/payments/ -H 'X-API-Key: ${apiKey}'

And look around:

  ${baseUrl}/api/v1/schema/   the API
  ${baseUrl}/readyz           is it able to work?
  ${baseUrl}/metrics          for Prometheus
  curl -s ${baseUrl}/admin/v1/chains/ -H 'Authorization: Bearer ${adminToken}'

Ctrl-C ends it. Webhooks appear here as they come.
`);
  shop.listen(({ event, paymentNumber, verified }) =>
    screen.good(
      'webhook',
      `${event} of ${paymentNumber}${verified ? ', its signature verified' : ', WRONGLY SIGNED'}`,
    ),
  );
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

function configuration(baseUrl: string, port: number, chains: Record<DemoNetwork, DemoChain>): object {
  const pace = { pollSeconds: 0.2, idlePollSeconds: 1 };
  return {
    publicUrl: baseUrl,
    listen: { host: '127.0.0.1', port },
    database: 'sqlite:./depositd.db',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    adminToken: '${DEPOSITD_ADMIN_TOKEN}',
    rates: { sources: ['fixed'], fixed: { usdt: '1', usdc: '1', busd: '1', bnb: '612.50', eth: '3000' } },
    chains: {
      bsc: { rpc: [chains.bsc.url], ...pace },
      ethereum: { rpc: [chains.ethereum.url], ...pace },
    },
    webhooks: { allowHosts: ['127.0.0.1'] },
  };
}

async function untilChainsAreRead(operator: Caller): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const { data } = await operator.get<{ data: { available: boolean; reason: string | null }[] }>(
      '/chains/',
    );
    const waiting = data.find((chain) => !chain.available);
    if (waiting === undefined) return;
    if (performance.now() > deadline)
      throw new CommandError(`the daemon does not read its chains: ${waiting.reason}`);
    await setTimeout(lookMs);
  }
}

async function untilPayment(
  app: Caller,
  path: string,
  signal: AbortSignal,
  holds: (payment: Payment) => boolean,
): Promise<Payment> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const payment = await app.get<Payment>(path);
    if (holds(payment)) return payment;
    if (performance.now() > deadline)
      throw new CommandError(`the payment stays ${payment.status}; something is wrong`);
    await setTimeout(lookMs, undefined, { signal });
  }
}

async function within<T>(promise: Promise<T>, what: string, signal: AbortSignal): Promise<T> {
  const late = setTimeout(patienceMs, undefined, { signal, ref: false }).then(() => {
    throw new CommandError(`${what} did not arrive`);
  });
  late.catch(() => {});
  return Promise.race([promise, late]);
}
