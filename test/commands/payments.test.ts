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
  const shown = await home.run('payment', 'show', first.paymentNumber);
  expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining(first.address) });
  expect(shown.stdout).toMatch(/^price {19}\d+\.\d\d [A-Z]{3}$/m);
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
  const refund = (...more: string[]) =>
    home.run('payment', 'refund', second.paymentNumber, ...more, '--tx', 'a'.repeat(64), '--reason', 'known');
  const to = ['--to', `0x${'4'.repeat(40)}`];
  expect(await refund('--amount', 'many', ...to)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--amount: expected an amount'),
  });
  for (let n = 0; n < 2; n++) expect((await refund('--amount', '5', ...to)).code).toBe(0);
  const refunds = await home.runJson<{ data: object[] }>('payment', 'refunds', second.paymentNumber);
  expect(refunds.data).toMatchObject([{ amount: '5.000000', status: 'not_found', actor: 'cli' }]);
  expect(await home.run('deposit', 'ignore', '7', '--reason', 'known')).toMatchObject({
    code: 1,
    stderr: 'depositd: there is no deposit 7; "depositd deposit list" shows them\n',
  });
  expect(await home.run('deposit', 'attach', '7', second.paymentNumber, '--reason', 'known')).toMatchObject({
    code: 1,
    stderr: 'depositd: there is no deposit 7; "depositd deposit list" shows them\n',
  });
  const audit = await readAudit(home.folder);
  expect(audit.at(-1)).toMatchObject({ action: 'refund.recorded', actor: 'cli' });
  expect(audit.at(-2)).toMatchObject({
    action: 'payment.cancelled',
    actor: 'cli',
    subject: first.paymentNumber,
    detail: { merchant_id: shop.merchantId },
  });
}, 120_000);

test('a text for the audit log is held to the rules of the API, and one that is refused is not repeated', async () => {
  const home = commandHome();
  const { id } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
  const settle = ['provider', 'settle-refund', 'cards', 're_1', '--status', 'failed'];
  const commands = [
    ['payment', 'accept', '1', '--reason'],
    ['deposit', 'attach', '1', '1', '--reason'],
    ['deposit', 'ignore', '1', '--reason'],
    ['payment', 'refund', '1', '--amount', '1', '--to', '1', '--tx', 'a'.repeat(64), '--reason'],
    ['chain', 'accept-fork', '--network', 'bsc', '--reason'],
    ['chain', 'set-cursor', '--network', 'bsc', '--height', '1', '--reason'],
    ['provider', 'refund', '1', '--reason'],
    [...settle, '--reason'],
    [...settle, '--reason', 'known', '--provider-refund'],
    ['webhook', 'add', 'https://shop.example/hook', '--merchant', id, '--description'],
    ['merchant', 'add'],
    ['user', 'add'],
    ['address', 'add', '--merchant', id, '--network', 'bsc', `0x${'1'.repeat(40)}`, '--label'],
  ];
  for (const command of commands) {
    for (const text of ['all \u001b[2Jgone', 'two\nlines', 'half \ud800', 'x'.repeat(501)]) {
      const { code, stderr } = await home.run(...command, text);
      expect(code, command.join(' ')).toBe(1);
      expect(stderr, command.join(' ')).toMatch(/characters|letters/);
      expect(stderr, command.join(' ')).not.toContain(text);
    }
  }
  for (const command of commands.slice(0, 7)) {
    expect(await home.run(...command, ' '), command.join(' ')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('it is empty'),
    });
  }
  expect((await readAudit(home.folder)).map(({ action }) => action)).toEqual(['merchant.added']);
}, 120_000);
