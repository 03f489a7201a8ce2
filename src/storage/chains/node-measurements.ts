import { joinMeasurements, type NodeMeasurement } from '../../core/measurement.ts';
import type { Network } from '../../core/networks.ts';
import type { Db, Trx } from '../schema.ts';

/** Adds to what is known. Of one chain only its leader writes. */
export async function addNodeMeasurements(
  trx: Trx,
  network: Network,
  added: readonly NodeMeasurement[],
): Promise<void> {
  if (added.length === 0) return;
  const since = Math.min(...added.map(({ at }) => at));
  const known = await listNodeMeasurements(trx, { network, since });
  const rows = added.map((row) => {
    const before = known.find(({ at, host }) => at === row.at && host === row.host);
    const { at, host, latency, failures } = before === undefined ? row : joinMeasurements(before, row);
    return { network, at, host, latency: JSON.stringify(latency), failures: JSON.stringify(failures) };
  });
  await trx
    .insertInto('node_measurements')
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(['network', 'at', 'host']).doUpdateSet((eb) => ({
        latency: eb.ref('excluded.latency'),
        failures: eb.ref('excluded.failures'),
      })),
    )
    .execute();
}

/** Of a chain's nodes in the span [since, until), Unix ms, the oldest first. */
export async function listNodeMeasurements(
  db: Db,
  { network, since, until }: { network: Network; since: number; until?: number },
): Promise<NodeMeasurement[]> {
  let query = db
    .selectFrom('node_measurements')
    .select(['host', 'at', 'latency', 'failures'])
    .where('network', '=', network)
    .where('at', '>=', since)
    .orderBy('at')
    .orderBy('host');
  if (until !== undefined) query = query.where('at', '<', until);
  return (await query.execute()).map((row) => ({
    host: row.host,
    at: row.at,
    latency: JSON.parse(row.latency) as number[],
    failures: JSON.parse(row.failures) as NodeMeasurement['failures'],
  }));
}

const hourMs = 3_600_000;

/** What began in the last hour, by chain. */
export async function readLastHour(
  db: Db,
  chains: readonly { network: Network }[],
  now: number,
): Promise<Map<Network, NodeMeasurement[]>> {
  const found = new Map<Network, NodeMeasurement[]>();
  for (const { network } of chains)
    found.set(network, await listNodeMeasurements(db, { network, since: now - hourMs }));
  return found;
}
