import { expect, test } from 'vitest';
import { inTransaction } from '../../../src/storage/database.ts';
import {
  heartbeatMs,
  isAlive,
  listDaemons,
  noteDaemon,
  noteDaemonStopped,
} from '../../../src/storage/operators/daemons.ts';
import { describeDatabases } from '../../support/databases.ts';

const at = 1_800_000_000_000;
const prices = [{ coin: 'usdt', usd: '1', sources: ['kraken'], reason: null }];

describeDatabases('the heartbeat of daemons', (openTestDb) => {
  test('tells who is alive: not one that stopped, nor one that was silent for several beats', async () => {
    const db = await openTestDb();
    const beat = (id: string, seenAt: number) =>
      inTransaction(db, (trx) => noteDaemon(trx, { id, version: '1', startedAt: at, seenAt, prices }));
    await beat('a', at);
    await beat('b', at);
    await beat('b', at + heartbeatMs);
    await beat('c', at);
    await inTransaction(db, (trx) => noteDaemonStopped(trx, 'c', at + 1));
    const alive = async (now: number) =>
      (await listDaemons(db)).filter((daemon) => isAlive(daemon, now)).map(({ id }) => id);
    expect(await alive(at + heartbeatMs)).toEqual(['b', 'a']);
    expect(await alive(at + 4 * heartbeatMs)).toEqual(['b']);
    expect(await alive(at + 6 * heartbeatMs)).toEqual([]);
    expect((await listDaemons(db))[0]).toMatchObject({ id: 'b', seenAt: at + heartbeatMs, prices });
    await beat('d', at + 30 * 24 * 3_600_000);
    expect((await listDaemons(db)).map(({ id }) => id)).toEqual(['d']);
  });
});
