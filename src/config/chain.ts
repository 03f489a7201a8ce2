import type { ChainConfig, RpcEndpoint } from '../config.ts';
import { parseAddress } from '../core/address.ts';
import { type Asset, canonicalTokens, currencies, nativeCoin } from '../core/assets.ts';
import { type Network, networks } from '../core/networks.ts';
import type { ChainFile } from './schema.ts';
import { decodePercent } from './scrub.ts';

/** Fills in what the file leaves to the program, and finds the faults that only entries together make. */
export function chainConfig(network: Network, file: ChainFile): { chain: ChainConfig; faults: string[] } {
  const chain: ChainConfig = {
    network,
    rpc: file.rpc.map((endpoint) => rpcEndpoint(endpoint, file.headers)),
    chainId: file.chainId,
    requiredConfirmations: file.confirmations,
    finality: file.finality,
    pollSeconds: file.pollSeconds,
    idlePollSeconds: file.idlePollSeconds,
    recheckSeconds: file.recheckSeconds,
    assets: assets(network, file),
    startBlock: file.startBlock,
  };
  return { chain, faults: [...doubledNodes(chain), ...assetFaults(chain)] };
}

function rpcEndpoint(entry: ChainFile['rpc'][number], chainHeaders: Record<string, string>): RpcEndpoint {
  const endpoint = typeof entry === 'string' ? { url: entry } : entry;
  const url = new URL(endpoint.url);
  const headers: Record<string, string> = {};
  if (url.username !== '' || url.password !== '') {
    const pair = `${decodePercent(url.username)}:${decodePercent(url.password)}`;
    headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
    url.username = '';
    url.password = '';
  }
  // Header names are the same in any letter case; what is said for the node alone wins.
  for (const [name, value] of Object.entries({
    ...lowerCase(chainHeaders),
    ...lowerCase(endpoint.headers ?? {}),
  })) {
    headers[name] = value;
  }
  return {
    url: url.href,
    headers,
    requestsPerSecond: endpoint.requestsPerSecond ?? null,
    maxLogRange: endpoint.maxLogRange ?? null,
    wsUrl: endpoint.wsUrl ?? null,
  };
}

function lowerCase(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function assets(network: Network, file: ChainFile): Asset[] {
  return currencies.flatMap((currency): Asset[] => {
    if (currency === 'native') {
      return file.native ? [{ network, currency, token: null, ...nativeCoin[network] }] : [];
    }
    const choice = file.tokens[currency];
    const token = choice === true ? canonicalTokens[network][currency] : choice;
    if (token === false || token === undefined) return [];
    return [{ network, currency, coin: currency, token: token.address, decimals: token.decimals }];
  });
}

function doubledNodes(chain: ChainConfig): string[] {
  return chain.rpc.flatMap((endpoint, index) => {
    const first = chain.rpc.findIndex((other) => other.url === endpoint.url);
    const where = `chains.${chain.network}.rpc`;
    return first < index ? [`${where}[${index}]: the same node as ${where}[${first}]; keep one`] : [];
  });
}

function assetFaults(chain: ChainConfig): string[] {
  const where = `chains.${chain.network}`;
  if (chain.assets.length === 0) {
    return [
      `${where}: nothing can be paid, all tokens and the native coin are off; turn one on or remove the entry`,
    ];
  }
  const keys = chain.assets.map((asset) => tokenKey(chain.network, asset.token));
  return chain.assets.flatMap((asset, index) => {
    const first = keys.indexOf(keys[index] ?? null);
    if (first === index || asset.token === null) return [];
    return [
      `${where}.tokens.${asset.currency}: the same contract as ${chain.assets[first]?.currency}; expected another`,
    ];
  });
}

function tokenKey(network: Network, token: string | null): string | null {
  if (token === null) return null;
  const parsed = parseAddress(networks[network].family, token);
  return 'error' in parsed ? null : parsed.key;
}
