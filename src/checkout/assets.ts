import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A file that pages refer to. Its name changes with its content, so that it may be kept for ever. */
export type Asset = { path: string; type: string; body: string; etag: string };

/** What every page has; `sandbox`: its money is worth nothing, and it says so. */
export type Assets = { style: Asset; script: Asset; sandbox: boolean };

/** Reads the two files that every page has. `basePath` is where the service is reached, without a slash at its end. */
export function readAssets(basePath: string, { sandbox }: { sandbox: boolean }): Assets {
  const read = (file: string, type: string): Asset => {
    const body = readFileSync(join(import.meta.dirname, 'assets', file), 'utf8');
    const hash = createHash('sha256').update(body).digest('hex').slice(0, 16);
    const [name, extension] = file.split('.');
    return { path: `${basePath}/pay/assets/${name}-${hash}.${extension}`, type, body, etag: `"${hash}"` };
  };
  return {
    style: read('checkout.css', 'text/css; charset=utf-8'),
    script: read('checkout.js', 'text/javascript; charset=utf-8'),
    sandbox,
  };
}
