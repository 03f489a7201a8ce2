/*
 * A process that takes what others need of a database and keeps it within one transaction, for tests that pause it
 * there. Argument: the database's URL. Tells its parent when it holds everything.
 */
import { lockChain } from '../../src/storage/chains/chains.ts';
import { inTransaction, openDatabase, serializeInserts } from '../../src/storage/database.ts';

const db = await openDatabase(process.argv[2] ?? '');
process.once('disconnect', () => process.exit(1));
await inTransaction(db, async (trx) => {
  await lockChain(trx, 'bsc');
  await serializeInserts(trx, 'events');
  await serializeInserts(trx, 'addresses');
  process.send?.('holding');
  await new Promise(() => {});
});
