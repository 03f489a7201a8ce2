import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { dayOf } from '../../src/core/day.ts';
import { listNodeUsage } from '../../src/storage/chains/usage.ts';
import { openDatabase } from '../../src/storage/database.ts';
import type { DaemonHome } from '../support/daemon.ts';
import { createSimulatedTronChain } from '../support/tron/simulated-chain.ts';
import { startSimulatedTronNode } from '../support/tron/simulated-node.ts';
import { chainIdOf } from '../support/tron/source.ts';
import { commandHome, offline } from './support.ts';

type Report = {
  well: boolean;
  findings: { part: string; subject: string; outcome: string }[];
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
  expect(parts).toEqual(['clock', 'disk', 'file system', 'database', 'prices', 'prices', 'public URL']);
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
