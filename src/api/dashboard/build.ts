import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A file of the dashboard as it is served. */
export type DashboardFile = { type: string; body: Buffer; etag: string };

const types: Record<string, string> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
};

/** Beside the code, of a clone and of the package alike. */
const folder = join(import.meta.dirname, '../../../dashboard');
const built = join(folder, 'dist');
/** In a clone alone. */
const script = join(import.meta.dirname, '../../../scripts/build-dashboard.ts');

/** All files of the dashboard, by their path under /dashboard/. In a clone they are built first, where that was not done. */
export async function readDashboard(): Promise<Map<string, DashboardFile>> {
  if (existsSync(script) && isOutdated()) await promisify(execFile)(process.execPath, [script]);
  const files = new Map<string, DashboardFile>();
  for (const name of filesIn(built)) {
    const body = readFileSync(join(built, name));
    const etag = `"${createHash('sha256').update(body).digest('hex').slice(0, 16)}"`;
    files.set(name, { type: types[name.split('.').at(-1) ?? ''] ?? 'application/octet-stream', body, etag });
  }
  return files;
}

function isOutdated(): boolean {
  const index = join(built, 'index.html');
  if (!existsSync(index)) return true;
  const builtAt = statSync(index).mtimeMs;
  const sources = [
    ...filesIn(join(folder, 'src')).map((name) => join(folder, 'src', name)),
    join(folder, 'index.html'),
  ];
  return sources.some((source) => statSync(source).mtimeMs > builtAt);
}

function filesIn(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1));
}
