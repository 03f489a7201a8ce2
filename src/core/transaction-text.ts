import type { TxHash } from './chain.ts';
import type { ChainFamily } from './networks.ts';

/** Longer than any explorer's link. */
const longestText = 2_000;

/** 64 hex digits by themselves, with or without `0x`. */
const hashPattern = /(?<![0-9a-z])(?:0x)?([0-9a-f]{64})(?![0-9a-z])/gi;

/**
 * The transaction that somebody names by its hash or by a link of an explorer, as chains of this family print it. Null for
 * anything else, also where more than one is named: nothing is guessed.
 */
export function parseTransactionText(family: ChainFamily, text: string): TxHash | null {
  if (text.length > longestText) return null;
  const hashes = new Set([...text.matchAll(hashPattern)].map(([, digits = '']) => digits.toLowerCase()));
  const [hash, ...others] = hashes;
  if (hash === undefined || others.length > 0) return null;
  // TRON's hashes are written without 0x, and all others with it.
  return (family === 'tron' ? hash : `0x${hash}`) as TxHash;
}
