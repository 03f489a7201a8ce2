import { sql } from 'kysely';
import { expect, onTestFinished, test } from 'vitest';
import { fingerprintOf } from '../src/config/fingerprint.ts';
import { everyRole } from '../src/core/roles.ts';
import { createHeartbeat } from '../src/heartbeat.ts';
import { isAlive, listDaemons } from '../src/storage/operators/daemons.ts';
import type { Db } from '../src/storage/schema.ts';
import { testConfig } from './support/config.ts';
import { describeDatabases } from './support/databases.ts';
import { captureLog } from './support/log.ts';

function processOn(db: Db, changes: Partial<ReturnType<typeof testConfig>> = {}) {
  const reasons: string[] = [];
  const { log, lines } = captureLog();
  const configuration = fingerprintOf({ ...testConfig({}), ...changes });
  const roles = new Set(everyRole);
  const heartbeat = createHeartbeat({
    db,
    roles,
    configuration,
    prices: () => [],
    clock: Date.now,
    log,
    outdated: (reason) => reasons.push(reason),
  });
  return { heartbeat, lines, reasons };
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

  test('say once that a newer version has added to the tables, and end when it has changed what they use', async () => {
    const db = await openTestDb();
    const apply = (name: string) =>
      sql`insert into depositd_migrations (name, timestamp) values (${name}, 'now')`.execute(db);
    onTestFinished(() =>
      sql`delete from depositd_migrations where name like '000_l%'`.execute(db).then(() => {}),
    );
    const { heartbeat, lines, reasons } = processOn(db);
    await heartbeat.step();
    await apply('0002_labels_from_0001');
    for (let beat = 0; beat < 2; beat++) await heartbeat.step();
    const newer = { level: 'warn', msg: 'database is newer', migrations: ['0002_labels_from_0001'] };
    expect(lines).toMatchObject([newer]);
    expect(reasons).toEqual([]);
    await apply('0003_less_from_0002');
    await heartbeat.step();
    expect(reasons).toEqual([
      'was written by a newer depositd (it has 0003_less_from_0002); run that version or a later one',
    ]);
  });
});
