import { expect, test } from 'vitest';
import { readChanges } from '../../../src/storage/payments/changes.ts';
import { describeDatabases } from '../../support/databases.ts';
import { fillDatabase } from '../../support/filled-database.ts';

describeDatabases('who follows what happens to payments', (openTestDb) => {
  async function openFollowed() {
    const db = await openTestDb();
    await fillDatabase(db, { payments: 40, now: Date.UTC(2026, 4, 24) });
    const { marks } = await readChanges(db, null);
    return { db, marks };
  }

  test('is told of what comes after the last look, and of nothing twice', async () => {
    const { db, marks } = await openFollowed();
    expect(await readChanges(db, marks)).toMatchObject({ isUnknown: false, paymentIds: [], addressIds: [] });
    const next = { merchant_id: 'mer_1', type: 'payment.confirmed', body: '{}', created_at: 1 } as const;
    await db
      .insertInto('events')
      .values({ ...next, id: 'evt_next', payment_id: 7 })
      .execute();
    const changes = await readChanges(db, marks);
    expect(changes).toMatchObject({ isUnknown: false, paymentIds: [7] });
    expect(await readChanges(db, changes.marks)).toMatchObject({ isUnknown: false, paymentIds: [] });
  });

  test.each(['events', 'deposits'] as const)(
    'learns that the database has lost the last %s, also where others have their ids, and goes on from there',
    async (table) => {
      const { db, marks } = await openFollowed();
      if (table === 'events') {
        await db.deleteFrom('delivery_attempts').execute();
        await db.deleteFrom('deliveries').execute();
        await db.deleteFrom('events').where('sequence', '>', 70).execute();
      } else {
        await db.deleteFrom('deposits').where('id', '>', 35).execute();
      }
      const changes = await readChanges(db, marks);
      expect(changes.isUnknown).toBe(true);
      expect(await readChanges(db, changes.marks)).toMatchObject({ isUnknown: false, paymentIds: [] });
      if (table === 'events')
        await db.updateTable('events').set({ id: 'evt_other' }).where('sequence', '=', 70).execute();
      else await db.updateTable('deposits').set({ tx_hash: '0xother' }).where('id', '=', 35).execute();
      expect((await readChanges(db, changes.marks)).isUnknown).toBe(true);
    },
  );

  test('begins where nothing has happened yet', async () => {
    const db = await openTestDb();
    const { marks } = await readChanges(db, null);
    expect(marks).toMatchObject({ event: null, deposit: null });
    await fillDatabase(db, { payments: 40, now: Date.UTC(2026, 4, 24) });
    const changes = await readChanges(db, marks);
    expect(changes.isUnknown).toBe(false);
    expect(new Set(changes.paymentIds).size).toBe(40);
  });
});
