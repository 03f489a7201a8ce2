/**
 * Plants the mistakes of `mistakes.ts` and `payment-mistakes.ts` in the sources, one after another, and runs the test that should notice each:
 * `node scripts/mutate.ts` for all of them, `node scripts/mutate.ts agreement/head` for those whose file or sentence has these
 * words in it. Every file is put back as it was, also when this is interrupted. Exit code 1 when a mistake survives.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mistake, mistakes } from './mistakes.ts';
import { paymentMistakes } from './payment-mistakes.ts';

const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'depositd-mutate-'));
const report = join(folder, 'report.json');

type Test = { fullName: string; status: string };

/** Runs the tests of a file with these words in their names, on SQLite, which is the cheaper. Those that passed; null: not all did. */
function passing(file: string, names: readonly string[]): string[] | null {
  const escaped = names.map((name) => name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const pattern = `^(?!.* on PostgreSQL).*(${escaped.join('|')})`;
  const vitest = join(root, 'node_modules/.bin/vitest');
  const args = [
    'run',
    file,
    '-t',
    pattern,
    '--maxWorkers=1',
    '--bail=1',
    '--reporter=json',
    '--outputFile',
    report,
  ];
  rmSync(report, { force: true });
  const { status } = spawnSync(vitest, args, { cwd: root, stdio: 'ignore' });
  if (status !== 0) return null;
  const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as {
    testResults: { assertionResults: Test[] }[];
  };
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  return tests.filter((test) => test.status === 'passed').map(({ fullName }) => fullName);
}

function isCaught({ file, find, replace, caughtBy }: Mistake): boolean {
  const path = join(root, file);
  const source = readFileSync(path, 'utf8');
  try {
    writeFileSync(
      path,
      source.replace(find, () => replace),
    );
    return passing(caughtBy.file, [caughtBy.test]) === null;
  } finally {
    writeFileSync(path, source);
  }
}

// An interrupted run ends after the file is put back.
let stopped = false;
process.on('SIGINT', () => {
  stopped = true;
});

const [words = ''] = process.argv.slice(2);
const chosen = [...mistakes, ...paymentMistakes].filter(({ file, what }) =>
  `${file}: ${what}`.includes(words),
);
for (const { file, find, what } of chosen) {
  if (readFileSync(join(root, file), 'utf8').split(find).length !== 2)
    throw new Error(`"${what}": ${file} does not have exactly once: ${find}`);
}
for (const [file, those] of Map.groupBy(chosen, ({ caughtBy }) => caughtBy.file)) {
  const names = [...new Set(those.map(({ caughtBy }) => caughtBy.test))];
  const passed = passing(file, names);
  if (passed === null) throw new Error(`${file} fails without any mistake`);
  const missing = names.filter((name) => !passed.some((full) => full.includes(name)));
  if (missing.length > 0) throw new Error(`${file} has no test named: ${missing.join('; ')}`);
}
let survived = 0;
for (const mistake of chosen) {
  if (stopped) break;
  const caught = isCaught(mistake);
  if (!caught) survived += 1;
  console.log(`${caught ? 'caught  ' : 'SURVIVED'} ${mistake.file}: ${mistake.what}`);
}
rmSync(folder, { recursive: true });
console.log(`${chosen.length} planted, ${survived} survived`);
process.exitCode = survived > 0 || stopped ? 1 : 0;
