import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe } from 'vitest';

const shared = resolve(import.meta.dirname, '../../../shared');
const folder = join(shared, 'real-data');
const tronFolder = join(shared, 'tron-data');

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

/** The same of a real java-tron node and of TRON's main chain. */
export function tronDataPath(path: string): string {
  return join(tronFolder, path);
}

export function describeTronData(name: string, path: string, tests: () => void): void {
  if (existsSync(tronDataPath(path))) describe(name, tests);
  else describe.skip(`${name} (skipped: no recordings at ../shared/tron-data/${path})`, tests);
}
