import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, inject, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/storage/database.ts';
import type { Db } from '../../src/storage/schema.ts';
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
        const db = await openDatabase(await freshDatabaseUrl(kind, { migrated: true }));
        onTestFinished(() => db.destroy());
        return db;
      }, kind);
    });
  }
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

/** For a suite: the caller removes it. */
export async function createPostgresDatabase(
  migrated: boolean,
): Promise<{ url: string; remove(): Promise<void> }> {
  const desk = inject('databaseDesk');
  const answer = await fetch(`${desk}/${migrated ? 'migrated' : 'empty'}`, { method: 'POST' });
  const url = await answer.text();
  if (answer.status !== 201) throw new Error(`no PostgreSQL for this test: ${url}`);
  const remove = async () => {
    await fetch(`${desk}/${new URL(url).pathname.slice(1)}`, { method: 'DELETE' });
  };
  return { url, remove };
}

/** A new empty folder, removed when the test ends. */
export function testFolder(): string {
  const folder = mkdtempSync(join(scratchRoot(), 'depositd-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
