import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

/** A process whose clock runs ahead, and which says what time it is for it. */
function startShifted(offsetMs: number) {
  const program = `setInterval(() => {}, 1000); process.on('SIGUSR2', () => console.log(JSON.stringify(
    [Date.now(), new Date().getTime(), new Date(7).getTime(), new Date() instanceof Date])));
    console.log('ready');`;
  const child = spawn(
    process.execPath,
    ['--import', join(import.meta.dirname, 'clock-shift.ts'), '--eval', program],
    {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      env: { DEPOSITD_TEST_CLOCK_OFFSET_MS: String(offsetMs) },
    },
  );
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const line = async () => String((await once(child.stdout ?? child, 'data'))[0]);
  const ask = async () => {
    const answer = line();
    child.kill('SIGUSR2');
    return JSON.parse(await answer) as [number, number, number, boolean];
  };
  return { child, line, ask };
}

const hour = 3_600_000;

test("a process's clock runs ahead by what it was started with, and by what it is told later", async () => {
  const { child, line, ask } = startShifted(hour);
  await line();
  const before = Date.now();
  const [now, dated, given, isDate] = await ask();
  expect(now).toBeGreaterThanOrEqual(before + hour);
  expect(now).toBeLessThanOrEqual(Date.now() + hour);
  expect(dated).toBeGreaterThanOrEqual(now);
  expect([given, isDate]).toEqual([7, true]);

  const noticed = once(child, 'message');
  child.send({ clockOffsetMs: 5 * hour });
  await noticed;
  expect((await ask())[0]).toBeGreaterThanOrEqual(before + 5 * hour);
});

test('the process ends when its test is gone', async () => {
  const { child, line } = startShifted(0);
  await line();
  const ended = once(child, 'exit');
  child.disconnect();
  expect((await ended)[1]).toBe('SIGKILL');
});
