import { runDemo } from '../demo/demo.ts';
import { createScreen } from '../demo/screen.ts';

/** Runs the demo until it is done or a signal ends it; a second signal ends the process at once. */
export async function demo(options: { once?: boolean; blockSeconds: number }): Promise<void> {
  const ending = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (ending.signal.aborted) process.exit(130);
      ending.abort();
    });
  }
  await runDemo({
    once: options.once ?? false,
    blockSeconds: options.blockSeconds,
    screen: createScreen(process.stdout),
    signal: ending.signal,
  });
}
