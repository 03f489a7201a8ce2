import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe } from 'vitest';

const folder = resolve(import.meta.dirname, '../../../shared/real-data');

/** Absolute path of a recorded file; only within {@link describeRealData}. */
export function realDataPath(path: string): string {
  return join(folder, path);
}

export function readRealData(path: string): string {
  return readFileSync(realDataPath(path), 'utf8');
}

/** Tests over recordings of real chains and services, which are not part of this repository: skipped without them. */
export function describeRealData(name: string, path: string, tests: () => void): void {
  if (existsSync(realDataPath(path))) describe(name, tests);
  else describe.skip(`${name} (skipped: no recordings at ../shared/real-data/${path})`, tests);
}
