import Sqlite from 'better-sqlite3';
import pg from 'pg';

export type Asked = { text: string; parameters: readonly unknown[] };

let listener: ((query: Asked) => void) | null = null;

/** Tells `listen` each query that this process asks of any database while `work` goes on. */
export async function listenToQueries(
  listen: (query: Asked) => void,
  work: () => Promise<unknown>,
): Promise<void> {
  listener = listen;
  try {
    await work();
  } finally {
    listener = null;
  }
}

type Run = (...given: unknown[]) => unknown;
type Statement = { all: Run; run: Run };

const sqlite = Sqlite.prototype as unknown as { prepare(text: string): Statement };
const prepare = sqlite.prepare;
sqlite.prepare = function (this: unknown, text) {
  const statement = prepare.call(this as typeof sqlite, text);
  for (const method of ['all', 'run'] as const) {
    const original = statement[method].bind(statement);
    statement[method] = (...given) => {
      listener?.({ text, parameters: Array.isArray(given[0]) ? given[0] : given });
      return original(...given);
    };
  }
  return statement;
};

const client = pg.Client.prototype as unknown as { query: Run };
const query = client.query;
client.query = function (this: unknown, ...given) {
  const [asked, values = []] = given as [string | { text: string; values?: unknown[] }, unknown[]?];
  listener?.(
    typeof asked === 'string'
      ? { text: asked, parameters: values }
      : { text: asked.text, parameters: asked.values ?? [] },
  );
  return query.apply(this, given);
};
