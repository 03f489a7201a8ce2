import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, getPriority, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';

const path = join(import.meta.dirname, '../RESULTS.md');

const title =
  '# Benchmarks\n\nEach section is written by `npm run bench -- NAME`. Compare ratios within one run, not absolute times.\n';

/** Replaces a benchmark's section of RESULTS.md. */
export function writeResults(name: string, lines: readonly string[]): void {
  const text = existsSync(path) ? readFileSync(path, 'utf8') : title;
  const sections = text.split(/^(?=## )/m);
  const section = `## ${name}\n\n${new Date().toISOString().slice(0, 10)}, ${machine()}\n\n${lines.join('\n')}\n\n`;
  const others = sections.filter((one) => !one.startsWith(`## ${name}\n`));
  writeFileSync(
    path,
    `${others.map((one) => `${one.trimEnd()}\n\n`).join('')}${section}`.trimEnd().concat('\n'),
  );
}

/** What else ran meanwhile tells how far the figures can be trusted. */
export function machine(): string {
  const priority = getPriority() === 0 ? '' : `, nice ${getPriority()}`;
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, ${memory} GiB, Node ${process.version}, ${process.platform}, load average ${loadavg()[0]?.toFixed(1)}${priority}`;
}
