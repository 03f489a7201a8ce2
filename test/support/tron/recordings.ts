import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { parseLossless } from '../../../src/core/lossless-json.ts';
import { tronDataPath } from '../real-data.ts';

/** One request to a real java-tron node and its answer, as recorded. */
export type Exchange = {
  file: string;
  label: string;
  node: string;
  /** `full`, `solid`, or JSON-RPC, which we do not speak with these nodes. */
  interface: string;
  method: string;
  path: string;
  verb: string;
  request_body: string | null;
  status: number;
  headers: Record<string, string>;
  body_text: string;
};

/** Every exchange in these files; rows of other kinds tell how the experiment went. */
export function readExchanges(files = exchangeFiles()): Exchange[] {
  return files.flatMap((file) =>
    readRows(file).flatMap((row) => ('path' in row ? [{ file, ...row } as unknown as Exchange] : [])),
  );
}

/** All files of the private chain that hold lines; none where there are no recordings. */
export function exchangeFiles(): string[] {
  if (!existsSync(tronDataPath('private-node'))) return [];
  return readdirSync(tronDataPath('private-node')).filter((name) => name.includes('.jsonl'));
}

export function readRows(file: string): Record<string, unknown>[] {
  const path = tronDataPath(`private-node/${file}`);
  // A suite that is skipped is read all the same.
  if (!existsSync(path)) return [];
  const bytes = readFileSync(path);
  const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

export function readTronJson(path: string): unknown {
  return parseLossless(readFileSync(tronDataPath(path), 'utf8'));
}

/** The body as the program reads it; undefined where it is no JSON. */
export function bodyOf({ body_text }: Exchange): unknown {
  try {
    return parseLossless(body_text);
  } catch {
    return undefined;
  }
}

/** Whether addresses were asked for as people write them, which the program never does. */
export function isForPeople({ path, request_body }: Exchange): boolean {
  return path.includes('visible') || (request_body ?? '').includes('visible');
}

/** The height that was asked for. */
export function askedHeight({ path, request_body }: Exchange): number {
  const query = new URLSearchParams(path.split('?')[1]).get('num');
  if (query !== null) return Number(query);
  const body = JSON.parse(request_body ?? '{}') as { num?: number };
  return body.num ?? 0;
}

export type Scenario = { scenario: string; category: string; txid: string | null; height: number | null };

export function readScenarios(): Scenario[] {
  return JSON.parse(readFileSync(tronDataPath('private-node/scenario-index.json'), 'utf8')) as Scenario[];
}
