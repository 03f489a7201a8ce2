import { expect, test } from 'vitest';
import { fingerprintOf } from '../src/config/fingerprint.ts';
import { everyRole } from '../src/core/roles.ts';
import { createHeartbeat } from '../src/heartbeat.ts';
import { isAlive, listDaemons } from '../src/storage/operators/daemons.ts';
import type { Db } from '../src/storage/schema.ts';
import { testConfig } from './support/config.ts';
import { describeDatabases } from './support/databases.ts';
import { captureLog } from './support/log.ts';

function processOn(db: Db, changes: Partial<ReturnType<typeof testConfig>> = {}) {
  const { log, lines } = captureLog();
  const configuration = fingerprintOf({ ...testConfig({}), ...changes });
  const roles = new Set(everyRole);
  const heartbeat = createHeartbeat({ db, roles, configuration, prices: () => [], clock: Date.now, log });
  return { heartbeat, lines };
}

describeDatabases('processes on one database', (openTestDb) => {
  test('whose configurations differ say so once each, with the sections, and not of one that has stopped', async () => {
    const db = await openTestDb();
    const payments = { ...testConfig({}).payments, toleranceBps: 50 };
    const [one, same, other] = [processOn(db), processOn(db), processOn(db, { payments })];
    for (let beat = 0; beat < 2; beat++)
      for (const { heartbeat } of [one, same, other]) await heartbeat.step();
    const differing = {
      level: 'warn',
      msg: 'configurations differ',
      sections: ['payments'],
      other_pid: process.pid,
    };
    expect(one.lines).toMatchObject([differing]);
    expect(same.lines).toMatchObject([differing]);
    expect(other.lines).toMatchObject([differing, differing]);
    const now = (await listDaemons(db))[0]?.seenAt ?? 0;
    await other.heartbeat.stop();
    expect((await listDaemons(db)).filter((daemon) => isAlive(daemon, now))).toHaveLength(2);
    const late = processOn(db);
    await late.heartbeat.step();
    expect(late.lines).toEqual([]);
  });
});
