import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDatabase } from '../../src/storage/database.ts';
import { openShop } from '../support/shop.ts';
import { commandHome, readAudit } from './support.ts';

test('payments are listed, shown and cancelled, and what cannot be done says why', async () => {
  const home = commandHome();
  const db = await openDatabase(`sqlite:${join(home.folder, 'depositd.db')}`);
  const shop = await openShop(db);
  const [first, second] = [await shop.create(), await shop.create()];
  await db.destroy();

  const list = await home.runJson<{ data: object[] }>('payment', 'list', '--status', 'pending');
  expect(list.data).toMatchObject([
    { payment_number: second.paymentNumber, status: 'pending' },
    { payment_number: first.paymentNumber, merchant_id: shop.merchantId },
  ]);
  expect(JSON.stringify(list)).not.toContain('payment_token');
  const report = async (...args: string[]) => {
    const { stdout } = await home.run('report', ...args);
    return stdout
      .trimEnd()
      .split('\r\n')
      .map((line) => line.split(/[,;]/)[0]);
  };
  const title = '\ufeff"payment_number"';
  const numbers = [second, first].map(({ paymentNumber }) => `"${paymentNumber}"`);
  expect(await report('--merchant', shop.merchantId)).toEqual([title, ...numbers]);
  expect(await report('--semicolon', '--since', '2100-01-01')).toEqual([title]);
  expect(await home.run('payment', 'show', first.paymentNumber)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(first.address),
  });
  expect(await home.runJson('payment', 'cancel', first.paymentNumber)).toMatchObject({ status: 'cancelled' });
  expect(await home.run('payment', 'cancel', first.paymentNumber)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('the payment cannot be cancelled'),
  });
  const accept = ['payment', 'accept', second.paymentNumber];
  expect((await home.run(...accept)).code).toBe(2);
  expect(await home.run(...accept, '--reason', 'known')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('the payment cannot be accepted'),
  });
  expect(await home.run('deposit', 'attach', '7', second.paymentNumber, '--reason', 'known')).toMatchObject({
    code: 1,
    stderr: 'depositd: there is no deposit 7; "depositd deposit list" shows them\n',
  });
  expect((await readAudit(home.folder)).at(-1)).toMatchObject({
    action: 'payment.cancelled',
    actor: 'cli',
    detail: { payment: first.paymentNumber },
  });
}, 120_000);
