import type { Clock } from '../clock.ts';
import { emptyHistogram, withValue } from '../core/histogram.ts';
import { intervalOf, joinMeasurements, type NodeMeasurement } from '../core/measurement.ts';
import type { Network } from '../core/networks.ts';
import type { NodeFailure } from '../core/node.ts';
import { addNodeMeasurements } from '../storage/chains/node-measurements.ts';
import { inTransaction } from '../storage/database.ts';
import type { Db } from '../storage/schema.ts';

export type NodeMeter = {
  /** An answer of a node came after so many ms, whatever was in it. */
  answered(host: string, ms: number): void;
  failed(host: string, failure: NodeFailure): void;
  /** Everything since the last take, once. */
  take(): NodeMeasurement[];
  /** What could not be written down is taken again. */
  putBack(rows: readonly NodeMeasurement[]): void;
};

/** Nodes and intervals that wait to be written down: while a database is away the list does not grow for ever. */
const mostRows = 1_000;

export function createNodeMeter(clock: Clock): NodeMeter {
  let rows = new Map<string, NodeMeasurement>();

  function add(added: NodeMeasurement): void {
    const key = `${added.at} ${added.host}`;
    const known = rows.get(key);
    if (known === undefined && rows.size >= mostRows) return;
    rows.set(key, known === undefined ? added : joinMeasurements(known, added));
  }

  const now = (host: string) => ({ host, at: intervalOf(clock()) });
  return {
    answered: (host, ms) => add({ ...now(host), latency: withValue(emptyHistogram, ms), failures: {} }),
    failed: (host, failure) => add({ ...now(host), latency: emptyHistogram, failures: { [failure]: 1 } }),
    take() {
      const taken = [...rows.values()];
      rows = new Map();
      return taken;
    },
    putBack(given) {
      for (const row of given) add(row);
    },
  };
}

/** Writes down how the nodes of a chain answered since the last time; answers whether there was anything. */
export async function noteMeasurements(deps: {
  db: Db;
  network: Network;
  measure: NodeMeter;
}): Promise<boolean> {
  const { db, network, measure } = deps;
  const rows = measure.take();
  if (rows.length === 0) return false;
  try {
    await inTransaction(db, (trx) => addNodeMeasurements(trx, network, rows));
  } catch (error) {
    measure.putBack(rows);
    throw error;
  }
  return true;
}
