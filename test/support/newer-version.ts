/*
 * Loaded into a daemon: makes it the next version, whose database has one migration more. It only adds, so that programs of this
 * version go on beside it.
 */
import { registerHooks } from 'node:module';

const migration = new URL('newer-migration.ts', import.meta.url);
const ours = /(["'])0001_initial\1: \w+/;

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith('.mjs')) return loaded;
    const source = String(loaded.source);
    if (!ours.test(source)) return loaded;
    const newer = `"0002_labels_from_0001": await import(${JSON.stringify(migration.href)})`;
    return { ...loaded, source: source.replace(ours, (all) => `${all}, ${newer}`) };
  },
});
