/**
 * Mends package-lock.json after `npm install`, which drops what this restores: `npm run lock`.
 *
 * better-sqlite3 brings its compiled binaries, but also a binding.gyp, at whose sight npm up to 10 compiles it
 * anew and so asks for Python and a compiler. `gypfile: false` in the lock file keeps it from that. The install
 * script of anvil is written for a Unix shell, and elsewhere downloads from GitHub: without `hasInstallScript`
 * it is not run. npm 11 reads `allowScripts` of package.json instead of both. The places that packages came from are left out, so that
 * everybody installs from the registry of their own choice.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

type LockEntry = { resolved?: string; gypfile?: boolean; hasInstallScript?: boolean };

const path = join(import.meta.dirname, '../package-lock.json');
const lock = JSON.parse(readFileSync(path, 'utf8')) as { packages: Record<string, LockEntry> };

for (const [name, entry] of Object.entries(lock.packages)) {
  delete entry.resolved;
  if (name.endsWith('node_modules/better-sqlite3')) entry.gypfile = false;
  if (name.endsWith('node_modules/@foundry-rs/anvil')) delete entry.hasInstallScript;
}

writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
