import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { Registry } from '@prometheus-io/client';
import { createApi } from '../../src/api/http/server.ts';
import { parseConfig } from '../../src/config/load.ts';
import { parityRate } from '../../src/core/money.ts';
import { createLogger } from '../../src/log.ts';
import { createSecrets } from '../../src/notify/secrets.ts';
import { createPayments } from '../../src/payments/create.ts';
import { createPoolHealth } from '../../src/pool/health.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { noProviders } from '../../test/support/providers/no-providers.ts';

/** The real server over a database file, asked with the operator's token. */
export async function openDashboardServer(path: string) {
  const adminToken = randomBytes(16).toString('hex');
  const config = {
    ...parseConfig(
      JSON.stringify({
        publicUrl: 'https://pay.example.com',
        database: `sqlite:${path}`,
        adminToken,
        rates: { sources: ['fixed'], fixed: { usdt: '1' } },
        chains: { bsc: { rpc: ['https://node.example/'] } },
      }),
      dirname(path),
      {},
    ),
    api: { requestsPerSecond: 1e9 },
  };
  const db = await openDatabase(config.database);
  const clock = Date.now;
  const log = createLogger({ level: 'silent', write: () => {} });
  const rates = { usdPer: () => parityRate, quote: () => null };
  const pools = createPoolHealth({ db, clock, log, policy: config.payments, chains: config.chains });
  const api = await createApi({
    db,
    config,
    clock,
    log,
    rates,
    rateStatus: () => ({ sources: [], coins: [] }),
    payments: createPayments({ db, config, rates, pools, clock, wake: () => {} }),
    providers: noProviders(db),
    registry: new Registry(),
    lookUp: async () => ({ kind: 'unknown' }),
    nodesOf: () => [],
    secrets: createSecrets(randomBytes(32), 'the bench'),
    wakeNotifier: () => {},
    isStopping: () => false,
  });
  await api.listen({ host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${(api.server.address() as AddressInfo).port}/admin/v1`;

  async function ask(what: string): Promise<Response> {
    const answer = await fetch(url + what, { headers: { authorization: `Bearer ${adminToken}` } });
    if (!answer.ok) throw new Error(`${what} was answered ${answer.status}: ${await answer.text()}`);
    return answer;
  }

  return {
    db,
    get: async (what: string): Promise<unknown> => (await ask(what)).json(),
    /** Reads an answer and keeps nothing of it. */
    async drain(what: string): Promise<{ bytes: number; rows: number }> {
      const { body } = await ask(what);
      let [bytes, rows] = [0, 0];
      for await (const chunk of body ?? []) {
        bytes += chunk.length;
        for (const byte of chunk) if (byte === 10) rows += 1;
      }
      return { bytes, rows };
    },
    async close(): Promise<void> {
      await api.close();
      await pools.settled();
      await db.destroy();
    },
  };
}
