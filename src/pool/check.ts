import type { Config } from '../config.ts';
import { type Address, type AddressKey, parseAddress } from '../core/address.ts';
import { type Currency, canonicalTokens, currencies } from '../core/assets.ts';
import { labelFault } from '../core/labels.ts';
import { type Network, networkNames, networks } from '../core/networks.ts';
import { privateKeyIn, privateKeyRefusal } from '../core/private-keys.ts';
import { readAddressText } from './address-text.ts';
import type { AddressRow } from './import.ts';

/** A row that is right in itself; whether somebody has the address already only the database knows. */
export type CheckedAddress = {
  network: Network;
  address: Address;
  key: AddressKey;
  currency: Currency | null;
  label: string;
  source: 'static';
  /** Without one, a wrong digit cannot be noticed. */
  hasChecksum: boolean;
};

/** What the configuration says about addresses, looked up quickly. */
export type AddressRules = {
  /** What can be paid with on each network that is on. */
  offered: ReadonlyMap<Network, ReadonlySet<Currency>>;
  /** Contracts of known tokens, by key: nobody holds a key to these. */
  tokens: ReadonlyMap<AddressKey, Currency>;
};

export function addressRules(config: Pick<Config, 'chains'>): AddressRules {
  const offered = new Map<Network, ReadonlySet<Currency>>();
  const tokens = new Map<AddressKey, Currency>();
  const note = (network: Network, currency: Currency, contract: string | null) => {
    const parsed = contract === null ? null : parseAddress(networks[network].family, contract);
    if (parsed !== null && !('error' in parsed)) tokens.set(parsed.key, currency);
  };
  for (const network of networkNames) {
    for (const currency of currencies) {
      if (currency !== 'native') note(network, currency, canonicalTokens[network][currency]?.address ?? null);
    }
    const chain = config.chains[network];
    if (chain === undefined) continue;
    for (const asset of chain.assets) note(network, asset.currency, asset.token);
    offered.set(network, new Set(chain.assets.map((asset) => asset.currency)));
  }
  return { offered, tokens };
}

/** Checks everything about a row that can be known without the database. */
export function checkAddressRow(rules: AddressRules, row: AddressRow): CheckedAddress | { error: string } {
  const texts = [row.address, row.label, row.network, row.currency];
  const secret = texts.map(privateKeyIn).find((kind) => kind !== null);
  if (secret != null) return { error: privateKeyRefusal(secret) };

  const network = networkNames.find((name) => name === row.network);
  if (network === undefined) {
    return { error: `unknown network ${quote(row.network)}; expected ${listing(networkNames)}` };
  }
  const offered = rules.offered.get(network);
  if (offered === undefined)
    return { error: `${network} is off: the configuration has no chains.${network}` };

  const currency = row.currency === '' ? null : currencies.find((name) => name === row.currency);
  if (currency === undefined || (currency !== null && !offered.has(currency))) {
    return {
      error: `${quote(row.currency)} cannot be paid on ${network}; expected ${listing([...offered])}, or none for all`,
    };
  }

  const parsed = readAddressText(network, row.address);
  if ('error' in parsed) return parsed;
  const token = rules.tokens.get(parsed.key);
  if (token !== undefined) return { error: `this is the ${token} token contract, not an address of yours` };

  const fault = labelFault(row.label);
  if (fault !== null) return { error: `label: ${fault}` };
  return { network, ...parsed, currency, label: row.label, source: 'static' };
}

function listing(names: readonly string[]): string {
  return names.length === 0 ? 'nothing' : names.join(', ');
}

/** What somebody wrote, short enough for a message. */
function quote(text: string): string {
  return JSON.stringify(text.length > 20 ? `${text.slice(0, 20)}…` : text);
}
