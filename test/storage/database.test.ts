import { expect, test } from 'vitest';
import { describeDatabases } from '../support/databases.ts';

describeDatabases('a fresh database', (openTestDb) => {
  test('is migrated and empty', async () => {
    const db = await openTestDb();
    expect(await db.selectFrom('payments').select('id').execute()).toEqual([]);
  });
});
