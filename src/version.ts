import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/** This program's version, as `package.json` has it, from wherever it runs: `src/` or the built `dist/src/`. */
export function programVersion(): string {
  const path = findPackageJSON(import.meta.url);
  if (path === undefined) return 'unknown';
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version?: unknown };
  return typeof version === 'string' ? version : 'unknown';
}
