import type { z } from 'zod';
import { counted } from '../core/plural.ts';
import { adapters } from '../providers/adapters.ts';
import { formatPath, type Path } from './environment.ts';
import { createScrubber } from './scrub.ts';

/** Longer texts are described, not quoted: they may be a secret that was put into the wrong place. */
const longestQuote = 30;

/** A contract's address, whole or mistyped: public, and needed to see what is wrong with it. */
const addressPattern = /^(?:0x[0-9a-z]{30,50}|T[0-9a-z]{30,36})$/i;

/** Keys whose values give access; `headers` and everything below them too. */
const secretKeys = new Set([
  'adminToken',
  'secretKey',
  'database',
  'url',
  'wsUrl',
  'solidityUrl',
  'headers',
  'rpc',
  'openexchangeratesAppId',
  'smtp',
  'token',
  'secret',
  ...adapters.flatMap(({ secrets }) => secrets),
]);

export type FaultContext = {
  /** The configuration with the environment filled in. */
  value: unknown;
  /** Formatted paths whose values came from the environment. */
  fromEnvironment: ReadonlyMap<string, unknown>;
  /** The keys that could stand at a path. */
  knownKeys: (path: Path) => readonly string[];
};

/** One sentence for each fault: where it is, what was found and what is expected. Shows no secret. */
export function describeIssues(
  issues: readonly z.core.$ZodIssue[],
  context: FaultContext,
): { path: Path; text: string }[] {
  return issues.flatMap((issue) => describeIssue(issue, [], context));
}

function describeIssue(
  issue: z.core.$ZodIssue,
  base: Path,
  context: FaultContext,
): { path: Path; text: string }[] {
  const path: Path = [...base, ...(issue.path as (string | number)[])];
  const [section, network] = path;
  if (section === 'chains' && typeof network === 'string' && isUnknownChain(network, context)) {
    // Once, whatever else is missing of it.
    if (issue.code === 'unrecognized_keys' || path[2] !== 'family') return [];
    return [{ path: ['chains', network], text: unknownKey(['chains'], network, context) }];
  }
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: [...path, key], text: unknownKey(path, key, context) }));
    case 'invalid_union': {
      // The alternative that is at least of the right type says best what is wrong.
      const meant = issue.errors.find((branch) => !branch.some(isWrongType));
      if (meant !== undefined) return meant.flatMap((inner) => describeIssue(inner, path, context));
      return [expected(path, issue.message, context)];
    }
    default:
      return [expected(path, issue.message, context)];
  }
}

/** A name that is neither known nor said to be of a chain of some family is a mistyped one. */
function isUnknownChain(network: string, context: FaultContext): boolean {
  if (context.knownKeys(['chains']).includes(network)) return false;
  return valueAt(context.value, ['chains', network, 'family']) === undefined;
}

function isWrongType(issue: z.core.$ZodIssue): boolean {
  return issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value');
}

function expected(path: Path, expectation: string, context: FaultContext): { path: Path; text: string } {
  const where = path.length === 0 ? 'the configuration' : formatPath(path);
  const found = valueAt(context.value, path);
  if (found === undefined) return { path, text: `${where}: missing; expected ${expectation}` };
  const hidden =
    path.some((key) => secretKeys.has(String(key))) || context.fromEnvironment.has(formatPath(path));
  return { path, text: `${where}: found ${describeFound(found, hidden)}; expected ${expectation}` };
}

function describeFound(found: unknown, hidden: boolean): string {
  if (found === null) return 'null';
  if (Array.isArray(found)) return found.length === 0 ? 'an empty list' : 'a list';
  switch (typeof found) {
    case 'object':
      return Object.keys(found).length === 0 ? 'an empty object' : 'an object';
    case 'string':
      if (found === '') return 'an empty text';
      if (hidden || (found.length > longestQuote && !addressPattern.test(found)))
        return `a text of ${counted(found.length, 'character')} (not shown)`;
      return JSON.stringify(createScrubber([])(found));
    default:
      return hidden ? `a ${typeof found} (not shown)` : String(found);
  }
}

function unknownKey(path: Path, key: string, context: FaultContext): string {
  const where = formatPath([...path, key]);
  const known = context.knownKeys(path);
  const similar = closest(key, known);
  if (similar !== null) return `${where}: unknown key; did you mean "${similar}"?`;
  return `${where}: unknown key; expected ${known.length === 0 ? 'nothing here' : `one of ${known.join(', ')}`}`;
}

/** The known word that `word` is most likely a misspelling of, or null. */
export function closest(word: string, known: readonly string[]): string | null {
  const bare = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, '');
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(bare(word).slice(0, 60), bare(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours that make one text of the other. */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, index) => index)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(
          at(i - 1, j) + 1,
          at(i, j - 1) + 1,
          at(i - 1, j - 1) + (same ? 0 : 1),
          swapped ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
  }
  return at(a.length, b.length);
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<string | number, unknown>)[key];
  }
  return at;
}
