import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { inTransaction, openDatabase } from '../../src/storage/database.ts';
import { commandHome, offline } from '../commands/support.ts';
import { adminToken } from '../support/daemon.ts';
import { startReceiver } from '../support/receiver.ts';

test('a daemon tells of what it finds, and shows the same to each who asks', async () => {
  const receiver = await startReceiver();
  onTestFinished(() => receiver.stop());
  const home = commandHome({
    ...offline,
    listen: { port: 0 },
    alerts: { to: [{ type: 'webhook', url: receiver.url('/alerts') }] },
  });
  const shop = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
  const endpoint = await home.runJson<{ id: string }>(
    ...['webhook', 'add', '--merchant', shop.id, 'https://shop.example/hooks', '--json'],
  );
  const db = await openDatabase(`sqlite:${join(home.folder, 'depositd.db')}`);
  await inTransaction(db, (trx) =>
    trx.updateTable('webhook_endpoints').set({ active: 0, disabled_reason: 'gone' }).execute(),
  );
  await db.destroy();
  expect(await home.run('alert', 'list')).toMatchObject({ code: 0, stdout: 'nothing needs you\n' });

  const { url } = await home.start();
  const [began] = await receiver.waitForEvent('alert.began');
  expect(JSON.parse(began?.body.toString() ?? '')).toMatchObject({
    alert: 'webhook_disabled',
    severity: 'page',
  });
  const found = {
    alert: 'webhook_disabled',
    subject: endpoint.id,
    runbook: 'docs/alerts.md#webhook_disabled',
    ended_at: null,
  };
  expect(await home.runJson('alert', 'list')).toMatchObject({ data: [found] });
  expect(await home.runJson('status')).toMatchObject({ alerts: [found] });
  expect((await home.run('status')).stdout).toMatch(/^ALERT .*\nwebhook_disabled +page /);
  const answer = await fetch(`${url}/admin/v1/alerts/`, {
    headers: { authorization: `Bearer ${adminToken}` },
  });
  expect(await answer.json()).toMatchObject({ data: [found] });
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toContain('depositd_alerts_active{alert="webhook_disabled"} 1');
  expect(metrics).toContain('depositd_alerts_active{alert="pool_exhausted"} 0');
});

test('alert test tries each way, and says of each what became of it', async () => {
  const receiver = await startReceiver();
  onTestFinished(() => receiver.stop());
  const silent = commandHome();
  expect(await silent.run('alert', 'test')).toMatchObject({
    code: 1,
    stderr: 'depositd: there is nobody to tell: alerts.to in the configuration is empty (docs/alerts.md)\n',
  });
  const token = '123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11';
  const home = commandHome({
    ...offline,
    alerts: {
      to: [
        { type: 'ntfy', url: receiver.url(), topic: 'depositd-1' },
        { type: 'telegram', url: 'http://127.0.0.1:1', token, chatId: '12' },
      ],
    },
  });
  const { code, stdout, stderr } = await home.run('alert', 'test');
  expect({ code, stderr }).toEqual({ code: 1, stderr: 'depositd: not sent: 1 of 2\n' });
  expect(stdout).toMatch(/^TO +RESULT\nntfy 127\.0\.0\.1:\d+ +sent\ntelegram 12 +refused: /);
  expect(stdout).not.toContain(token);
  expect(receiver.requests).toHaveLength(1);
});
