import { type Clock, within } from '../clock.ts';
import type { Network } from '../core/networks.ts';
import type { Logger } from '../log.ts';
import { runLoop } from '../loop.ts';
import { createUsageMeter, type UsageMeter } from '../nodes/usage.ts';
import { addNodeUsage } from '../storage/chains/usage.ts';
import { inTransaction } from '../storage/database.ts';
import type { Db } from '../storage/schema.ts';

type Asked = { db: Db; network: Network; meter: UsageMeter };

/** Adds what the nodes of a chain were asked since the last time to what all processes asked; answers the calls by host. */
export async function noteUsage({ db, network, meter }: Asked): Promise<Map<string, number>> {
  const rows = meter.take();
  const calls = new Map<string, number>();
  if (rows.length === 0) return calls;
  try {
    await inTransaction(db, (trx) =>
      addNodeUsage(
        trx,
        rows.map((row) => ({ network, ...row })),
      ),
    );
  } catch (error) {
    meter.putBack(rows);
    throw error;
  }
  for (const { host, calls: more } of rows) calls.set(host, (calls.get(host) ?? 0) + more);
  return calls;
}

/** How often, ms. */
const noteEveryMs = 15_000;

/** How long the last note may hold up an end, while the database is away, ms. */
const lastNoteMs = 2_000;

/** Notes it now and then, and at the end, for those that do not read the chain. */
export function keepNotingUsage({ log, ...asked }: Asked & { log: Logger }): { stop(): Promise<void> } {
  const note = () => noteUsage(asked);
  const loop = runLoop({ name: 'node usage', step: note, delay: () => noteEveryMs, log });
  return {
    async stop() {
      await loop.stop();
      await noteLastUsage(asked);
    },
  };
}

/** What was asked since, where the database is there. */
export async function noteLastUsage(asked: Asked): Promise<void> {
  await within(
    noteUsage(asked).catch(() => {}),
    lastNoteMs,
  );
}

/** For a command that asks the nodes of whatever chains. */
export function createUsageMeters(clock: Clock): {
  meterOf(network: Network): UsageMeter;
  noteLast(db: Db): Promise<void>;
} {
  const meters = new Map<Network, UsageMeter>();
  return {
    meterOf(network) {
      const meter = meters.get(network) ?? createUsageMeter(clock);
      meters.set(network, meter);
      return meter;
    },
    async noteLast(db) {
      for (const [network, meter] of meters) await noteLastUsage({ db, network, meter });
    },
  };
}
