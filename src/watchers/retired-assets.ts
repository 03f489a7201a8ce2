import type { ChainConfig, Config } from '../config.ts';
import { writeAddress } from '../core/address.ts';
import { counted } from '../core/plural.ts';
import { ConfigError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { type AssetInUse, listAssetsInUse } from '../storage/payments/assets-in-use.ts';
import type { Db } from '../storage/schema.ts';
import { withoutRate } from './assets-in-use.ts';

const dayMs = 24 * 60 * 60 * 1000;

/**
 * The chains as they must be watched: with what can be paid, and with every token that was switched off while payments
 * in it are open or ended a short while ago. Their customers may have sent it already.
 *
 * @throws ConfigError where that cannot be: a chain was removed, or a token is another contract, under open payments.
 */
export async function chainsToWatch(
  db: Db,
  config: Pick<Config, 'chains' | 'payments'>,
  { now, log }: { now: number; log: Logger },
): Promise<ChainConfig[]> {
  const inUse = await listAssetsInUse(db, now - config.payments.watchRetiredDays * dayMs);
  const faults = [...removedChains(inUse, config), ...inUse.flatMap((one) => movedToken(one, config))];
  if (faults.length > 0) throw new ConfigError(faults);
  return Object.values(config.chains).map((chain) => {
    const retired = inUse.filter((one) => one.network === chain.network && !isOffered(one, chain));
    for (const { currency, open } of retired) {
      log.warn({ network: chain.network, currency, open_payments: open }, 'token still watched');
    }
    return {
      ...chain,
      assets: [...chain.assets, ...retired.map(({ open, ...asset }) => withoutRate(asset))],
    };
  });
}

function removedChains(inUse: readonly AssetInUse[], { chains }: Pick<Config, 'chains'>): string[] {
  const removed = Map.groupBy(
    inUse.filter(({ network, open }) => chains[network] === undefined && open > 0),
    ({ network }) => network,
  );
  return [...removed].map(([network, assets]) => {
    const open = assets.reduce((sum, one) => sum + one.open, 0);
    return `chains.${network}: missing, though ${payments(open)} on it; keep it with "enabled": false until they have ended`;
  });
}

/** A token whose name stands for another contract now. */
function movedToken(one: AssetInUse, { chains }: Pick<Config, 'chains'>): string[] {
  const chain = chains[one.network];
  if (chain === undefined || one.open === 0 || one.token === 'native' || isOffered(one, chain)) return [];
  const now = chain.assets.find(({ currency }) => currency === one.currency);
  if (now === undefined) return [];
  const contract = writeAddress(chain.family, one.token);
  return [
    `chains.${one.network}.tokens.${one.currency}: another contract, though ${payments(one.open)} in ${contract} (${counted(one.decimals, 'decimal')}); keep that, or turn it off, until they have ended`,
  ];
}

function payments(open: number): string {
  return `${counted(open, 'payment')} ${open === 1 ? 'is' : 'are'} open`;
}

function isOffered({ token, currency, decimals }: AssetInUse, chain: ChainConfig): boolean {
  return chain.assets.some(
    (asset) => asset.token === token && asset.currency === currency && asset.decimals === decimals,
  );
}
