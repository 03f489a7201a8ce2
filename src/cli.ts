#!/usr/bin/env node
/*
 * The commands. Each is one function in src/commands/, loaded only when it is asked for.
 */

const oldestNode = 24;

const major = Number(process.versions.node.split('.')[0]);
if (major < oldestNode) {
  console.error(`depositd: needs Node ${oldestNode} or newer; this is Node ${process.versions.node}`);
  process.exit(1);
}
// Not before: what they load does not work on an older Node.
const { holdYoungGeneration } = await import('./young-generation.ts');
holdYoungGeneration();
const { waitForEachAddress } = await import('./resolve.ts');
waitForEachAddress();
const { run } = await import('./commands/program.ts');
process.exitCode = await run(process.argv.slice(2));
