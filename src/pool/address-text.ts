import { type ParsedAddress, parseAddress } from '../core/address.ts';
import { knownChain, knownChains } from '../core/chains/known.ts';
import type { ChainFamily, Network } from '../core/networks.ts';

/** `hasChecksum`: one wrong character would have been noticed. */
export type ReadAddress = ParsedAddress & { hasChecksum: boolean };

const visible = /^[!-~]$/;
const unseen = /^[\p{C}\p{Z}\p{M}\u115f\u1160\u3164]$/u;

/**
 * Reads a receive address as people paste it: behind the apostrophe with which spreadsheets mark text, or the
 * short name of its chain (`bnb:0x…`, EIP-3770), which must fit. What only looks like an address is named.
 */
export function readAddressText(
  { network, family }: { network: Network; family: ChainFamily },
  text: string,
): ReadAddress | { error: string } {
  const pasted = text.trim().replace(/^'/, '');
  if (/^[^\s:]+\.[a-z]{2,}$/iu.test(pasted)) {
    return { error: 'this is a name (ENS); expected the address that it stands for' };
  }
  const foreign = foreignCharacter(pasted);
  if (foreign !== null) return { error: foreign };
  const prefix = /^([a-z0-9-]+):/i.exec(pasted)?.[1]?.toLowerCase();
  if (prefix !== undefined && prefix !== knownChain(network)?.shortName) {
    return { error: prefixFault(prefix, network) };
  }
  const written = prefix === undefined ? pasted : pasted.slice(prefix.length + 1);
  const parsed = parseAddress(family, written);
  if ('error' in parsed) return family === 'evm' ? { error: evmFault(written) ?? parsed.error } : parsed;
  return { ...parsed, hasChecksum: parsed.address === written };
}

function foreignCharacter(text: string): string | null {
  const index = Array.from(text).findIndex((character) => !visible.test(character));
  if (index === -1) return null;
  const character = Array.from(text)[index] as string;
  const code = `U+${(character.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0')}`;
  if (character === ' ') return 'not an address: there is a space in it';
  return unseen.test(character)
    ? `character ${index + 1} is invisible (${code}): copy the address again`
    : `character ${index + 1} is ${character} (${code}), which no address has: copy the address again`;
}

function prefixFault(prefix: string, network: Network): string {
  const owner = Object.values(knownChains).find(({ shortName }) => shortName === prefix);
  const shortName = knownChain(network)?.shortName ?? null;
  const expected = shortName === null ? 'none' : `${shortName}: or none`;
  return `the prefix ${prefix.slice(0, 20)}: is ${owner === undefined ? 'unknown' : `that of ${owner.network}`}; expected ${expected} on ${network}`;
}

/** More than that it is not one, where more can be said. */
function evmFault(text: string): string | null {
  if (/^XE[0-9]{2}[0-9A-Z]{16,31}$/i.test(text))
    return 'this is an ICAP address; expected 0x and 40 hex digits';
  if (/^[0-9a-f]{40}$/i.test(text)) return 'not an address: the 0x in front of it is missing';
  const digits = /^0x([0-9a-f]*)$/i.exec(text)?.[1];
  if (digits === undefined || digits.length === 40) return null;
  return `not an address: ${digits.length} hex digits after 0x where 40 are expected`;
}
