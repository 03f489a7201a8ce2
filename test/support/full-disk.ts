/*
 * Loaded into a daemon under test: while the test says so, its SQLite database may not grow by a page. What
 * fails then fails as on a full disk, in SQLite itself.
 */
import Sqlite from 'better-sqlite3';

type Opened = { pragma(text: string, options?: { simple: boolean }): unknown; readonly open: boolean };

const databases = new Set<Opened>();
const prototype = Sqlite.prototype as { prepare(text: string): unknown };
const prepare = prototype.prepare;
prototype.prepare = function (this: Opened, text) {
  databases.add(this);
  return prepare.call(this, text);
};

const mostPages = 4_294_967_294;

process.on('message', (message: { diskFull?: boolean }) => {
  if (message.diskFull === undefined) return;
  for (const database of databases) {
    if (!database.open) continue;
    const pages = message.diskFull ? Number(database.pragma('page_count', { simple: true })) : mostPages;
    database.pragma(`max_page_count = ${pages}`);
  }
  process.send?.({ diskFull: message.diskFull });
});
process.channel?.unref();
