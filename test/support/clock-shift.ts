/*
 * Loaded into a daemon under test before its own code: its clock runs ahead of the machine's by what the test
 * says, so that half an hour passes in no time. Timers are not touched. It also ends with the test that
 * started it, however that ends.
 */

let offsetMs = Number(process.env.DEPOSITD_TEST_CLOCK_OFFSET_MS ?? 0);
const realNow = Date.now;

Date.now = () => realNow() + offsetMs;
globalThis.Date = new Proxy(Date, {
  construct: (target, given, newTarget) =>
    Reflect.construct(target, given.length === 0 ? [target.now()] : given, newTarget),
});

process.on('message', (message: { clockOffsetMs?: number }) => {
  if (message.clockOffsetMs === undefined) return;
  offsetMs = message.clockOffsetMs;
  process.send?.({ clockOffsetMs: offsetMs });
});
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// Listening must not keep a daemon alive that has stopped.
process.channel?.unref();

export {};
