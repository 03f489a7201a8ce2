const keyBytes = 32;

/** Of 32 random bytes fewer than this many different ones is not chance but a text such as 000…0. */
const leastDifferent = 8;

/** The key that seals webhook secrets, written as 64 hex digits or in base64; null when `text` is neither, or no random key. */
export function parseSecretKey(text: string): Uint8Array | null {
  const key = /^[0-9a-fA-F]{64}$/.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64');
  const isBase64 = key.toString('base64') === text;
  if (key.length !== keyBytes || (!isBase64 && key.toString('hex') !== text.toLowerCase())) return null;
  return new Set(key).size < leastDifferent ? null : key;
}
