import type { KyselyPlugin } from 'kysely';
import type { Db } from '../../src/storage/schema.ts';

export class InjectedFault extends Error {}

export type FaultyDb = {
  db: Db;
  /** How many writes were tried until now. */
  writes(): number;
  /** Makes the `n`th write from now on fail, 1 being the next, and with it its transaction. Null: none fails. */
  failAt(n: number | null): void;
};

/** The same database, in which a write can be made to fail as if the process had died at it. */
export function makeFaulty(db: Db): FaultyDb {
  let writes = 0;
  let failing: number | null = null;
  const plugin: KyselyPlugin = {
    transformQuery({ node }) {
      if (node.kind !== 'SelectQueryNode') {
        writes += 1;
        if (writes === failing) {
          failing = null;
          throw new InjectedFault(`write ${writes} was made to fail`);
        }
      }
      return node;
    },
    transformResult: async ({ result }) => result,
  };
  return {
    db: db.withPlugin(plugin),
    writes: () => writes,
    failAt(n) {
      failing = n === null ? null : writes + n;
    },
  };
}
