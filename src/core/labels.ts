import { privateKeyIn, privateKeyRefusal } from './private-keys.ts';

/** Longest name of a merchant and label of an address, in characters. */
export const longestLabel = 200;

const controlCharacters = /[\p{Cc}\p{Cs}\u2028\u2029]/u;

/** What is wrong with a name or label that an operator gave, or null. It will stand in logs and tables. */
export function labelFault(text: string): string | null {
  const secret = privateKeyIn(text);
  if (secret !== null) return privateKeyRefusal(secret);
  if (text.length > longestLabel) return `at most ${longestLabel} characters are allowed`;
  if (controlCharacters.test(text)) return 'line breaks and control characters are not allowed';
  return null;
}
