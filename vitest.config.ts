import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/setup.ts'],
    reporters: ['default', './test/support/closing-line.ts'],
    // Processes, not threads: the SQLite addon and child processes behave as in the daemon.
    pool: 'forks',
    // A process runs many files and loads each module once: loading them anew for each took a third of the processors' time. So
    // no test leaves anything behind in a module, `process.env` or the listeners of the process.
    isolate: false,
    // Node imports the sources itself, as it does in production: rewritten by Vite they run an eighth slower, and rewriting takes
    // longer than all imports do. So there is no `vi.mock`, which we do without anyway.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    // Twice the cores of a small machine: half of the tests' time is waiting, for timers and for each other's processes.
    maxWorkers: 4,
    // Much is made anew for each test. With V8's usual megabyte for new objects a tenth of the time goes into collecting them.
    execArgv: ['--min-semi-space-size=16', '--max-semi-space-size=32'],
    testTimeout: 30_000,
    // A shared machine may stall for seconds. A test that fails twice fails; here at a desk, once is enough.
    retry: process.env.CI === undefined ? 0 : 1,
    hookTimeout: 30_000,
    teardownTimeout: 20_000,
    unstubEnvs: true,
  },
});
