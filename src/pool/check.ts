import type { Config } from '../config.ts';
import { type Address, type AddressKey, parseAddress } from '../core/address.ts';
import { type Currency, parseCurrency } from '../core/assets.ts';
import { knownChain, knownChains } from '../core/chains/known.ts';
import { labelFault } from '../core/labels.ts';
import { type ChainFamily, type Network, parseNetwork } from '../core/networks.ts';
import { privateKeyIn, privateKeyRefusal } from '../core/private-keys.ts';
import { readAddressText } from './address-text.ts';

/** One address as somebody wrote it: nothing in it has been checked. */
export type AddressRow = { network: string; address: string; currency: string; label: string };

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
  offered: ReadonlyMap<Network, { family: ChainFamily; currencies: ReadonlySet<Currency> }>;
  /** Contracts of known tokens, by key: nobody holds a key to these. */
  tokens: ReadonlyMap<AddressKey, Currency>;
};

export function addressRules(config: Pick<Config, 'chains'>): AddressRules {
  const offered: Map<Network, { family: ChainFamily; currencies: ReadonlySet<Currency> }> = new Map();
  const tokens = new Map<AddressKey, Currency>();
  for (const { family, tokens: known } of Object.values(knownChains)) {
    for (const [currency, { address }] of Object.entries(known)) {
      const parsed = parseAddress(family, address);
      if (!('error' in parsed)) tokens.set(parsed.key, currency as Currency);
    }
  }
  for (const chain of Object.values(config.chains)) {
    for (const { token, currency } of chain.assets) if (token !== 'native') tokens.set(token, currency);
    const currencies = new Set(chain.assets.map((asset) => asset.currency));
    offered.set(chain.network, { family: chain.family, currencies });
  }
  return { offered, tokens };
}

/** Checks everything about a row that can be known without the database. */
export function checkAddressRow(rules: AddressRules, row: AddressRow): CheckedAddress | { error: string } {
  const texts = [row.address, row.label, row.network, row.currency];
  const secret = texts.map(privateKeyIn).find((kind) => kind !== null);
  if (secret != null) return { error: privateKeyRefusal(secret) };

  const network = parseNetwork(row.network);
  const chain = network === null ? undefined : rules.offered.get(network);
  if (network === null || chain === undefined) {
    if (network !== null && knownChain(network) !== null) {
      return { error: `${network} is off: the configuration has no chains.${network}` };
    }
    const unknown = /^[0-9]+$/.test(row.network)
      ? `no chain in the configuration has the id ${quote(row.network)}`
      : `unknown network ${quote(row.network)}`;
    return { error: `${unknown}; expected ${listing([...rules.offered.keys()])}` };
  }
  const offered = chain.currencies;

  const currency = row.currency === '' ? null : parseCurrency(row.currency);
  if (row.currency !== '' && (currency === null || !offered.has(currency))) {
    return {
      error: `${quote(row.currency)} cannot be paid on ${network}; expected ${listing([...offered])}, or none for all`,
    };
  }

  const parsed = readAddressText({ network, family: chain.family }, row.address);
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
