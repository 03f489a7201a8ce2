/*
 * Loaded into a daemon under test: when the test asks, it says how much of its memory is in use, after everything that is
 * not has been collected: it is started with --expose-gc. (What the process holds besides is V8's, kept for the next burst of work.)
 */
const collect = globalThis.gc as () => void;

process.on('message', async (message: { liveBytes?: true }) => {
  if (message.liveBytes === undefined) return;
  // Finalizers run between two collections, and let go of more.
  for (let n = 0; n < 3; n++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  process.send?.({ liveBytes: heapUsed + external });
});
process.channel?.unref();
