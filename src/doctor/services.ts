import type { Clock } from '../clock.ts';
import { createScrubber } from '../config/scrub.ts';
import type { Config } from '../config.ts';
import { systemSleep } from '../loop.ts';
import { createOutbound } from '../outbound.ts';
import { adapters } from '../providers/adapters.ts';
import { createProviderClient } from '../providers/client.ts';
import type { Call, Provider, Result } from '../providers/provider.ts';
import { programVersion } from '../version.ts';
import { type Finding, findingsOf } from './finding.ts';

const dayMs = 24 * 3_600_000;

/** What the price sources said of every coin. `usd` is null where it has no price, `fault` says why. */
export type AskedPrices = {
  prices: readonly { coin: string; usd: string | null; sources: readonly string[]; fault: string | null }[];
  silentSources: readonly { name: string; fault: string }[];
};

export function judgePrices({ prices, silentSources }: AskedPrices): Finding[] {
  const silent = silentSources.map(({ name, fault }) => `${name}: ${fault}`).join('; ');
  const why = silent === '' ? '' : ` (${silent})`;
  return prices.map(({ coin, usd, sources, fault }) => {
    const { well, warning, danger } = findingsOf('prices', coin, {
      money: 'no payment can be made in it',
      todo: 'look at rates.sources, and whether this machine can reach them',
    });
    if (usd === null) return danger(`it has no price: ${fault ?? 'no source has one'}${why}`);
    const found = `${usd} USD, from ${sources.join(', ')}`;
    const isAlone = sources.length === 1 && !sources.includes('fixed') && silent !== '';
    const other = { money: 'one wrong source sells too cheap', todo: 'see that others answer' };
    return isAlone ? warning(`${found} alone${why}`, other) : well(found);
  });
}

/** Asks each provider something that only who has its keys is told, and that changes nothing. */
export async function checkProviders(
  config: Pick<Config, 'providers' | 'webhooks'>,
  clock: Clock,
): Promise<Finding[]> {
  const enabled = Object.values(config.providers).filter((provider) => provider.enabled);
  if (enabled.length === 0) return [];
  const outbound = createOutbound({
    allowHosts: config.webhooks.allowHosts,
    userAgent: `depositd/${programVersion()}`,
  });
  try {
    return await Promise.all(
      enabled.map(async (entry) => {
        const findings = findingsOf('provider', entry.name, {
          money: 'no payment by it can be made, and none that was made is followed',
          todo: `compare providers.${entry.name} with what the provider's dashboard shows`,
        });
        const provider = adapters.find(({ type }) => type === entry.type)?.open(entry.settings);
        const call = provider === undefined ? null : harmlessCall(provider, clock());
        if (provider === undefined || call === null) return findings.well('it has nothing that can be asked');
        const { descriptor, mode } = provider;
        const client = createProviderClient({
          outbound,
          baseUrl: (entry.baseUrl ?? descriptor.baseUrl).replace(/\/+$/, ''),
          requestsPerSecond: descriptor.requestsPerSecond[mode],
          timeoutMs: entry.timeoutSeconds * 1000,
          scrub: createScrubber(entry.secrets),
          observe: () => {},
          clock,
          sleep: systemSleep,
        });
        return judge(await client.call(call), findings);
      }),
    );
  } finally {
    await outbound.close();
  }
}

function harmlessCall(provider: Provider, now: number): Call<unknown> | null {
  return (
    provider.balance?.() ??
    provider.readWebhookConfig?.() ??
    provider.list?.(now - dayMs, null) ??
    provider.methods?.() ??
    null
  );
}

function judge(result: Result<unknown>, { well, warning, danger }: ReturnType<typeof findingsOf>): Finding {
  switch (result.outcome) {
    case 'done':
    case 'declined':
    case 'not_found':
      return well('it answers, and takes our keys');
    case 'rejected':
      return danger(`it does not take our keys: ${result.reason}`);
    case 'limited':
      return warning('it asks to be left alone for a while (HTTP 429)', { todo: 'ask again later' });
    case 'not_sent':
      return danger(result.reason, { todo: 'look at the network and at baseUrl' });
    case 'unknown':
      return warning(result.reason, { todo: 'ask again later' });
    default:
      return result satisfies never;
  }
}
