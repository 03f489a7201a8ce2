import { randomBytes } from 'node:crypto';
import { openSync, readFileSync, realpathSync, renameSync, symlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { dayOf } from '../../src/core/day.ts';
import { listNodeUsage } from '../../src/storage/chains/usage.ts';
import { openDatabase } from '../../src/storage/database.ts';
import type { DaemonHome } from '../support/daemon.ts';
import { freshDatabaseUrl, testFolder } from '../support/databases.ts';
import { startLoopback } from '../support/loopback.ts';
import { createSimulatedTronChain } from '../support/tron/simulated-chain.ts';
import { startSimulatedTronNode } from '../support/tron/simulated-node.ts';
import { chainIdOf } from '../support/tron/source.ts';
import { commandHome, offline } from './support.ts';

type Report = {
  well: boolean;
  findings: {
    part: string;
    subject: string;
    outcome: string;
    found: string;
    money?: string;
    todo?: string;
  }[];
  nodes: { network: string; host: string; checks: Record<string, string>[] }[];
};

async function callsNoted(home: DaemonHome): Promise<number> {
  const db = await openDatabase(`sqlite:${join(home.folder, 'depositd.db')}`);
  const usage = await listNodeUsage(db, dayOf(Date.now()));
  await db.destroy();
  return usage.reduce((sum, { calls }) => sum + calls, 0);
}

test('doctor says of each node what is wrong, what it means for money and what to do, and fails where it would cost money', async () => {
  const chain = createSimulatedTronChain({ clock: Date.now, finalityLag: 18, height: 40 });
  const node = await startSimulatedTronNode(chain);
  onTestFinished(() => node.close());
  const tron = { rpc: [node.url], chainId: chainIdOf(chain) };
  const home = commandHome({
    ...offline,
    publicUrl: 'http://127.0.0.1:1',
    rates: { sources: ['fixed'], fixed: { usdt: '1', trx: '0.3' } },
    chains: { tron },
  });
  const { code, stdout } = await home.run('doctor');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^CHAIN +NODE +CHECK +RESULT +FOUND\n/);
  const [ofNodes = '', around = ''] = stdout.split('\n\n');
  expect(ofNodes.match(/ well /g)).toHaveLength(7);
  expect(around).toMatch(/^PART +OF +RESULT +FOUND\n/);
  // Nothing listens at its public URL, and the daemon has not made its database yet.
  expect(around.match(/ warning /g)).toHaveLength(2);
  expect(around).toMatch(/^clock +this machine +well +right, by 1 server$/m);
  expect(stdout).toContain('  to do: start the daemon, which makes it');

  // What it asks counts with what daemons ask the node.
  await home.runJson('merchant', 'add', 'Shop');
  node.calls.length = 0;
  expect((await home.run('doctor')).code).toBe(0);
  // All but the question what time it is, for which its web server is enough.
  expect(await callsNoted(home)).toBe(node.calls.length - 1);

  node.fault = ({ method }, answer) =>
    method === 'gettransactioninfobyblocknum' ? { ...answer, text: '{}' } : answer;
  const bad = await home.run('doctor', '--json');
  expect(bad).toMatchObject({ code: 1, stderr: 'depositd: 2 findings that would cost money\n' });
  const report = JSON.parse(bad.stdout) as Report;
  expect(report.well).toBe(false);
  const parts = report.findings.map(({ part }) => part);
  expect(parts).toEqual([
    'clock',
    'disk',
    'file system',
    'database',
    'addresses',
    'webhooks',
    'prices',
    'prices',
    'public URL',
  ]);
  expect(report.nodes[0]).toMatchObject({ network: 'tron', host: new URL(node.url).host });
  expect(report.nodes[0]?.checks.find(({ name }) => name === 'transfers')).toEqual({
    name: 'transfers',
    outcome: 'danger',
    found: expect.stringMatching(/^it has no infos of block \d+/),
    money: 'payments are not seen at all through it',
    todo: expect.stringContaining('take another node'),
  });
  const shown = await home.run('doctor');
  expect(shown.stdout).toContain(`danger: tron, ${new URL(node.url).host}: it has no infos of block`);
  expect(shown.stdout).toContain('  for money: payments are not seen at all through it');
});

test('doctor of a shop where everything is wrong says of each finding what it means for money and what to do, on PostgreSQL too', async () => {
  // No node, and a machine whose clock is ten seconds behind ours.
  const { url: node } = await startLoopback((_request, response) => {
    response.setHeader('date', new Date(Date.now() - 10_000).toUTCString());
    response.end();
  });
  const home = commandHome({
    ...offline,
    database: await freshDatabaseUrl('PostgreSQL', { migrated: true }),
    publicUrl: node,
    rates: { sources: ['fixed'], fixed: { usdt: '1' } },
    chains: { bsc: { rpc: [node] } },
    webhooks: { allowHosts: ['127.0.0.1'], secretKey: randomBytes(32).toString('base64') },
  });
  const { id } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
  await home.runJson('webhook', 'add', '--merchant', id, 'http://127.0.0.1:1/hooks');
  const { code, stdout } = await home.run('doctor', '--json');
  expect(code).toBe(1);
  const { well, findings, nodes } = JSON.parse(stdout) as Report;
  expect(well).toBe(false);
  const of = (part: string) => findings.filter((finding) => finding.part === part);
  const ahead = expect.stringMatching(/^it is (9|10|11) seconds ahead, by 1 server$/);
  expect(of('clock')).toMatchObject([
    { subject: 'this machine', outcome: 'warning', found: ahead },
    { subject: 'the database server', outcome: 'warning', found: ahead },
  ]);
  // The server of these tests keeps nothing for the day after.
  expect(of('database')).toMatchObject([
    { outcome: 'well' },
    { outcome: 'danger', found: expect.stringContaining('fsync is off') },
    { outcome: 'danger', found: expect.stringContaining('synchronous_commit is off') },
  ]);
  expect(of('database signals')).toMatchObject([{ outcome: 'well', found: 'NOTIFY arrives' }]);
  expect(of('webhooks')).toMatchObject([{ subject: '127.0.0.1:1', outcome: 'danger' }]);
  expect(of('prices').filter(({ outcome }) => outcome === 'danger').length).toBeGreaterThan(0);
  expect(of('public URL')).toMatchObject([
    { outcome: 'danger', found: expect.stringContaining('something else answers there') },
  ]);
  const bad = [...findings, ...nodes.flatMap(({ checks }) => checks)].filter((one) => one.outcome !== 'well');
  for (const { found, money, todo } of bad)
    expect({ money, todo }, found).toEqual({
      money: expect.stringMatching(/\w{3}/),
      todo: expect.stringMatching(/\w{3}/),
    });
  const shown = await home.run('doctor');
  expect(shown.stdout.match(/^ {2}for money: \w/gm)).toHaveLength(bad.length);
  expect(shown.stdout.match(/^ {2}to do: \w/gm)).toHaveLength(bad.length);
});

test('doctor finds that the database is damaged, fails, and writes nothing into it', async () => {
  const home = commandHome({ ...offline, publicUrl: 'http://127.0.0.1:1' });
  for (let n = 0; n < 3; n++) await home.run('merchant', 'add', `Shop ${n}`);
  const path = join(home.folder, 'depositd.db');
  const pages = readFileSync(path).length / 4096;
  writeSync(openSync(path, 'r+'), Buffer.alloc(4096, 7), 0, 4096, 4096 * Math.floor(pages / 2));
  const before = readFileSync(path);
  const { code, stdout } = await home.run('doctor', '--json');
  expect(code).toBe(1);
  expect((JSON.parse(stdout) as Report).findings.find(({ part }) => part === 'database')).toMatchObject({
    outcome: 'danger',
    found: expect.stringMatching(/^it is damaged: |^it cannot be read: /),
    todo: expect.stringContaining('depositd restore'),
  });
  expect(readFileSync(path).equals(before)).toBe(true);
});

test('doctor looks at the disk on which the database is, where its name is a link', async () => {
  const home = commandHome({ ...offline, publicUrl: 'http://127.0.0.1:1' });
  await home.run('merchant', 'add', 'Shop');
  const disk = realpathSync(testFolder());
  const path = join(home.folder, 'depositd.db');
  renameSync(path, join(disk, 'real.db'));
  symlinkSync(join(disk, 'real.db'), path);
  const { stdout } = await home.run('doctor', '--json');
  const { findings } = JSON.parse(stdout) as Report;
  const places = findings.filter(({ part }) => part === 'disk' || part === 'file system');
  expect(places.map(({ subject }) => subject)).toEqual([disk, disk]);
});
