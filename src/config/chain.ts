import type { ChainConfig, RpcEndpoint } from '../config.ts';
import { parseAddress } from '../core/address.ts';
import { type Asset, type CoinRate, knownCoins, parseCoin, parseCurrency } from '../core/assets.ts';
import { splitCredentials } from '../core/basic-auth.ts';
import { type KnownChain, knownChain, knownChains } from '../core/chains/known.ts';
import { type ChainFamily, type Network, parseNetwork } from '../core/networks.ts';
import type { CustomChainFile, KnownChainFile, RateFile } from './schema.ts';

type ChainFile = KnownChainFile | CustomChainFile;
type TokenFile = CustomChainFile['tokens'][string];

/** Of a chain that the program does not know nobody can say how fast it is. */
const unknownPace = { stallSeconds: 60, finalityStallSeconds: 60 * 60 };

/** Fills in what the file leaves to the program, and finds the faults that only entries together make. */
export function chainConfig(
  name: string,
  file: ChainFile,
  sandbox: boolean,
): { chain: ChainConfig | null; faults: string[] } {
  const network = parseNetwork(name);
  if (network === null) {
    return {
      chain: null,
      faults: [`chains.${name}: expected a name of lower-case letters, digits and dashes`],
    };
  }
  const described = 'family' in file ? describedChain(network, file) : knownChainConfig(network, file);
  const chain = { ...described, livemode: !sandbox };
  const faults = [
    nameFaults(file, network),
    doubledNodes(chain),
    sandboxFaults(chain),
    tierFaults(chain),
    assetFaults(chain),
  ];
  return { chain, faults: faults.flat() };
}

type Described = Omit<ChainConfig, 'livemode'>;

function knownChainConfig(network: Network, file: KnownChainFile): Described {
  const known = knownChain(network) as KnownChain;
  const native = { ...known.native, rate: knownCoins[known.native.coin] };
  const tokens = Object.entries(file.tokens).flatMap(([name, choice]): [string, TokenFile][] => {
    const own = known.tokens[name as keyof KnownChain['tokens']];
    if (choice === true && own !== undefined) return [[name, { ...own, rate: 'usd' }]];
    if (typeof choice === 'boolean') return [];
    return [[name, { ...choice, rate: choice.rate ?? 'usd' }]];
  });
  return {
    ...commonConfig(network, file),
    name: known.name,
    family: known.family,
    stallSeconds: known.stallSeconds,
    finalityStallSeconds: known.finalityStallSeconds,
    native,
    assets: assetsOf(network, known.family, tokens, file.native ? native : null),
  };
}

function describedChain(network: Network, file: CustomChainFile): Described {
  const { symbol, decimals, rate, enabled } = file.native;
  const coin = parseCoin(symbol.toLowerCase()) as Asset['coin'];
  const native = { coin, decimals, rate: rateOf(coin, rate) };
  return {
    ...commonConfig(network, file),
    ...unknownPace,
    name: file.name,
    family: file.family,
    native,
    assets: assetsOf(network, file.family, Object.entries(file.tokens), enabled ? native : null),
  };
}

function commonConfig(network: Network, file: ChainFile) {
  return {
    network,
    enabled: file.enabled,
    rpc: file.rpc.map((endpoint) => rpcEndpoint(endpoint, file.headers)),
    chainId: file.chainId,
    requiredConfirmations: file.confirmations,
    finality: file.finality,
    confirmationTiers: file.confirmationTiers,
    pollSeconds: file.pollSeconds,
    idlePollSeconds: file.idlePollSeconds,
    recheckSeconds: file.recheckSeconds,
    secondNodeWaitSeconds: file.secondNodeWaitSeconds,
    feeClass: file.feeClass,
    startBlock: file.startBlock,
    internalTransfers: 'internalTransfers' in file && file.internalTransfers,
  };
}

/** How often a chain is polled at the slowest, seconds: while no address is in use, nothing waits for it. */
export function slowestPollSeconds({ pollSeconds, idlePollSeconds }: ChainConfig): number {
  return Math.max(pollSeconds, idlePollSeconds, Math.min(60, 4 * idlePollSeconds));
}

/** Time between two second readings, ms: eight times as long while no address is in use. */
export function recheckPaceMs({ recheckSeconds }: ChainConfig, noneInUse: boolean): number {
  return recheckSeconds * 1000 * (noneInUse ? 8 : 1);
}

function rpcEndpoint(entry: ChainFile['rpc'][number], chainHeaders: Record<string, string>): RpcEndpoint {
  const endpoint = typeof entry === 'string' ? { url: entry } : entry;
  const { url, headers } = splitCredentials(endpoint.url);
  // Header names are the same in any letter case; what is said for the node alone wins.
  for (const [name, value] of Object.entries({
    ...lowerCase(chainHeaders),
    ...lowerCase(endpoint.headers ?? {}),
  })) {
    headers[name] = value;
  }
  return {
    url,
    headers,
    requestsPerSecond: endpoint.requestsPerSecond ?? null,
    requestsPerDay: endpoint.requestsPerDay ?? null,
    maxLogRange: ('maxLogRange' in endpoint ? endpoint.maxLogRange : undefined) ?? null,
    wsUrl: ('wsUrl' in endpoint ? endpoint.wsUrl : undefined) ?? null,
    solidityUrl: ('solidityUrl' in endpoint ? endpoint.solidityUrl : undefined) ?? null,
  };
}

function lowerCase(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function assetsOf(
  network: Network,
  family: ChainFamily,
  tokens: readonly [string, TokenFile][],
  native: ChainConfig['native'] | null,
): Asset[] {
  const assets = tokens.flatMap(([name, { address, decimals, rate }]): Asset[] => {
    const currency = parseCurrency(name);
    const coin = parseCoin(name);
    const parsed = parseAddress(family, address);
    if (currency === null || coin === null || 'error' in parsed) return [];
    return [{ network, currency, coin, rate: rateOf(coin, rate), token: parsed.key, decimals }];
  });
  return native === null ? assets : [...assets, { network, currency: 'native', token: 'native', ...native }];
}

/** Of a coin that the program knows, "usd" says no more than it knows. */
function rateOf(coin: string, rate: RateFile): CoinRate {
  const known = Object.hasOwn(knownCoins, coin) ? knownCoins[coin as keyof typeof knownCoins] : null;
  if (typeof rate !== 'string') return { peg: known?.peg ?? null, symbols: withoutUndefined(rate) };
  return known?.peg === rate ? known : { peg: rate, symbols: {} };
}

function withoutUndefined(symbols: Exclude<RateFile, string>): CoinRate['symbols'] {
  return Object.fromEntries(Object.entries(symbols).filter(([, symbol]) => symbol !== undefined));
}

/** The name of a token is a currency, beside `native`. */
function nameFaults(file: ChainFile, network: Network): string[] {
  return Object.keys(file.tokens)
    .filter((name) => name === 'native' || parseCurrency(name) === null)
    .map(
      (name) =>
        `chains.${network}.tokens.${name}: expected a name of up to 20 lower-case letters, digits, dots and dashes other than "native"`,
    );
}

/** A sandbox takes its money from chains of its own: what a public network moves is worth something. */
function sandboxFaults({ livemode, network, chainId, rpc }: ChainConfig): string[] {
  const isPublic = Object.values(knownChains).some((known) => known.chainId === chainId);
  if (livemode || !isPublic) return [];
  return rpc.flatMap(({ url }, index) => {
    const { hostname, host } = new URL(url);
    return isLoopback(hostname)
      ? []
      : [
          `chains.${network}.rpc[${index}]: ${host} may be the public network with the chain id ${chainId}; a sandbox takes that id only from a node on this machine, or another chainId`,
        ];
  });
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

function doubledNodes(chain: ChainConfig): string[] {
  return chain.rpc.flatMap((endpoint, index) => {
    const first = chain.rpc.findIndex((other) => other.url === endpoint.url);
    const where = `chains.${chain.network}.rpc`;
    return first < index ? [`${where}[${index}]: the same node as ${where}[${first}]; keep one`] : [];
  });
}

/** A larger amount never needs less, and no tier more than what has none. */
function tierFaults({ network, requiredConfirmations, confirmationTiers }: ChainConfig): string[] {
  return confirmationTiers.flatMap((tier, index) => {
    const where = `chains.${network}.confirmationTiers[${index}]`;
    const before = confirmationTiers[index - 1];
    const faults: string[] = [];
    if (before !== undefined && tier.upToUsdCents <= before.upToUsdCents)
      faults.push(
        `${where}.upToUsdCents: found ${tier.upToUsdCents}; expected more than the ${before.upToUsdCents} of the tier before`,
      );
    if (before !== undefined && tier.confirmations <= before.confirmations)
      faults.push(
        `${where}.confirmations: found ${tier.confirmations}; expected more than the ${before.confirmations} of the tier before`,
      );
    if (tier.confirmations > requiredConfirmations)
      faults.push(
        `${where}.confirmations: found ${tier.confirmations}; expected at most the ${requiredConfirmations} of the chain`,
      );
    return faults;
  });
}

function assetFaults(chain: ChainConfig): string[] {
  const where = `chains.${chain.network}`;
  if (chain.assets.length === 0) {
    return [
      `${where}: nothing can be paid, all tokens and the native coin are off; turn one on or remove the entry`,
    ];
  }
  const keys = chain.assets.map(({ token }) => token);
  return chain.assets.flatMap((asset, index) => {
    const first = keys.indexOf(asset.token);
    if (first === index) return [];
    return [
      `${where}.tokens.${asset.currency}: the same contract as ${chain.assets[first]?.currency}; expected another`,
    ];
  });
}
