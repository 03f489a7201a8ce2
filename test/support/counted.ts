import type { KyselyPlugin } from 'kysely';
import type { Db } from '../../src/storage/schema.ts';

/** The same database, and how many queries were built for it. */
export function countQueries(db: Db): { db: Db; queries: () => number } {
  let queries = 0;
  const plugin: KyselyPlugin = {
    transformQuery({ node }) {
      queries += 1;
      return node;
    },
    transformResult: async ({ result }) => result,
  };
  return { db: db.withPlugin(plugin), queries: () => queries };
}
