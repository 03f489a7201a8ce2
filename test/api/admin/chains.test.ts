import { expect, test } from 'vitest';
import { insertRecheckMark } from '../../../src/storage/chains/recheck-marks.ts';
import { recordScan } from '../../../src/storage/chains/scans.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { openApiServer } from '../../support/api-server.ts';
import { describeDecisions } from '../../support/databases.ts';
import { createdAt, testBlock } from '../../support/payments.ts';

describeDecisions("the operator's view of a chain", (openTestDb) => {
  test('says up to where it is complete, up to where that was audited, and what was never read', async () => {
    const db = await openTestDb();
    const api = await openApiServer(db);
    await inTransaction(db, async (trx) => {
      const scan = { network: 'bsc', host: 'node.example', native: false, at: createdAt } as const;
      await trx.updateTable('chain_cursors').set({ first_height: 101 }).execute();
      await recordScan(trx, { ...scan, from: 20, to: 40 });
      await recordScan(trx, { ...scan, from: 101, to: 900 });
      await recordScan(trx, { ...scan, from: 951, to: 1000 });
      const position = testBlock(880);
      await insertRecheckMark(trx, { network: 'bsc', position, forks: 0, recheckedAt: createdAt });
    });
    const { body } = await api.send<{ data: unknown[] }>('GET', '/admin/v1/chains/', { admin: true });
    expect(body.data).toMatchObject([
      {
        network: 'bsc',
        coverage: {
          from: 101,
          complete_to: 900,
          rechecked_to: 880,
          gaps: [{ from: 901, to: 950 }],
          ranges: [
            { from: 20, to: 40 },
            { from: 101, to: 900 },
            { from: 951, to: 1000 },
          ],
        },
      },
      { network: 'ethereum', coverage: null },
    ]);
  });
});
