import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventTypes } from '../src/core/events.ts';

/*
 * The table of docs/payment-lifecycle.md against the tests that show each of its rows.
 */

const root = join(import.meta.dirname, '..');
const page = readFileSync(join(root, 'docs/payment-lifecycle.md'), 'utf8');

type Row = { outcome: string; api: string; event: string; reportedBy: string };

function rows(): Row[] {
  const [, table = ''] = page.split('## Outcomes');
  return table
    .split('\n')
    .filter((line) => line.startsWith('| **'))
    .map((line) => {
      const [outcome = '', , api = '', event = '', , reportedBy = ''] = line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim());
      return { outcome, api, event, reportedBy };
    });
}

/** The titles of the tests in the files of test/e2e whose names match. */
function titles(files: RegExp): string[] {
  const folder = join(root, 'test/e2e');
  return readdirSync(folder)
    .filter((name) => files.test(name))
    .flatMap((name) => {
      const text = readFileSync(join(folder, name), 'utf8');
      return [...text.matchAll(/^ *test\((['"`])(.*?)\1, async/gm)].map((match) => match[2] ?? '');
    });
}

describe('the table of outcomes', () => {
  test('has for each row an end-to-end test of that name', () => {
    const known = new Set(titles(/\.test\.ts$/));
    expect(rows().length).toBeGreaterThan(20);
    expect(rows().filter((row) => !known.has(row.reportedBy))).toEqual([]);
  });

  test('has a row for each end-to-end test of an outcome', () => {
    const shown = new Set(rows().map((row) => row.reportedBy));
    expect(titles(/^outcomes.*\.test\.ts$/).length).toBeGreaterThan(20);
    expect(titles(/^outcomes.*\.test\.ts$/).filter((title) => !shown.has(title))).toEqual([]);
  });

  test('names every status, every reason, every ground of an unmatched deposit and only events that exist', () => {
    const api = rows()
      .map((row) => row.api)
      .join();
    for (const word of [
      ...['pending', 'confirmed', 'expired', 'cancelled', 'failed'],
      ...['underpaid', 'overpaid', 'late', 'reorged'],
      ...['no_payment', 'wrong_token', 'wrong_network', 'before_lock', 'unexplained'],
    ]) {
      expect(api).toContain(`\`${word}\``);
    }
    const events = rows().flatMap((row) => [...row.event.matchAll(/`([^`]+)`/g)].map((match) => match[1]));
    expect(events.filter((event) => !(eventTypes as readonly unknown[]).includes(event))).toEqual([]);
  });
});
