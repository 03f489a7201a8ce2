/*
 * What one process does of several on one PostgreSQL database. Each work can be done by any number of them; on SQLite one
 * process does all.
 *
 * - `api`: answers shops, payers and operators, asks for prices, and looks for what operators are alerted of
 * - `watch`: reads the chains, each led by one process
 * - `notify`: delivers webhooks
 * - `providers`: follows payments with fiat providers
 */
export const everyRole = ['api', 'watch', 'notify', 'providers'] as const;

export type Role = (typeof everyRole)[number];

/** Reads `api,watch`; `fault` says what is wrong with it, in a phrase. */
export function parseRoles(text: string): { roles: ReadonlySet<Role> } | { fault: string } {
  const names = text.split(',').map((name) => name.trim());
  const known = names.filter((name): name is Role => (everyRole as readonly string[]).includes(name));
  const unknown = names.find((name) => !(everyRole as readonly string[]).includes(name));
  if (unknown === undefined) return { roles: new Set(known) };
  const given = unknown === '' ? 'an empty name' : JSON.stringify(unknown.slice(0, 40));
  return { fault: `expected some of ${everyRole.join(', ')}, with commas between them; found ${given}` };
}

export function hasEveryRole(roles: ReadonlySet<Role>): boolean {
  return everyRole.every((role) => roles.has(role));
}
