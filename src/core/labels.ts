import { privateKeyIn, privateKeyRefusal } from './private-keys.ts';

/** Longest name of a merchant and label of an address, in characters. */
const longestLabel = 200;

/** Also those that turn the direction of what follows: they make a name look like another. */
const controlCharacters = /[\p{Cc}\p{Cs}\u2028-\u202e\u2066-\u2069]/u;

/** Whether a text may be stored as it is: databases refuse NUL and lone surrogates, and control characters spoil logs. */
export function isPlainText(text: string): boolean {
  return !controlCharacters.test(text);
}

/** What is wrong with a text that somebody gave, for the commands as for the API, or null. */
export function textFault(text: string, longest: number): string | null {
  if (text.length > longest) return `at most ${longest} characters are allowed`;
  if (!isPlainText(text)) return 'line breaks and control characters are not allowed';
  return null;
}

/** What is wrong with a name or label that an operator gave, or null. It will stand in logs and tables. */
export function labelFault(text: string): string | null {
  const secret = privateKeyIn(text);
  if (secret !== null) return privateKeyRefusal(secret);
  return textFault(text, longestLabel);
}
