import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '../src/config/load.ts';
import { startDaemon } from '../src/daemon.ts';
import { createLogger } from '../src/log.ts';

/** What of an OpenAPI document the reference page shows. */
export type ApiDocument = {
  info: { title: string; description: string };
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas?: Record<string, ApiSchema>;
    securitySchemes: Record<string, { name?: string; description: string }>;
  };
};

export type Operation = {
  summary: string;
  description?: string;
  tags: string[];
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema: ApiSchema }[];
  requestBody?: { content: Record<string, { schema: ApiSchema }> };
  responses: Record<string, { content?: Record<string, { schema: ApiSchema }> }>;
};

export type ApiSchema = {
  $ref?: string;
  allOf?: ApiSchema[];
  anyOf?: ApiSchema[];
  type?: string;
  format?: string;
  nullable?: boolean;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  properties?: Record<string, ApiSchema>;
  required?: string[];
  items?: ApiSchema;
};

/** The two documents, as a daemon serves them. It asks nobody for anything, and is gone afterwards. */
export async function apiDocuments(): Promise<{ merchant: ApiDocument; operator: ApiDocument }> {
  const folder = mkdtempSync(join(tmpdir(), 'depositd-api-'));
  const adminToken = randomBytes(24).toString('hex');
  const text = JSON.stringify({
    publicUrl: 'https://pay.example.com',
    listen: { port: 0 },
    adminToken,
    rates: { sources: ['fixed'], fixed: { usdt: '1', bnb: '600' } },
    chains: { bsc: { rpc: ['http://127.0.0.1:1/'] } },
  });
  const log = createLogger({ level: 'fatal', write: () => {}, secrets: [] });
  const daemon = await startDaemon(parseConfig(text, folder, {}), { log });
  try {
    const url = `http://127.0.0.1:${daemon.address.port}`;
    const read = async (path: string) => {
      const answer = await fetch(url + path, { headers: { authorization: `Bearer ${adminToken}` } });
      return (await answer.json()) as ApiDocument;
    };
    return { merchant: await read('/api/v1/schema/'), operator: await read('/admin/v1/schema/') };
  } finally {
    await daemon.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
