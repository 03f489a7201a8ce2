import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Registry } from '@prometheus-io/client';
import Sqlite from 'better-sqlite3';
import Fastify from 'fastify';
import { createApi } from '../../src/api/http/server.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { BlockHash } from '../../src/core/chain.ts';
import { parityRate } from '../../src/core/money.ts';
import { createLogger } from '../../src/log.ts';
import { createSecrets } from '../../src/notify/secrets.ts';
import { createPayments } from '../../src/payments/create.ts';
import { createPoolHealth } from '../../src/pool/health.ts';
import { insertChain } from '../../src/storage/chains/chains.ts';
import { inTransaction, openDatabase } from '../../src/storage/database.ts';
import { addApiKey, addMerchant } from '../../src/storage/operators/merchants.ts';
import { noProviders } from '../../test/support/providers/no-providers.ts';
import type { Ready, RoundDone } from '../create.ts';

/* The servers that bench/create.ts measures, in a process of their own. */

const [folder = '', large = '1000000'] = process.argv.slice(2);

const limit = await startLimit();
const small = await startCreate('small', 1_000);
const big = await startCreate('large', Number(large));
let cpu = process.cpuUsage();
process.on('message', () => {
  const { user, system } = process.cpuUsage(cpu);
  for (const part of [small, big]) part.reset();
  cpu = process.cpuUsage();
  process.send?.({ cpuMs: (user + system) / 1000 } satisfies RoundDone);
});
process.send?.({
  limit,
  small: { port: small.port, key: small.key },
  large: { port: big.port, key: big.key },
} satisfies Ready);

async function startLimit(): Promise<number> {
  const file = new Sqlite(join(folder, 'limit.db'));
  file.pragma('journal_mode = WAL');
  file.pragma('synchronous = FULL');
  file.exec('create table rows (id integer primary key, text text not null)');
  const insert = file.prepare('insert into rows (text) values (?)');
  const text = 'x'.repeat(500);
  const transaction = file.transaction(() => insert.run(text).lastInsertRowid);
  const app = Fastify();
  app.post('/', () => ({ id: Number(transaction.immediate()) }));
  await app.listen({ host: '127.0.0.1', port: 0 });
  return portOf(app.server.address());
}

async function startCreate(name: string, addresses: number) {
  const path = join(folder, `${name}.db`);
  const config = {
    ...parseConfig(
      JSON.stringify({
        publicUrl: 'https://pay.example.com',
        database: `sqlite:${path}`,
        adminToken: randomBytes(16).toString('hex'),
        rates: { sources: ['fixed'], fixed: { usdt: '1' } },
        chains: { bsc: { rpc: ['https://node.example/'] } },
      }),
      folder,
      {},
    ),
    api: { requestsPerSecond: 1e9 },
  };
  const db = await openDatabase(config.database);
  const clock = Date.now;
  const now = clock();
  const merchant = await inTransaction(db, async (trx) => {
    const { id } = await addMerchant(trx, { name: 'Bench', at: now });
    const { secret } = await addApiKey(trx, { merchantId: id, at: now });
    const block = { height: 1, hash: '0x1' as BlockHash, time: Math.floor(now / 1000) };
    await insertChain(trx, {
      network: 'bsc',
      cursor: block,
      head: block,
      time: { head: block, shownAt: now, watchedSince: null },
      finalizedHeight: 1,
      // The chain is not read here, but must count as read for as long as this runs.
      readAt: now + 3_600_000,
      stoppedReason: null,
    });
    return { id, key: secret };
  });
  const file = new Sqlite(path);
  fill(file, merchant.id, addresses);

  const log = createLogger({ level: 'silent', write: () => {} });
  const rates = {
    usdPer: () => parityRate,
    quote: () => ({ usdPerCoin: parityRate, sources: ['fixed'], fetchedAt: now }),
  };
  const pools = createPoolHealth({
    db,
    clock,
    log,
    policy: config.payments,
    chains: config.chains,
    onEvents: () => {},
  });
  const payments = createPayments({ db, config, rates, pools, clock, wake: () => {} });
  const api = await createApi({
    db,
    config,
    clock,
    log,
    rates,
    rateStatus: () => ({ sources: [], coins: [] }),
    payments,
    providers: noProviders(db),
    registry: new Registry(),
    lookUp: async () => ({ kind: 'unknown' }),
    nodesOf: () => [],
    secrets: createSecrets(randomBytes(32), 'the bench'),
    wakeNotifier: () => {},
    isStopping: () => false,
  });
  await api.listen({ host: '127.0.0.1', port: 0 });
  return {
    port: portOf(api.server.address()),
    key: merchant.key,
    /** Frees what was locked, as if the payments of the last round had ended. */
    reset: () => {
      file.exec("update payments set status = 'expired' where status = 'pending'");
      file.exec('update onchain_payments set released_at = payment_id where released_at is null');
      file.exec('update addresses set locked_by = null, released_at = id where locked_by is not null');
    },
  };
}

function fill(file: Sqlite.Database, merchantId: string, count: number): void {
  const insert = file.prepare(
    `insert into addresses (merchant_id, network, address, address_key, currency, source, created_at)
     values (?, 'bsc', ?, ?, '', 'static', 0)`,
  );
  file.transaction(() => {
    for (let n = 0; n < count; n++) {
      const key = randomBytes(20).toString('hex');
      insert.run(merchantId, `0x${key}`, key);
    }
  })();
}

function portOf(address: AddressInfo | string | null): number {
  return (address as AddressInfo).port;
}
