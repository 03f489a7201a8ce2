import type { Clock } from '../clock.ts';
import { dayOf } from '../core/day.ts';

/** What was asked of one node on one day (UTC, days since 1970). Each call of a batch counts; bytes go both ways. */
export type UsageRow = { host: string; day: number; method: string; calls: number; bytes: number };

/** Told of each call that was sent, whatever came back. */
export type CountCall = (method: string, bytes: number) => void;

export type UsageMeter = {
  /** What the client of a node is given. */
  counterOf(host: string): CountCall;
  /** Everything since the last take, once. */
  take(): UsageRow[];
  /** What could not be written down is taken again. */
  putBack(rows: readonly UsageRow[]): void;
};

/** Far above the methods that are asked for: a list that nobody can lengthen. */
const mostRows = 10_000;

export function createUsageMeter(clock: Clock): UsageMeter {
  let rows = new Map<string, UsageRow>();

  function add(added: UsageRow): void {
    const key = `${added.day} ${added.host} ${added.method}`;
    const known = rows.get(key);
    if (known === undefined && rows.size >= mostRows) return;
    rows.set(key, {
      ...added,
      calls: added.calls + (known?.calls ?? 0),
      bytes: added.bytes + (known?.bytes ?? 0),
    });
  }

  return {
    counterOf: (host) => (method, bytes) => {
      add({ host, day: dayOf(clock()), method, calls: 1, bytes });
    },
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
