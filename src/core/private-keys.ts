/*
 * depositd needs no private key and must never hold one. People paste them all the same, into whatever field
 * takes a long text: these are recognised, refused and not repeated.
 */

const base58 = '[1-9A-HJ-NP-Za-km-z]';

const extendedPrivateKey = new RegExp(`[xyztuvYZUV]prv${base58}{20,}`);
/** 32 bytes. A transaction's hash looks the same, and belongs just as little where addresses are listed. */
const privateKey = /(?<![0-9a-fA-F])(0[xX])?[0-9a-fA-F]{64}(?![0-9a-fA-F])/;
/** Bitcoin's wallet import format. */
const walletImport = new RegExp(`(?<!${base58})([5KL]${base58}{50,51})(?!${base58})`);
/** BIP-39: 12, 15, 18, 21 or 24 words of 3 to 8 letters. Hardly a sentence: those have short words and points. */
const seedPhrase = /^[a-z]{3,8}(?:[\s,]+[a-z]{3,8}){11,23}$/;
const seedLengths: ReadonlySet<number> = new Set([12, 15, 18, 21, 24]);

/** What a text gives away if it stands for what it looks like; null for any other text. */
export function privateKeyIn(text: string): 'a private key' | 'a seed phrase' | null {
  if (extendedPrivateKey.test(text) || privateKey.test(text) || walletImport.test(text))
    return 'a private key';
  const words = text.trim().toLowerCase();
  if (seedPhrase.test(words) && seedLengths.has(words.split(/[\s,]+/).length)) return 'a seed phrase';
  return null;
}

/** What to answer whoever gave it. */
export function privateKeyRefusal(kind: 'a private key' | 'a seed phrase'): string {
  return `this looks like ${kind}: depositd needs none and has not kept it; treat it as exposed where you pasted it`;
}
