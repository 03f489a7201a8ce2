import { formatPath, type Path } from '../config/environment.ts';
import { type Origin, originOf } from '../config/origins.ts';
import { createScrubber, secretsOf } from '../config/scrub.ts';
import type { AlertWay, ChainConfig, Config, ProviderConfig } from '../config.ts';
import { writeAddress } from '../core/address.ts';

/** One setting as it is in effect: its place in the configuration, its value for people, and who has said it. */
export type Setting = { path: string; value: string; origin: Origin['from']; variables: string[] };

const hidden = '[hidden]';

/**
 * The configuration as it is in effect, each setting by its place in the file, defaults included and nothing in it that
 * gives access: what may be shown is named here, and of URLs only hosts are left.
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
    adminToken: hidden,
    payments: config.payments,
    rates: { ...shownRates, fiat: shownFiat(fiat) },
    chains: Object.fromEntries(Object.entries(chains).map(([name, chain]) => [name, shownChain(chain)])),
    providers: Object.fromEntries(
      Object.entries(providers).map(([name, provider]) => [name, shownProvider(provider)]),
    ),
    webhooks: { ...shownWebhooks, secretKey: secretKey === null ? 'in a file' : hidden },
    alerts: { to: alerts.to.map(describeWay), mute: alerts.mute },
    api: config.api,
    checkout: config.checkout,
    log: config.log,
  };
  // A second net under the first: whatever is known to give access is in none of them.
  const scrub = createScrubber(secretsOf(config));
  return flatten([], shown).map(({ path, value }) => {
    const place = formatPath(path);
    const { from, variables } = originOf(config.origins, place);
    return { path: place, value: scrub(value), origin: from, variables: [...variables] };
  });
}

function shownChain(config: ChainConfig) {
  const {
    network: _network,
    livemode: _livemode,
    rpc,
    requiredConfirmations,
    assets,
    native,
    ...chain
  } = config;
  return {
    ...chain,
    confirmations: requiredConfirmations,
    rpc: rpc.map(({ url }) => new URL(url).host),
    native: `${native.coin}, ${assets.some(({ token }) => token === 'native') ? 'taken' : 'not taken'}`,
    tokens: assets.flatMap(({ currency, token }) =>
      token === 'native' ? [] : [`${currency} (${writeAddress(chain.family, token)})`],
    ),
  };
}

function shownFiat({ sources, maxAgeSeconds, openexchangeratesAppId }: Config['rates']['fiat']) {
  return {
    sources,
    maxAgeSeconds,
    ...(openexchangeratesAppId === null ? {} : { openexchangeratesAppId: hidden }),
  };
}

function shownProvider({
  type,
  label,
  enabled,
  merchants,
  timeoutSeconds,
  settings,
  secrets,
}: ProviderConfig) {
  const own = Object.entries(settings).filter(([, value]) => value !== undefined);
  return {
    type,
    label,
    enabled,
    merchants: merchants ?? 'all',
    timeoutSeconds,
    ...Object.fromEntries(
      own.map(([key, value]) => [key, secrets.includes(value as string) ? hidden : value]),
    ),
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

function flatten(path: Path, value: unknown): { path: Path; value: string }[] {
  if (Array.isArray(value)) {
    const texts = value.map((one) => (typeof one === 'object' ? JSON.stringify(one) : String(one)));
    return [{ path, value: texts.join(', ') || 'none' }];
  }
  if (typeof value !== 'object' || value === null) return [{ path, value: String(value ?? 'none') }];
  return Object.entries(value).flatMap(([key, inner]) => flatten([...path, key], inner));
}
