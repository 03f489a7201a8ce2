import { closeSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { z } from 'zod';
import { createFile } from '../files.ts';
import { fileOf } from './sqlite.ts';

/*
 * Beside a SQLite database stands which payment is its newest: what a daemon finds there at its start, and not in the database, an older
 * copy that somebody put in its place has lost.
 */

const schema = z.object({ id: z.number(), payment_number: z.string() });

export type NewestPayment = {
  /** Null where none is noted, or nothing can be read. */
  read(): { id: number; paymentNumber: string } | null;
  /** Null: forgets it. It need not survive a power cut. */
  write(newest: { id: number; paymentNumber: string } | null): void;
};

/** Null for a database that is no file of ours alone. */
export function newestPaymentOf(databaseUrl: string): NewestPayment | null {
  const database = /^sqlite:(?!:memory:$)(.*)$/.exec(databaseUrl)?.[1];
  if (database === undefined) return null;
  const path = newestFileOf(database);
  return {
    read() {
      try {
        const { id, payment_number: paymentNumber } = schema.parse(JSON.parse(readFileSync(path, 'utf8')));
        return { id, paymentNumber };
      } catch {
        return null;
      }
    },
    write(newest) {
      if (newest === null) return rmSync(path, { force: true });
      const draft = `${path}.draft`;
      rmSync(draft, { force: true });
      const file = createFile(draft);
      try {
        writeSync(file, JSON.stringify({ id: newest.id, payment_number: newest.paymentNumber }));
      } finally {
        closeSync(file);
      }
      renameSync(draft, path);
    },
  };
}

/** The file beside a database. */
export function newestFileOf(databasePath: string): string {
  return `${fileOf(databasePath)}.newest`;
}
