import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type AddressKey, writeAddress } from '../core/address.ts';
import type { Currency } from '../core/assets.ts';
import { knownChains } from '../core/chains/known.ts';
import { eventTypes } from '../core/events.ts';
import { CommandError } from '../errors.ts';
import { type DemoChain, type DemoNetwork, startDemoChain } from './chain.ts';
import { freePort, startDemoDaemon } from './daemon.ts';
import { type Caller, createCaller } from './http.ts';
import type { Screen } from './screen.ts';
import { type Shop, startShop } from './shop.ts';
import { startSimulatedTron } from './tron/chain.ts';

export type OnchainPayment = {
  payment_number: string;
  status: string;
  network: DemoNetwork;
  currency: Currency;
  expected_crypto_amount: string;
  assigned_address: string;
  tx_hash: string;
  confirmations: number;
};

/** Everything that the demo plays with. */
export type Stage = {
  chains: Record<DemoNetwork, DemoChain>;
  shop: Shop;
  app: Caller;
  baseUrl: string;
  apiKey: string;
  adminToken: string;
};

/** What was started is ended in reverse. */
export type Closers = (() => Promise<void> | void)[];

const addressesPerNetwork = 10;

/** Much longer than it takes, ms. */
const patienceMs = 60_000;

/** How often the chains are looked at until the daemon has read them, ms. */
const lookMs = 100;

/** Starts everything that is played with, and tells of it. What was started is put into `closers` at once. */
export async function setUpStage(
  { screen, blockSeconds }: { screen: Screen; blockSeconds: number },
  closers: Closers,
): Promise<Stage> {
  screen.title('depositd: the whole product on this machine, with chains and money of its own');

  clearKilledDemos();
  const folder = mkdtempSync(join(tmpdir(), `${folderPrefix}${process.pid}-`));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));

  screen.step('Three local chains, with USDT, USDC and BUSD at their real addresses and decimals');
  const open = async (starting: Promise<DemoChain>) => {
    const chain = await starting;
    closers.push(() => chain.stop());
    return chain;
  };
  const chains = {
    bsc: await open(startDemoChain('bsc', { blockSeconds, folder })),
    ethereum: await open(startDemoChain('ethereum', { blockSeconds, folder })),
    tron: await open(startSimulatedTron({ blockSeconds })),
  };
  for (const { network, chainId, url } of Object.values(chains)) {
    const { name } = knownChains[network];
    const kind = network === 'tron' ? 'simulated node' : 'node';
    screen.detail(network, `${name}, chain id ${chainId}, ${kind} ${url}`);
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
  for (const network of Object.keys(chains) as DemoNetwork[]) {
    const { family } = knownChains[network];
    const addresses = Array.from({ length: addressesPerNetwork }, () =>
      writeAddress(family, randomBytes(20).toString('hex') as AddressKey),
    );
    await operator.post(`/merchants/${merchant.id}/addresses/`, { network, addresses });
  }
  const shop = await startShop(async (paymentNumber) => {
    const payment = await app.get<OnchainPayment>(`/api/v1/payments/${paymentNumber}/`);
    return chains[payment.network].pay(
      payment.currency,
      payment.assigned_address,
      payment.expected_crypto_amount,
    );
  });
  closers.push(() => shop.stop());
  const endpoint = await operator.post<{ secret: string }>(`/merchants/${merchant.id}/webhooks/`, {
    url: `${shop.url}/webhooks`,
    events: eventTypes.filter((type) => /^(payment|deposit|checkout_session)\./.test(type)),
  });
  shop.trust(endpoint.secret);
  screen.detail('merchant', `${merchant.id}, ${addressesPerNetwork} addresses on each chain`);
  screen.detail('webhooks to', `${shop.url}/webhooks`);
  return { chains, shop, app, baseUrl, apiKey: merchant.api_key, adminToken };
}

/** Followed by the id of the process that uses it. */
const folderPrefix = 'depositd-demo-';

/** Removes what demos left that were killed. Their processes have ended by themselves. */
function clearKilledDemos(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${folderPrefix}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || isRunning(Number(pid))) continue;
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // It is another user's.
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function configuration(baseUrl: string, port: number, chains: Record<DemoNetwork, DemoChain>): object {
  const pace = { pollSeconds: 0.2, idlePollSeconds: 1 };
  return {
    publicUrl: baseUrl,
    sandbox: true,
    listen: { host: '127.0.0.1', port },
    database: 'sqlite:./depositd.db',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    adminToken: '${DEPOSITD_ADMIN_TOKEN}',
    rates: {
      sources: ['fixed'],
      fixed: { usdt: '1', usdc: '1', busd: '1', bnb: '612.50', eth: '3000', trx: '0.32' },
    },
    chains: {
      bsc: { rpc: [chains.bsc.url], ...pace },
      ethereum: { rpc: [chains.ethereum.url], ...pace },
      // Only its own id tells that it is not the real one.
      tron: { rpc: [chains.tron.url], chainId: chains.tron.chainId, tokens: { usdc: true }, ...pace },
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
