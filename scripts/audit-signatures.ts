/**
 * Has npm compare what is installed with the registry's signatures: `npm run audit-signatures`. Ends with 1 where one is
 * wrong. Where no registry can be asked, or one signs nothing, it says so and ends with 0: that is no reason not to test.
 */
import { spawnSync } from 'node:child_process';

/** Together with npm's own repetitions, ms. */
const patienceMs = 60_000;

const { stdout, error } = spawnSync(
  'npm',
  ['audit', 'signatures', '--json', '--fetch-retries=0', '--fetch-timeout=20000'],
  { encoding: 'utf8', timeout: patienceMs },
);
const found = parse(stdout);
if (found === null) {
  console.log(`signatures not checked: ${error === undefined ? 'no registry answers' : 'no answer in time'}`);
} else {
  const names = found.invalid.map(({ name, version }) => `${name}@${version}`);
  console.log(names.length === 0 ? 'no signature is wrong' : `wrong signatures: ${names.join(', ')}`);
  if (names.length > 0) process.exitCode = 1;
}

type Found = { invalid: { name: string; version: string }[] };

function parse(text: string): Found | null {
  try {
    const found = JSON.parse(text) as Partial<Found>;
    return Array.isArray(found.invalid) ? { invalid: found.invalid } : null;
  } catch {
    return null;
  }
}
