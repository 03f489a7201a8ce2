import { writeSync } from 'node:fs';
import type { Reporter } from 'vitest/node';

/** Ends the output with one line that a program can read, after vitest's own summary. */
export default class ClosingLine implements Reporter {
  onTestRunEnd: NonNullable<Reporter['onTestRunEnd']> = (modules, unhandledErrors) => {
    let passed = 0;
    // A file that did not load, a failed hook or an error outside every test counts as one failure each.
    let failed = unhandledErrors.length;
    for (const module of modules) {
      let failedHere = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed++;
        if (state === 'failed') failedHere++;
      }
      failed += failedHere === 0 && !module.ok() ? 1 : failedHere;
    }
    process.once('exit', () => writeSync(1, `${passed} passed, ${failed} failed\n`));
  };
}
