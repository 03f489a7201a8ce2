/**
 * Holds a running daemon against its two OpenAPI documents with Schemathesis, which must be on the PATH
 * (`pip install schemathesis`): `node scripts/fuzz-api.ts [options of "schemathesis run"]`. The daemon has a local chain,
 * fixed prices and some of everything, so that requests get further than to 404.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDemoChain } from '../src/demo/chain.ts';
import { freePort, startDemoDaemon } from '../src/demo/daemon.ts';
import { createCaller } from '../src/demo/http.ts';

const adminToken = randomBytes(24).toString('hex');
const folder = mkdtempSync(join(tmpdir(), 'depositd-fuzz-'));
const chain = await startDemoChain('bsc', { blockSeconds: 0.5, folder });
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
const configPath = join(folder, 'config.json');
const config = {
  publicUrl: url,
  listen: { host: '127.0.0.1', port },
  database: 'sqlite:./depositd.db',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
  adminToken: '${DEPOSITD_ADMIN_TOKEN}',
  rates: { sources: ['fixed'], fixed: { usdt: '1', usdc: '1', busd: '1', bnb: '612.50' } },
  chains: { bsc: { rpc: [chain.url], pollSeconds: 0.2, idlePollSeconds: 1 } },
  // Deliveries are tried and refused at once.
  webhooks: { allowHosts: ['127.0.0.1'] },
  api: { requestsPerSecond: 100_000 },
};
writeFileSync(configPath, JSON.stringify(config));
const daemon = await startDemoDaemon(configPath, { DEPOSITD_ADMIN_TOKEN: adminToken });
const operator = createCaller(`${url}/admin/v1`, { authorization: `Bearer ${adminToken}` });
const failed: string[] = [];
try {
  const { id, api_key: apiKey } = await operator.post<{ id: string; api_key: string }>('/merchants/', {
    name: 'Shop',
  });
  const addresses = Array.from({ length: 5_000 }, () => `0x${randomBytes(20).toString('hex')}`);
  await operator.post(`/merchants/${id}/addresses/`, { network: 'bsc', addresses });
  await operator.post(`/merchants/${id}/webhooks/`, { url: 'http://127.0.0.1:1/hooks' });
  const app = createCaller(url, { 'x-api-key': apiKey });
  for (let n = 1; n <= 20; n++) {
    const order = {
      amount_usd_cents: 100 * n,
      network: 'bsc',
      currency: 'usdt',
      external_order_id: `order-${n}`,
    };
    await app.post('/api/v1/payments/', order);
  }
  await fuzz('/api/v1/schema/', `X-API-Key: ${apiKey}`);
  await fuzz('/admin/v1/schema/', `Authorization: Bearer ${adminToken}`);
} finally {
  await daemon.stop();
  await chain.stop();
  rmSync(folder, { recursive: true, force: true });
}
if (failed.length > 0) throw new Error(`not as described: ${failed.join(', ')}`);

async function fuzz(path: string, header: string): Promise<void> {
  const args = ['run', `${url}${path}`, '--url', url, '-H', header, ...process.argv.slice(2)];
  const [code] = await once(spawn('schemathesis', args, { stdio: 'inherit' }), 'close');
  if (code !== 0) failed.push(path);
}
