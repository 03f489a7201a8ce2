import { type KyselyPlugin, type RootOperationNode, TableNode } from 'kysely';
import type { Db } from '../../src/storage/schema.ts';

export class InjectedFault extends Error {}

export type FaultyDb = {
  db: Db;
  /** How many writes were tried until now. */
  writes(): number;
  /** What each of them was, such as `UpdateQueryNode payments`. */
  kinds: readonly string[];
  /** Makes the `n`th write from now on fail, 1 being the next, and with it its transaction. Null: none fails. */
  failAt(n: number | null): void;
};

/** The same database, in which a write can be made to fail as if the process had died at it. */
export function makeFaulty(db: Db): FaultyDb {
  const kinds: string[] = [];
  let failing: number | null = null;
  const plugin: KyselyPlugin = {
    transformQuery({ node }) {
      if (node.kind !== 'SelectQueryNode') {
        kinds.push(kindOf(node));
        if (kinds.length === failing) {
          failing = null;
          throw new InjectedFault(`write ${kinds.length} was made to fail`);
        }
      }
      return node;
    },
    transformResult: async ({ result }) => result,
  };
  return {
    db: db.withPlugin(plugin),
    writes: () => kinds.length,
    kinds,
    failAt(n) {
      failing = n === null ? null : kinds.length + n;
    },
  };
}

function kindOf(node: RootOperationNode): string {
  return `${node.kind} ${tableOf(node)?.table.identifier.name ?? ''}`;
}

function tableOf(node: RootOperationNode): TableNode | undefined {
  switch (node.kind) {
    case 'InsertQueryNode':
      return node.into;
    case 'UpdateQueryNode':
      return node.table !== undefined && TableNode.is(node.table) ? node.table : undefined;
    case 'DeleteQueryNode':
      return node.from.froms.find(TableNode.is);
    default:
      return undefined;
  }
}
