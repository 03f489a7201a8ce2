/** `1 address`, `2 addresses`, `0 deliveries`: a number with its noun, which is given in the singular. */
export function counted(count: number | bigint, noun: string): string {
  return `${count} ${Number(count) === 1 ? noun : pluralOf(noun)}`;
}

/** Of the regular nouns that we use. */
function pluralOf(noun: string): string {
  if (/(s|x|ch|sh)$/.test(noun)) return `${noun}es`;
  return /[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`;
}
