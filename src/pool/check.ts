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

  const purpose = readPurpose(rules, row);
  if ('error' in purpose) return purpose;
  const { network, family, currency } = purpose;
  const parsed = readAddressText({ network, family }, row.address);
  if ('error' in parsed) return parsed;
  const token = rules.tokens.get(parsed.key);
  if (token !== undefined) return { error: `this is the ${token} token contract, not an address of yours` };

  const fault = labelFault(row.label);
  if (fault !== null) return { error: `label: ${fault}` };
  return { network, ...parsed, currency, label: row.label, source: 'static' };
}

/** The network and the currency (null: all) that an address, or a key to derive some from, is meant for. */
export function readPurpose(
  rules: AddressRules,
  given: { network: string; currency: string },
):
  | { network: Network; family: ChainFamily; currency: Currency | null }
  | { error: string; field: 'network' | 'currency' } {
  const network = parseNetwork(given.network);
  const chain = network === null ? undefined : rules.offered.get(network);
  if (network === null || chain === undefined)
    return { field: 'network', error: networkFault(rules, given.network) };
  const { family, currencies } = chain;
  if (given.currency === '') return { network, family, currency: null };
  const currency = parseCurrency(given.currency);
  if (currency !== null && currencies.has(currency)) return { network, family, currency };
  return {
    field: 'currency',
    error: `${quote(given.currency)} cannot be paid on ${network}; expected ${listing([...currencies])}, or none for all`,
  };
}

function networkFault({ offered }: AddressRules, text: string): string {
  const network = parseNetwork(text);
  if (network !== null && knownChain(network) !== null) {
    return `${network} is off: the configuration has no chains.${network}`;
  }
  const unknown = /^[0-9]+$/.test(text)
    ? `no chain in the configuration has the id ${quote(text)}`
    : `unknown network ${quote(text)}`;
  return `${unknown}; expected ${listing([...offered.keys()])}`;
}

function listing(names: readonly string[]): string {
  return names.length === 0 ? 'nothing' : names.join(', ');
}

/** What somebody wrote, short enough for a message. */
function quote(text: string): string {
  return JSON.stringify(text.length > 20 ? `${text.slice(0, 20)}…` : text);
}
