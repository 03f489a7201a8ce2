/**
 * Builds the dashboard into dashboard/dist: `npm run build` does, and a daemon that runs from a clone when somebody
 * opens the dashboard and it was not built since it was changed.
 */
import { join } from 'node:path';
import { build } from 'vite';

const root = join(import.meta.dirname, '../dashboard');

await build({
  root,
  configFile: false,
  base: '/dashboard/',
  logLevel: 'warn',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: join(root, 'dist'),
    emptyOutDir: true,
    target: 'es2022',
    // Its code would be inline, which the page's policy refuses; every browser in use preloads by itself.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
});
