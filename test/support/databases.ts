import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/storage/database.ts';
import type { Db } from '../../src/storage/schema.ts';
import { endStart, openSqlite } from '../../src/storage/sqlite.ts';
import { type LentDatabase, lendPostgres } from './lent-postgres.ts';
import { createPostgresDatabase } from './postgres-desk.ts';
import { scratchRoot } from './scratch.ts';

export type DatabaseKind = 'SQLite' | 'PostgreSQL';

/** A fresh, migrated database, closed and removed when the test ends. */
export type OpenTestDb = () => Promise<Db>;

/** Runs the same tests once over SQLite and once over PostgreSQL. */
export function describeDatabases(
  name: string,
  tests: (openTestDb: OpenTestDb, kind: DatabaseKind) => void,
): void {
  for (const kind of ['SQLite', 'PostgreSQL'] as const) {
    describe(`${name} on ${kind}`, () => {
      tests(async () => {
        const { db, close } = kind === 'SQLite' ? await lendSqlite() : await lendPostgres();
        onTestFinished(close);
        return db;
      }, kind);
    });
  }
}

/**
 * As `describeDatabases`, for what is decided above the storage: PostgreSQL takes five times as long as SQLite and
 * decides nothing of its own there, so it gets every fourth test. `DEPOSITD_TEST_DATABASES=all` runs all on both.
 */
export function describeDecisions(
  name: string,
  tests: (openTestDb: OpenTestDb, kind: DatabaseKind) => void,
): void {
  describeDatabases(name, (openTestDb, kind) => {
    if (kind === 'PostgreSQL' && process.env.DEPOSITD_TEST_DATABASES !== 'all')
      beforeEach(({ task, skip }) => skip(!isOneOfFour(task.name), 'on SQLite alone'));
    tests(openTestDb, kind);
  });
}

/** The same ones in every run: by their names, so that a new test does not change which. */
function isOneOfFour(name: string): boolean {
  return (createHash('sha256').update(name).digest()[0] as number) % 4 === 0;
}

async function lendSqlite(): Promise<LentDatabase> {
  const db = await openTestSqlite();
  return { db, close: () => db.destroy() };
}

/** The tables are made once for each test file: making them takes longer than most tests do. */
let migratedFile: Promise<Buffer> | undefined;

async function makeMigratedFile(): Promise<Buffer> {
  const folder = mkdtempSync(join(scratchRoot(), 'depositd-test-'));
  const path = join(folder, 'depositd.db');
  await (await openDatabase(`sqlite:${path}`)).destroy();
  const file = readFileSync(path);
  rmSync(folder, { recursive: true });
  return file;
}

/** A fresh, migrated database; whoever opens it destroys it. Its file is removed when the test ends. */
export async function openTestSqlite(): Promise<Db> {
  migratedFile ??= makeMigratedFile();
  const path = join(testFolder(), 'depositd.db');
  writeFileSync(path, await migratedFile);
  const db = openSqlite(path);
  await endStart(db);
  return db;
}

/** URL of a new database, removed when the test ends. Not `migrated`: without any table. */
export async function freshDatabaseUrl(kind: DatabaseKind, options = { migrated: false }): Promise<string> {
  switch (kind) {
    case 'SQLite':
      return `sqlite:${join(testFolder(), 'depositd.db')}`;
    case 'PostgreSQL': {
      const { url, remove } = await createPostgresDatabase(options.migrated);
      onTestFinished(remove);
      return url;
    }
    default:
      return kind satisfies never;
  }
}

/** A new empty folder, removed when the test ends. */
export function testFolder(): string {
  const folder = mkdtempSync(join(scratchRoot(), 'depositd-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
