import { join } from 'node:path';
import { parseConfig } from '../../src/config/load.ts';
import { startDaemon } from '../../src/daemon.ts';
import { createLogger } from '../../src/log.ts';
import { answerQuestions, tell } from './measured.ts';

/* The daemon that bench/checkout.ts measures, in a process of its own that can collect its garbage when it is asked to. */

const [folder = '', node = '', adminToken = ''] = process.argv.slice(2);

const config = parseConfig(
  JSON.stringify({
    publicUrl: 'https://pay.example.com',
    listen: { host: '127.0.0.1', port: 0 },
    database: `sqlite:${join(folder, 'checkout.db')}`,
    adminToken,
    rates: { sources: ['fixed'], fixed: { usdt: '1', usdc: '1', busd: '1', bnb: '600' } },
    chains: { bsc: { rpc: [node], pollSeconds: 0.45, confirmations: 1, finality: 'depth' } },
    webhooks: { allowHosts: ['127.0.0.1'] },
    api: { requestsPerSecond: 1_000_000 },
    checkout: { requestsPerSecond: 1_000_000, maxStreams: 100_000 },
    payments: { lifetimeSeconds: 3_600 },
  }),
  folder,
  {},
);
const daemon = await startDaemon(config, {
  log: createLogger({
    level: 'info',
    // A step that has found something is committed by then.
    write: (line) => {
      if (line.includes('"chain read"')) tell('committed', Date.now());
    },
  }),
});
await daemon.chainsRead;
answerQuestions();
tell('started', daemon.address.port);
