import fs, { chownSync, copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect, test } from 'vitest';
import { backUp } from '../../src/storage/backup.ts';
import { inTransaction, openDatabase } from '../../src/storage/database.ts';
import { addHold } from '../../src/storage/pool/holds.ts';
import { restoreBackup, settleRestore } from '../../src/storage/restore.ts';
import { testFolder } from '../support/databases.ts';

/** All by which a restore changes what is on the disk. */
const changes = ['renameSync', 'rmSync', 'copyFileSync', 'openSync', 'writeSync', 'fsyncSync'] as const;

/** Runs `work` and keeps what `folder` holds before each of its changes: what a process that is killed there leaves. */
async function atEachMoment(
  folder: string,
  work: () => unknown,
  look: () => void = () => {},
): Promise<string[]> {
  const moments: string[] = [];
  const root = testFolder();
  const real = Object.fromEntries(changes.map((name) => [name, fs[name]]));
  /** Copying is made of the same calls. */
  let copying = false;
  const keep = () => {
    if (copying) return;
    copying = true;
    look();
    const moment = join(root, String(moments.length));
    cpSync(folder, moment, { recursive: true });
    moments.push(moment);
    copying = false;
  };
  for (const name of changes) {
    const change = real[name] as (...given: unknown[]) => unknown;
    Object.assign(fs, {
      [name]: (...given: unknown[]) => {
        keep();
        return change(...given);
      },
    });
  }
  syncBuiltinESMExports();
  try {
    await work();
  } finally {
    Object.assign(fs, real);
    syncBuiltinESMExports();
  }
  return moments;
}

/** As `depositd restore` writes it. */
async function holdAll(draft: string): Promise<void> {
  const db = await openDatabase(`sqlite:${draft}`);
  await inTransaction(db, (trx) => addHold(trx, { at: 1, until: 2, reason: 'a backup was restored' }));
  await db.destroy();
}

function holdsIn(path: string): unknown {
  const file = new Sqlite(path, { readonly: true });
  try {
    return file.prepare('select count(*) from address_holds').pluck().get();
  } finally {
    file.close();
  }
}

function merchantsIn(path: string): unknown[] {
  const file = new Sqlite(path, { fileMustExist: true });
  try {
    return file.prepare('select name from merchants order by name').pluck().all();
  } finally {
    file.close();
  }
}

/** A database whose newest merchant is in its log alone, and a backup from before it. */
async function openShop(): Promise<{ folder: string; live: string; backup: string }> {
  const made = join(testFolder(), 'depositd.db');
  const db = await openDatabase(`sqlite:${made}`);
  const add = (name: string) =>
    inTransaction(db, (trx) =>
      trx
        .insertInto('merchants')
        .values({ id: `me_${name}`, name, created_at: 1 })
        .execute(),
    );
  await add('First');
  const folder = testFolder();
  const [live, backup] = [join(folder, 'depositd.db'), join(folder, 'backup.db')];
  await backUp(made, backup, []);
  await add('Second');
  // As after a kill.
  for (const ending of ['', '-wal']) copyFileSync(made + ending, live + ending);
  await db.destroy();
  return { folder, live, backup };
}

const before = ['First', 'Second'];
const after = ['First'];

/** What a start finds in `folder`. */
async function startIn(folder: string): Promise<{ outcome: string | null; merchants: unknown[] }> {
  const live = join(folder, 'depositd.db');
  const marked = existsSync(`${live}.restoring`);
  if (marked) await expect(openDatabase(`sqlite:${live}`)).rejects.toThrow('was interrupted');
  const outcome = settleRestore(live);
  expect(outcome !== null).toBe(marked);
  const names = readdirSync(folder).filter((name) => /draft|restoring/.test(name));
  expect(names).toEqual([]);
  const merchants = merchantsIn(live);
  // Never is there a restored database that would give lost payments' addresses to others.
  expect(holdsIn(live)).toBe(merchants.length === after.length ? 1 : 0);
  const aside = readdirSync(folder).filter((name) => name.endsWith('.before-restore-now'));
  if (merchants.length === after.length)
    expect(aside.map((name) => merchantsIn(join(folder, name)))).toEqual([before]);
  return { outcome, merchants };
}

test('a restore that is killed at any moment leaves the old database or the new one, whole, and the next start knows which', async () => {
  const { folder, live, backup } = await openShop();
  const moments = await atEachMoment(folder, () =>
    restoreBackup({ file: backup, databasePath: live, stamp: 'now', complete: holdAll }),
  );
  expect(merchantsIn(live)).toEqual(after);
  const found = [];
  for (const moment of moments) found.push(await startIn(moment));
  const outcomes = found.map(({ outcome }) => outcome);
  // In this order, and each of them.
  expect([...new Set(outcomes.map(String))]).toEqual(['null', 'undone', 'finished']);
  for (const { outcome, merchants } of found.slice(0, outcomes.lastIndexOf('undone') + 1))
    expect({ outcome, merchants }).toEqual({ outcome, merchants: before });
  for (const { merchants } of found.slice(outcomes.lastIndexOf('undone') + 1))
    expect(merchants).toEqual(after);
});

test.skipIf(process.getuid?.() !== 0)(
  'a restore by root leaves nothing at any moment that the user of the folder could not open',
  async () => {
    const { folder, live, backup } = await openShop();
    const nobody = 65_534;
    for (const name of readdirSync(folder)) chownSync(join(folder, name), nobody, nobody);
    chownSync(folder, nobody, nobody);
    const found = new Set<string>();
    const look = () => {
      for (const name of readdirSync(folder)) {
        found.add(name.replace(/draft-[0-9a-f]+/, 'draft'));
        const { uid, size } = statSync(join(folder, name));
        // What was made a moment ago is given away next: nothing is in it, or its original is there.
        const fresh = size === 0 || (name.endsWith('-wal') && existsSync(`${live}-wal`));
        expect(uid === nobody || fresh, name).toBe(true);
      }
    };
    await atEachMoment(
      folder,
      () => restoreBackup({ file: backup, databasePath: live, stamp: 'now', complete: holdAll }),
      look,
    );
    look();
    expect([...found]).toEqual(
      expect.arrayContaining([
        'depositd.db',
        'depositd.db.draft',
        'depositd.db.restoring',
        'depositd.db.before-restore-now',
        'depositd.db.before-restore-now-wal',
      ]),
    );
  },
);

test('how far an interrupted restore had got is not guessed where that cannot be read', async () => {
  const { folder, live } = await openShop();
  mkdirSync(`${live}.restoring`);
  expect(() => settleRestore(live)).toThrow('cannot be read');
  expect(readdirSync(folder)).toContain('depositd.db.restoring');
});

test('so does putting it back that is killed in its turn', async () => {
  const { folder, live, backup } = await openShop();
  const moments = await atEachMoment(folder, () =>
    restoreBackup({ file: backup, databasePath: live, stamp: 'now', complete: holdAll }),
  );
  // The last one without a database in its place.
  const half = moments.findLast((moment) => !existsSync(join(moment, 'depositd.db')));
  if (half === undefined) throw new Error('the database was never away');
  const copy = join(testFolder(), 'half');
  mkdirSync(copy);
  cpSync(half, copy, { recursive: true });
  for (const moment of await atEachMoment(copy, () => settleRestore(join(copy, 'depositd.db'))))
    expect((await startIn(moment)).merchants).toEqual(before);
});
