import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export type InstalledPackage = { name: string; version: string; folder: string };

type LockEntry = { version: string; dev?: boolean; devOptional?: boolean };

const root = join(import.meta.dirname, '..');

/** What is installed together with the program, and not for its tests alone. */
export function productionPackages(): InstalledPackage[] {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockEntry>;
  };
  return Object.entries(lock.packages)
    .filter(([place, { dev, devOptional }]) => place !== '' && dev !== true && devOptional !== true)
    .map(([place, { version }]) => ({
      name: place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version,
      folder: join(root, place),
    }));
}
