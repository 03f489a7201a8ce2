import { createScrubber, secretsOf } from '../config/scrub.ts';
import type { AlertWay, ChainConfig, Config } from '../config.ts';
import { writeAddress } from '../core/address.ts';

/** One setting as it is in effect: its place in the configuration, and its value for people. */
export type Setting = { path: string; value: string };

/**
 * The configuration as it is in effect, defaults included and nothing in it that gives access: what may be shown is named
 * here, and of URLs only hosts are left.
 */
export function presentSettings(config: Config): Setting[] {
  const { providers, chains, alerts, webhooks, rates } = config;
  const { secretKey, ...shownWebhooks } = webhooks;
  const { fiat, ...shownRates } = rates;
  const shown = {
    publicUrl: config.publicUrl,
    sandbox: config.sandbox,
    dashboard: config.dashboard,
    listen: config.listen,
    database: config.database,
    databaseDirect: config.databaseDirect,
    payments: config.payments,
    rates: { ...shownRates, fiat: { sources: fiat.sources, maxAgeSeconds: fiat.maxAgeSeconds } },
    chains: Object.fromEntries(Object.entries(chains).map(([name, chain]) => [name, shownChain(chain)])),
    providers: Object.fromEntries(
      Object.entries(providers).map(([name, { type, label, enabled, merchants }]) => [
        name,
        { type, label, enabled, merchants: merchants ?? 'all' },
      ]),
    ),
    webhooks: { ...shownWebhooks, secretKey: secretKey === null ? 'in a file' : 'in the configuration' },
    alerts: { to: alerts.to.map(describeWay), mute: alerts.mute },
    api: config.api,
    checkout: config.checkout,
    log: config.log,
  };
  // A second net under the first: whatever is known to give access is in none of them.
  const scrub = createScrubber(secretsOf(config));
  return flatten('', shown).map(({ path, value }) => ({ path, value: scrub(value) }));
}

function shownChain({ rpc, assets, native, ...chain }: ChainConfig) {
  return {
    ...chain,
    nodes: rpc.map(({ url }) => new URL(url).host),
    assets: assets.map(({ currency, token }) =>
      token === 'native' ? currency : `${currency} (${writeAddress(chain.family, token)})`,
    ),
    coin: native.coin,
  };
}

function describeWay(way: AlertWay): string {
  switch (way.type) {
    case 'email':
      return `email to ${way.to}`;
    case 'webhook':
    case 'ntfy':
    case 'telegram':
      return `${way.type} at ${new URL(way.url).host}`;
    default:
      return way satisfies never;
  }
}

function flatten(path: string, value: unknown): Setting[] {
  if (Array.isArray(value)) {
    const texts = value.map((one) => (typeof one === 'object' ? JSON.stringify(one) : String(one)));
    return [{ path, value: texts.join(', ') || 'none' }];
  }
  if (typeof value !== 'object' || value === null) return [{ path, value: String(value ?? 'none') }];
  return Object.entries(value).flatMap(([key, inner]) =>
    flatten(path === '' ? key : `${path}.${key}`, inner),
  );
}
