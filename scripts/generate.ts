import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedFiles } from './generated-files.ts';

/** Writes the files that are made from the source: `npm run generate`. */
const root = join(import.meta.dirname, '..');

for (const [name, content] of Object.entries(await generatedFiles())) {
  writeFileSync(join(root, name), content);
  console.log(`wrote ${name}`);
}
