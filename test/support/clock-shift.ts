/*
 * Loaded into a daemon under test before its own code: its clock runs ahead of the machine's by what the test
 * says, so that half an hour passes in no time. Timers are not touched. It also ends with the test that
 * started it, however that ends.
 */

let offsetMs = Number(process.env.DEPOSITD_TEST_CLOCK_OFFSET_MS ?? 0);
const realNow = Date.now;
const realElapsed = performance.now.bind(performance);
/** Time that passes, passes for a clock that nobody sets too; that one never goes back. */
let elapsedMs = Math.max(0, offsetMs);

Date.now = () => realNow() + offsetMs;
performance.now = () => realElapsed() + elapsedMs;
globalThis.Date = new Proxy(Date, {
  construct: (target, given, newTarget) =>
    Reflect.construct(target, given.length === 0 ? [target.now()] : given, newTarget),
});

process.on('message', (message: { clockOffsetMs?: number }) => {
  if (message.clockOffsetMs === undefined) return;
  offsetMs = message.clockOffsetMs;
  elapsedMs = Math.max(elapsedMs, offsetMs);
  process.send?.({ clockOffsetMs: offsetMs });
});
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// Listening must not keep a daemon alive that has stopped.
process.channel?.unref();

export {};
