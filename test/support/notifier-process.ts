/*
 * A notifier in a process of its own, for tests that kill it. Arguments as JSON: the database's URL, the key
 * that seals the secrets, and where to stand still: `before` sending or `after` the answer, or nowhere.
 * Tells its parent when it stands there.
 */
import { systemClock } from '../../src/clock.ts';
import { createNotifier } from '../../src/notify/deliver.ts';
import { createSecrets } from '../../src/notify/secrets.ts';
import { createOutbound, type Outbound } from '../../src/outbound.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { silentLog } from './log.ts';

export type NotifierProcessArguments = {
  databaseUrl: string;
  key: string;
  standStill: 'before' | 'after' | null;
  exclusive: boolean;
};

const { databaseUrl, key, standStill, exclusive } = JSON.parse(
  process.argv[2] ?? '',
) as NotifierProcessArguments;
const outbound = createOutbound({ allowHosts: ['127.0.0.1'], userAgent: 'depositd/test' });

const standing: Outbound = {
  ...outbound,
  send: async (call) => {
    if (standStill === 'before') await stand();
    const result = await outbound.send(call);
    if (standStill === 'after') await stand();
    return result;
  },
};

function stand(): Promise<never> {
  process.send?.('standing');
  return new Promise(() => {});
}

const notifier = createNotifier({
  db: await openDatabase(databaseUrl),
  outbound: standing,
  secrets: createSecrets(Buffer.from(key, 'base64'), 'the test key'),
  headerPrefix: 'X-PayHook',
  clock: systemClock,
  log: silentLog,
  exclusive,
});
notifier.start();
process.send?.('started');
// Without its parent it has no reason to live.
process.once('disconnect', () => process.exit(1));
