import { expect, test } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { databaseTime, inTransaction, isPostgres } from '../../../src/storage/database.ts';
import {
  heartbeatMs,
  isAlive,
  listDaemons,
  noteDaemon,
  noteDaemonStopped,
} from '../../../src/storage/operators/daemons.ts';
import { beatOf } from '../../support/beats.ts';
import { describeDatabases } from '../../support/databases.ts';

const at = 1_800_000_000_000;
const atTime = (ms: number) => ({ clock: () => ms, timeOf: async () => ms });
const prices = [{ coin: 'usdt', usd: '1', sources: ['kraken'], reason: null }];

describeDatabases('the heartbeat of daemons', (openTestDb) => {
  test('tells who is alive: not one that stopped, nor one that was silent for several beats', async () => {
    const db = await openTestDb();
    const beat = (id: string, seenAt: number) =>
      inTransaction(db, (trx) => noteDaemon(trx, beatOf(id, prices), atTime(seenAt)));
    await beat('a', at);
    await beat('b', at);
    await beat('b', at + heartbeatMs);
    await beat('c', at);
    await inTransaction(db, (trx) => noteDaemonStopped(trx, 'c', atTime(at + 1)));
    const alive = async (now: number) =>
      (await listDaemons(db)).filter((daemon) => isAlive(daemon, now)).map(({ id }) => id);
    expect(await alive(at + heartbeatMs)).toEqual(['b', 'a']);
    expect(await alive(at + 4 * heartbeatMs)).toEqual(['b']);
    expect(await alive(at + 6 * heartbeatMs)).toEqual([]);
    expect((await listDaemons(db))[0]).toMatchObject({ id: 'b', seenAt: at + heartbeatMs, prices });
    await beat('d', at + 30 * 24 * 3_600_000);
    expect((await listDaemons(db)).map(({ id }) => id)).toEqual(['d']);
  });

  test('goes by the database’s time, whatever the clock of the daemon’s process says', async () => {
    const db = await openTestDb();
    // On SQLite there is one process, whose time is the database's.
    const clock = isPostgres(db) ? () => at : systemClock;
    const alive = async () => {
      const [daemon] = await listDaemons(db);
      return daemon !== undefined && isAlive(daemon, await databaseTime(db, systemClock));
    };
    await inTransaction(db, (trx) => noteDaemon(trx, beatOf('a', prices), { clock }));
    expect(await alive()).toBe(true);
    const [begun] = await listDaemons(db);
    await inTransaction(db, (trx) => noteDaemonStopped(trx, 'a', { clock }));
    const [stopped] = await listDaemons(db);
    expect(await alive()).toBe(false);
    expect(Math.abs((stopped?.stoppedAt ?? 0) - (begun?.startedAt ?? 0))).toBeLessThan(60_000);
  });
});
