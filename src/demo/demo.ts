import { setTimeout } from 'node:timers/promises';
import { assetSymbol, type Currency } from '../core/assets.ts';
import { knownChains } from '../core/chains/known.ts';
import { counted } from '../core/plural.ts';
import { CommandError } from '../errors.ts';
import type { DemoNetwork } from './chain.ts';
import type { Caller } from './http.ts';
import type { Screen } from './screen.ts';
import { type Closers, type OnchainPayment, type Stage, setUpStage } from './stage.ts';

export type DemoOptions = {
  /** End after the payments instead of leaving everything running. */
  once: boolean;
  /** How fast the local chains are. */
  blockSeconds: number;
  screen: Screen;
  /** Aborts when the demo should end. */
  signal: AbortSignal;
};

const orders: readonly { network: DemoNetwork; currency: Currency; usdCents: number; item: string }[] = [
  { network: 'bsc', currency: 'usdt', usdCents: 5_000, item: 'a pair of shoes' },
  { network: 'ethereum', currency: 'usdc', usdCents: 1_999, item: 'a book' },
  { network: 'bsc', currency: 'native', usdCents: 350, item: 'a coffee' },
  { network: 'tron', currency: 'usdt', usdCents: 1_250, item: 'a lamp' },
];

/** How often a payment is looked at while it waits for blocks, ms. */
const lookMs = 100;

/** Much longer than any of it takes. */
const patienceMs = 60_000;

/** The whole product on one machine, told step by step. Leaves nothing behind. */
export async function runDemo(options: DemoOptions): Promise<void> {
  const closers: Closers = [];
  try {
    const stage = await setUpStage(options, closers);
    const startedAt = performance.now();
    for (const order of orders) {
      options.signal.throwIfAborted();
      await playOrder(order, stage, options);
    }
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    options.screen.text('');
    options.screen.good(
      'done',
      `${counted(orders.length, 'payment')} confirmed and told by signed webhooks in ${seconds} s`,
    );
    if (options.once) return;
    await offerCheckout(stage, options);
    await leaveRunning(stage, options);
  } catch (error) {
    // Ctrl-C is how the demo ends.
    if (!options.signal.aborted) throw error;
  } finally {
    if (!options.once) options.screen.text('\nstopping …');
    for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
  }
}

/** One order from creation to the verified webhook, as it happens. */
async function playOrder(
  { network, currency, usdCents, item }: (typeof orders)[number],
  { chains, shop, app }: Stage,
  { screen, signal }: DemoOptions,
): Promise<void> {
  const symbol = currency === 'native' ? assetSymbol(knownChains[network].native) : currency.toUpperCase();
  const dollars = `$${(usdCents / 100).toFixed(2)}`;
  screen.step(`A customer buys ${item} for ${dollars}, in ${symbol} on ${nameOf(network)}`);
  const payment = await app.post<OnchainPayment>('/api/v1/payments/', {
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

  const required = knownChains[network].requiredConfirmations;
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

function nameOf(network: DemoNetwork): string {
  return network === 'tron' ? 'a simulated TRON' : knownChains[network].name;
}

/** A checkout to open in a browser: whoever chooses there is shown what to pay, and how it goes. */
async function offerCheckout({ app, shop }: Stage, { screen }: DemoOptions): Promise<void> {
  screen.step('A checkout in which the customer chooses the coin: open it in a browser');
  const session = await app.post<{ checkout_url: string }>('/api/v1/checkout-sessions/', {
    amount_usd_cents: 2_500,
    external_order_id: 'a-scarf',
  });
  screen.detail('checkout', session.checkout_url);
  screen.detail('', 'the sandbox wallet below its page pays: right, wrong, twice, too much, or back again');
  screen.detail('webhooks', `${shop.url}/ shows what the shop was told`);
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

Be the customer, who pays it in full, or what you chose in the checkout (put in the payment_number, which its page shows too):

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
      `${event}${paymentNumber === '' ? '' : ` of ${paymentNumber}`}${verified ? ', its signature verified' : ', WRONGLY SIGNED'}`,
    ),
  );
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

async function untilPayment(
  app: Caller,
  path: string,
  signal: AbortSignal,
  holds: (payment: OnchainPayment) => boolean,
): Promise<OnchainPayment> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const payment = await app.get<OnchainPayment>(path);
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
