import { expect, test } from 'vitest';
import { walkFirstHour } from '../scripts/first-hour.ts';

test('who follows the README from an empty folder, command by command, has a confirmed payment and its webhook', async () => {
  const { commands, received } = await walkFirstHour(() => {});
  expect(commands.length).toBeGreaterThan(10);
  expect(received).toMatch(/order-1 paid: 5\.000000 USDT in 0x[0-9a-f]{64}/);
}, 180_000);
