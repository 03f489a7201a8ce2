import { setTimeout } from 'node:timers/promises';
import { knownChains } from '../src/core/chains/known.ts';

import { parseAmount } from '../src/core/money.ts';
import { transferCall } from '../src/demo/token.ts';
import { startTestAnvil, type TestAnvil } from '../test/support/anvil.ts';
import { createDaemonHome, type DaemonHome } from '../test/support/daemon.ts';
import { placeTokens } from '../test/support/tokens.ts';
import { startArrivals } from './support/arrivals.ts';
import { percentiles } from './support/load.ts';
import { writeResults } from './support/results.ts';
import { watchedKey } from './support/transfer-chain.ts';

/*
 * From the block that pays to the webhook at the merchant: the real daemon, one payment in each block, one confirmation
 * needed, blocks at times that have nothing to do with those of the daemon (half to one and a half of the mean).
 */

const samples = 150;

type Setting = { name: string; blockMs: number; pollSeconds: number; websocket: boolean };

const settings: Setting[] = [
  { name: '1 s blocks, poll 1 s', blockMs: 1000, pollSeconds: 1, websocket: false },
  { name: '0.45 s blocks, poll 1 s', blockMs: 450, pollSeconds: 1, websocket: false },
  { name: '0.45 s blocks, poll 0.45 s', blockMs: 450, pollSeconds: 0.45, websocket: false },
  { name: '0.45 s blocks, poll 1 s, woken by a websocket', blockMs: 450, pollSeconds: 1, websocket: true },
];

export async function run(): Promise<void> {
  const lines = [
    `Block mined → webhook received, ${samples} payments each; SQLite, synchronous=FULL.`,
    '',
    '| | event | p50 ms | target | p99 ms | target | max ms |',
    '|---|---|---|---|---|---|---|',
  ];
  for (const setting of settings) {
    console.log(`${setting.name}…`);
    lines.push(...(await measureSetting(setting)));
  }
  console.log(lines.join('\n'));
  writeResults('latency', lines);
}

async function measureSetting({ name, blockMs, pollSeconds, websocket }: Setting): Promise<string[]> {
  const anvil = await startTestAnvil();
  const arrivals = await startArrivals();
  let home: DaemonHome | undefined;
  try {
    const { usdt } = await placeTokens(anvil, 'bsc');
    await anvil.mine(20);
    home = createDaemonHome(configuration(anvil, pollSeconds, websocket));
    await home.start();
    const { id, api_key } = await home.runJson<{ id: string; api_key: string }>('merchant', 'add', 'Bench');
    const addresses = Array.from({ length: samples }, (_, n) => `0x${watchedKey(n)}`);
    const list = ['--network', 'bsc', '--no-checksum', ...addresses];
    await home.runJson('address', 'add', '--merchant', id, ...list);
    const events = 'payment.detected,payment.confirmed';
    await home.runJson('webhook', 'add', '--merchant', id, arrivals.url, '--events', events);
    // The daemon notices what commands change within two seconds.
    await setTimeout(2500);
    const payments = await createPayments(home.current().url, api_key, 'bsc', samples);

    const minedAt = new Map<string, number>();
    for (const payment of payments) {
      await anvil.send(transferCall(usdt, payment.assigned_address, amountOf(payment)));
      await setTimeout(blockMs * (0.5 + Math.random()));
      await anvil.mine();
      minedAt.set(payment.payment_number, performance.now());
    }
    const delaysOf = (event: string) =>
      Promise.all([...minedAt].map(async ([number, at]) => (await arrivals.of(`${event} ${number}`)) - at));
    const [detected, confirmed] = ['payment.detected', 'payment.confirmed'] as const;
    return [
      [detected, await delaysOf(detected)] as const,
      [confirmed, await delaysOf(confirmed)] as const,
    ].map(([event, delays]) => {
      const { p50, p99, max } = percentiles(delays);
      const targets = websocket ? ['', ''] : [pollSeconds * 500 + 60, pollSeconds * 1000 + 200];
      return `| ${name} | ${event} | ${p50.toFixed(0)} | ${targets[0]} | ${p99.toFixed(0)} | ${targets[1]} | ${max.toFixed(0)} |`;
    });
  } finally {
    await home?.remove();
    await arrivals.stop();
    await anvil.stop();
  }
}

function configuration(anvil: TestAnvil, pollSeconds: number, websocket: boolean): object {
  const node = websocket ? { url: anvil.url, wsUrl: anvil.url.replace('http', 'ws') } : anvil.url;
  return {
    publicUrl: 'https://pay.example.com',
    listen: { host: '127.0.0.1', port: 0 },
    database: 'sqlite:./depositd.db',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    adminToken: '${DEPOSITD_ADMIN_TOKEN}',
    rates: { sources: ['fixed'], fixed: { usdt: '1', usdc: '1', busd: '1', bnb: '600' } },
    chains: { bsc: { rpc: [node], pollSeconds, confirmations: 1, finality: 'depth' } },
    webhooks: { allowHosts: ['127.0.0.1'] },
  };
}

type OnchainPayment = { payment_number: string; assigned_address: string; expected_crypto_amount: string };

/** Payments in tether, one of each amount. */
export async function createPayments(
  url: string,
  key: string,
  network: string,
  count: number,
): Promise<OnchainPayment[]> {
  const payments: OnchainPayment[] = [];
  for (let n = 0; n < count; n++) {
    const answer = await fetch(`${url}/api/v1/payments/`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': key },
      body: JSON.stringify({ amount_usd_cents: 1000 + n, network, currency: 'usdt' }),
    });
    if (answer.status !== 201) throw new Error(await answer.text());
    payments.push((await answer.json()) as OnchainPayment);
    // Below the limit for one key.
    await setTimeout(12);
  }
  return payments;
}

function amountOf({ expected_crypto_amount }: OnchainPayment): bigint {
  const amount = parseAmount(expected_crypto_amount, knownChains.bsc.tokens.usdt?.decimals ?? 18);
  if (amount === null) throw new Error(`not an amount: ${expected_crypto_amount}`);
  return amount;
}
