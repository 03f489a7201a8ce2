/**
 * Builds the dashboard into dashboard/dist: `npm run build` does, and a daemon that runs from a clone when somebody
 * opens the dashboard and it was not built since it was changed.
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'vite';

const root = join(import.meta.dirname, '../dashboard');
const outDir = join(root, 'dist');
// Whoever reads meanwhile, or builds at the same time, finds the old files or the new ones.
const making = join(root, `.dist-${process.pid}`);

await build({
  root,
  configFile: false,
  base: '/dashboard/',
  logLevel: 'warn',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: making,
    emptyOutDir: true,
    target: 'es2022',
    // Its code would be inline, which the page's policy refuses; every browser in use preloads by itself.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    // What is built in may be given away with its notice alone.
    license: { fileName: 'licenses.md' },
  },
});

const old = `${making}-old`;
if (existsSync(outDir)) renameSync(outDir, old);
renameSync(making, outDir);
rmSync(old, { recursive: true, force: true });
