/*
 * A process that holds the write lock of a SQLite database until it is told to let go, for tests. Argument: the file.
 */
import Sqlite from 'better-sqlite3';

const file = new Sqlite(process.argv[2] ?? '', { timeout: 10_000 });
file.exec('begin immediate');
process.send?.('holding');
process.once('message', () => {
  file.exec('rollback');
  process.disconnect();
});
process.once('disconnect', () => process.exit(0));
