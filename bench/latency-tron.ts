import { setTimeout } from 'node:timers/promises';
import { type AddressKey, parseAddress, writeAddress } from '../src/core/address.ts';
import { createDaemonHome, type DaemonHome } from '../test/support/daemon.ts';
import { tokenKey } from '../test/support/payments.ts';
import { createSimulatedTronChain } from '../test/support/tron/simulated-chain.ts';
import { startSimulatedTronNode } from '../test/support/tron/simulated-node.ts';
import { chainIdOf } from '../test/support/tron/source.ts';
import { createPayments } from './latency.ts';
import { startArrivals } from './support/arrivals.ts';
import { percentiles } from './support/load.ts';
import { writeResults } from './support/results.ts';
import { watchedKey } from './support/transfer-chain.ts';

/*
 * On TRON, from the block that pays to the webhook at the merchant: the real daemon over a simulated node, one payment in
 * each block, one confirmation needed, blocks at times that have nothing to do with those of the daemon.
 */

const samples = 100;

const settings = [
  { name: '1 s blocks, poll 1.5 s', blockMs: 1000, pollSeconds: 1.5 },
  { name: '1 s blocks, poll 0.75 s', blockMs: 1000, pollSeconds: 0.75 },
];

export async function run(): Promise<void> {
  const lines = [
    `Block made → webhook received, ${samples} payments in USDT each, by a simulated node; SQLite, synchronous=FULL.`,
    '',
    '| | event | p50 ms | target | p99 ms | max ms |',
    '|---|---|---|---|---|---|',
  ];
  for (const setting of settings) {
    console.log(`${setting.name}…`);
    lines.push(...(await measureSetting(setting)));
  }
  console.log(lines.join('\n'));
  writeResults('latency-tron', lines);
}

async function measureSetting({ name, blockMs, pollSeconds }: (typeof settings)[number]): Promise<string[]> {
  const chain = createSimulatedTronChain({ clock: Date.now, finalityLag: 0, height: 40 });
  const node = await startSimulatedTronNode(chain);
  const arrivals = await startArrivals();
  let home: DaemonHome | undefined;
  try {
    home = createDaemonHome({
      publicUrl: 'https://pay.example.com',
      listen: { host: '127.0.0.1', port: 0 },
      database: 'sqlite:./depositd.db',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
      adminToken: '${DEPOSITD_ADMIN_TOKEN}',
      rates: { sources: ['fixed'], fixed: { usdt: '1', trx: '0.25' } },
      chains: { tron: { rpc: [node.url], chainId: chainIdOf(chain), pollSeconds, confirmations: 1 } },
      webhooks: { allowHosts: ['127.0.0.1'] },
    });
    await home.start();
    const { id, api_key } = await home.runJson<{ id: string; api_key: string }>('merchant', 'add', 'Bench');
    const addresses = Array.from({ length: samples }, (_, n) => writeAddress('tron', watchedKey(n)));
    await home.runJson('address', 'add', '--merchant', id, '--network', 'tron', ...addresses);
    const events = 'payment.detected,payment.confirmed';
    await home.runJson('webhook', 'add', '--merchant', id, arrivals.url, '--events', events);
    // The daemon notices what commands change within two seconds.
    await setTimeout(2500);
    const minedAt = new Map<string, number>();
    for (const payment of await createPayments(home.current().url, api_key, 'tron', samples)) {
      const { payment_number, assigned_address, expected_crypto_amount } = payment;
      const parsed = parseAddress('tron', assigned_address);
      if ('error' in parsed) throw new Error(parsed.error);
      // Six decimals.
      const amount = BigInt(expected_crypto_amount.replace('.', ''));
      const token = tokenKey('tron', 'usdt') as AddressKey;
      chain.send({ token, currency: 'usdt', recipient: parsed.key, amount });
      await setTimeout(blockMs * (0.5 + Math.random()));
      chain.mine();
      minedAt.set(payment_number, performance.now());
    }
    const lines: string[] = [];
    for (const event of ['payment.detected', 'payment.confirmed']) {
      const delays = await Promise.all(
        [...minedAt].map(async ([number, at]) => (await arrivals.of(`${event} ${number}`)) - at),
      );
      const { p50, p99, max } = percentiles(delays);
      const target = pollSeconds * 500 + 100;
      lines.push(
        `| ${name} | ${event} | ${p50.toFixed(0)} | ${target} | ${p99.toFixed(0)} | ${max.toFixed(0)} |`,
      );
    }
    return lines;
  } finally {
    await home?.remove();
    await arrivals.stop();
    await node.close();
  }
}
