import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Ticks of the clock in a second, as every Linux counts them. */
const ticksPerSecond = 100;

export type Usage = { cpuSeconds: number; rssMb: number };

/** What a process has used so far and holds now, where there is a `/proc`: zeros elsewhere. */
export function usageOf({ pid }: Pick<ChildProcess, 'pid'>): Usage {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // After the name, which may hold anything: user and system time are the 14th and 15th of all.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const rss = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
    return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond, rssMb: rss / 1024 };
  } catch {
    return { cpuSeconds: 0, rssMb: 0 };
  }
}
