import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** Megabytes that V8 has set aside for new objects, before and after the release, with much alive at both times. */
const program = `
  import { getHeapSpaceStatistics } from 'node:v8';
  import { holdYoungGeneration, releaseYoungGeneration } from '${join(import.meta.dirname, '../src/young-generation.ts')}';
  const fill = () => {
    const alive = [];
    for (let i = 0; i < 500_000; i++) alive.push({ i });
    return getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size / 2 ** 20;
  };
  holdYoungGeneration();
  const held = fill();
  releaseYoungGeneration();
  console.log(JSON.stringify({ held, released: fill() }));
`;

test('while the program is loaded the space for new objects does not grow, and when work asks for it, it does', () => {
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  const { held, released } = JSON.parse(output) as { held: number; released: number };
  expect(held).toBeLessThanOrEqual(2);
  expect(released).toBeGreaterThanOrEqual(8);
});
