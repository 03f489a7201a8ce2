import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type Plugin } from 'vite';

const root = join(import.meta.dirname, '../..');
const folder = join(root, 'node_modules/.cache/programs');

/** What is loaded as it is: native code, and what starts threads from files of its own. */
const external = ['better-sqlite3', 'pg', 'pino', 'pino-pretty'];

/** What tests start as processes of their own. */
const programs = {
  cli: 'src/cli.ts',
  'command-host': 'test/support/command-host.ts',
  'notifier-process': 'test/support/notifier-process.ts',
};

/**
 * Puts each program and its dependencies into few files: half of what a start costs is finding and compiling a thousand,
 * and the tests start hundreds of daemons. Returns their folder. They are made again when a source has changed.
 */
export async function bundlePrograms(): Promise<string> {
  const outDir = join(folder, fingerprint());
  if (existsSync(outDir)) return outDir;
  removeOld();
  const making = `${outDir}.${process.pid}`;
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    plugins: [keepPlaces],
    ssr: { noExternal: true, external },
    build: {
      ssr: true,
      outDir: making,
      target: 'node24',
      copyPublicDir: false,
      rolldownOptions: {
        input: Object.fromEntries(Object.entries(programs).map(([name, file]) => [name, join(root, file)])),
        output: { entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' },
      },
    },
  });
  try {
    renameSync(making, outDir);
  } catch (error) {
    // Another run that was started beside this one has made the same.
    if (!existsSync(outDir)) throw error;
    rmSync(making, { recursive: true, force: true });
  }
  return outDir;
}

const dayMs = 24 * 60 * 60 * 1000;

/** Not what another run may be using. */
function removeOld(): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY;
    if (made < Date.now() - dayMs) rmSync(path, { recursive: true, force: true });
  }
}

/** Names, sizes and times of everything that goes into it. */
function fingerprint(): string {
  const hash = createHash('sha256');
  for (const part of ['src', 'migrations', 'test/support']) {
    for (const file of readdirSync(join(root, part), { recursive: true, encoding: 'utf8' }).sort()) {
      const { size, mtimeMs } = statSync(join(root, part, file));
      hash.update(`${part} ${file} ${size} ${mtimeMs}\n`);
    }
  }
  return hash
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
    .slice(0, 16);
}

/** A file that asks where it lies gets the answer of its source. */
const keepPlaces: Plugin = {
  name: 'keep-places',
  transform(code, id) {
    if (!code.includes('import.meta.')) return null;
    return code
      .replaceAll('import.meta.dirname', JSON.stringify(dirname(id)))
      .replaceAll('import.meta.filename', JSON.stringify(id))
      .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(id).href));
  },
};
