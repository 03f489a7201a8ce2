import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** `npm run bench -- NAME`: runs `bench/NAME.ts`, which measures, prints and writes its section of RESULTS.md. */
const [name = '', ...args] = process.argv.slice(2);
const path = join(import.meta.dirname, `${name}.ts`);
if (!/^[a-z][a-z-]*$/.test(name) || !existsSync(path)) {
  console.error(`usage: npm run bench -- NAME; there is no benchmark ${JSON.stringify(name)}`);
  process.exit(2);
}
const benchmark = (await import(path)) as { run(args: string[]): Promise<void> };
await benchmark.run(args);
// viem goes on polling though it was told to stop.
process.exit(0);
