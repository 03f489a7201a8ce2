import { formatPath, type Path } from './environment.ts';

/**
 * Where what was written down comes from: by its place in the configuration, the environment variables that are in it;
 * none: the file alone says it. What is not here was left to the program.
 */
export type Origins = ReadonlyMap<string, readonly string[]>;

export type Origin = { from: 'file' | 'environment' | 'default'; variables: readonly string[] };

/** Of each value of a file, lists and sections taken apart. */
export function originsOf(file: unknown, fromEnvironment: Origins): Origins {
  const origins = new Map<string, readonly string[]>();
  function add(value: unknown, path: Path): void {
    const inner = typeof value === 'object' && value !== null ? Object.entries(value) : [];
    if (inner.length === 0 && path.length > 0) {
      const place = formatPath(path);
      origins.set(place, fromEnvironment.get(place) ?? []);
    }
    const isList = Array.isArray(value);
    for (const [key, one] of inner) add(one, [...path, isList ? Number(key) : key]);
  }
  add(file, []);
  return origins;
}

/** Of a setting: of anything that was written in it, or of the whole that it is a part of. */
export function originOf(origins: Origins, place: string): Origin {
  const within = (outer: string, inner: string) =>
    inner.startsWith(outer) && /^(?:$|[.[])/.test(inner.slice(outer.length));
  const written = [...origins].filter(([at]) => within(place, at) || within(at, place));
  const variables = [...new Set(written.flatMap(([, names]) => names))];
  if (written.length === 0) return { from: 'default', variables };
  return { from: variables.length === 0 ? 'file' : 'environment', variables };
}
