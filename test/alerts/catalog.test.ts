import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { alertCatalog, alertNames, runbookOf } from '../../src/alerts/catalog.ts';
import { createProgram } from '../../src/commands/program.ts';

const root = join(import.meta.dirname, '../..');

const source = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.startsWith('alerts'))
  .map((name) => readFileSync(join(root, 'src', name), 'utf8'))
  .join();

describe('the catalogue of alerts', () => {
  test('links each to a section of its own that says what to do', () => {
    const page = readFileSync(join(root, 'docs/alerts.md'), 'utf8');
    for (const name of alertNames) {
      const [file, anchor] = runbookOf(name).split('#');
      expect(file).toBe('docs/alerts.md');
      const section = new RegExp(`^## ${anchor}\\n\\n([\\s\\S]*?)(?=^## |$(?![\\s\\S]))`, 'm').exec(
        page,
      )?.[1];
      expect(section?.length ?? 0, name).toBeGreaterThan(60);
    }
    const sections = [...page.matchAll(/^## ([a-z_]+)$/gm)].map(([, name]) => name);
    expect(sections.toSorted()).toEqual([...alertNames].toSorted());
  });

  test.each(alertNames)('of %s names a log line and a metric that there are', (name) => {
    const { log, metric } = alertCatalog[name];
    if (log !== null) expect(source).toContain(`'${log}'`);
    if (metric !== null) expect(source).toContain(`'${metric}'`);
  });

  test('tells only of commands that there are', () => {
    const program = createProgram(() => {});
    const unknown = Object.values(alertCatalog).flatMap(({ action }) =>
      [...action.matchAll(/depositd ([a-z-]+)(?: ([a-z-]+))?/g)].flatMap(([all, group, name]) => {
        const command = program.commands.find((one) => one.name() === group);
        if (command === undefined) return [all];
        const isGroup = command.commands.length > 0;
        return isGroup && !command.commands.some((one) => one.name() === name) ? [all] : [];
      }),
    );
    expect(unknown).toEqual([]);
  });
});
