import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Registry } from '@prometheus-io/client';
import { createApi } from '../../src/api/http/server.ts';
import { parseConfig } from '../../src/config/load.ts';
import { keyOfHex } from '../../src/core/address.ts';
import type { BlockHash } from '../../src/core/chain.ts';
import { parityRate } from '../../src/core/money.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { createLogger } from '../../src/log.ts';
import { createSecrets } from '../../src/notify/secrets.ts';
import { createPayments } from '../../src/payments/create.ts';
import { createPoolHealth } from '../../src/pool/health.ts';
import { checkAndAddAddresses } from '../../src/pool/import.ts';
import { insertChain } from '../../src/storage/chains/chains.ts';
import { inTransaction, openDatabase } from '../../src/storage/database.ts';
import { insertDeposits } from '../../src/storage/deposits/deposits.ts';
import { addMerchant } from '../../src/storage/operators/merchants.ts';
import { evmAddress } from '../../test/support/addresses.ts';
import { testDeposit, testUsdPer, txHash } from '../../test/support/payments.ts';
import { noProviders } from '../../test/support/providers/no-providers.ts';
import type { FromServer, ToServer } from '../checkout.ts';

/* The server that bench/checkout.ts measures, in a process of its own: payments that wait, on a chain that stands still. */

const [folder = '', count = '5000'] = process.argv.slice(2);

const config = {
  ...parseConfig(
    JSON.stringify({
      publicUrl: 'https://pay.example.com',
      database: `sqlite:${join(folder, 'checkout.db')}`,
      adminToken: randomBytes(16).toString('hex'),
      rates: { sources: ['fixed'], fixed: { usdt: '1' } },
      chains: { bsc: { rpc: ['https://node.example/'] } },
      checkout: { requestsPerSecond: 1_000_000, maxStreams: 100_000 },
    }),
    folder,
    {},
  ),
  api: { requestsPerSecond: 1e9 },
};
const db = await openDatabase(config.database);
const clock = Date.now;
const log = createLogger({ level: 'silent', write: () => {} });
const rates = {
  usdPer: testUsdPer,
  quote: () => ({ usdPerCoin: parityRate, sources: ['fixed'], fetchedAt: clock() }),
};
const now = clock();
const block = { height: 1000, hash: '0x1' as BlockHash, time: Math.floor(now / 1000) };
const merchantId = await inTransaction(db, async (trx) => {
  await insertChain(trx, {
    network: 'bsc',
    cursor: block,
    head: block,
    time: { head: block, shownAt: now, watchedSince: null },
    finalizedHeight: 1000,
    // It is not read here, but must count as read for as long as this runs.
    readAt: now + 3_600_000,
    stoppedReason: null,
  });
  return (await addMerchant(trx, { name: 'Bench', at: now })).id;
});
const rows = Array.from({ length: Number(count) }, (_, n) => ({
  network: 'bsc',
  address: evmAddress(n + 1),
  currency: '',
  label: '',
}));
await checkAndAddAddresses({ db, config, clock }, { merchantId, rows, actor: 'bench' });
const policy = config.payments;
const pools = createPoolHealth({ db, clock, log, policy, chains: config.chains, onEvents: () => {} });
const creator = createPayments({ db, config, rates, pools, clock, wake: () => {} });
const payments: OnchainPayment[] = [];
for (let n = 0; n < Number(count); n++) {
  const made = await creator.create({
    merchantId,
    network: 'bsc',
    currency: 'usdt',
    amountUsdCents: 5000,
    externalOrderId: `order-${n}`,
    customerEmail: '',
    redirectUrl: 'https://shop.example/thanks',
    metadata: {},
    locale: '',
    idempotency: null,
  });
  if (made.outcome !== 'created') throw new Error(made.outcome);
  payments.push(made.view.payment);
}
const api = await createApi({
  db,
  config,
  clock,
  log,
  rates,
  payments: creator,
  providers: noProviders(db),
  registry: new Registry(),
  nodesOf: () => [],
  secrets: createSecrets(randomBytes(32), 'the bench'),
  wakeNotifier: () => {},
  lookUp: async () => ({ kind: 'unknown' }),
  isStopping: () => false,
});
await api.listen({ host: '127.0.0.1', port: 0 });

const tell = (message: FromServer) => void process.send?.(message);
process.on('message', async (message: ToServer) => {
  if (message === 'memory') {
    (globalThis as { gc?: () => void }).gc?.();
    tell({ memory: process.memoryUsage().rss });
    return;
  }
  // A block in which so many of the payments are paid, in one commit as the watcher makes it.
  await inTransaction(db, (trx) =>
    insertDeposits(
      trx,
      payments.slice(0, message.paid).map((payment) => ({
        ...testDeposit({ height: 1000, merchantId, paymentId: payment.id, addressId: payment.addressId }),
        txHash: txHash(payment.id),
        recipient: keyOfHex(payment.address),
      })),
    ),
  );
  tell({ committedAt: Date.now() });
});
tell({
  port: (api.server.address() as AddressInfo).port,
  tokens: payments.map(({ paymentToken }) => paymentToken),
});
