import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HDKey } from '@scure/bip32';
import { expect, onTestFinished, test } from 'vitest';
import { createCaller } from '../../src/demo/http.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { commandHome, onChain } from '../commands/support.ts';
import { evmAddress } from '../support/addresses.ts';
import { cli, compileCache } from '../support/commands.ts';
import { adminToken } from '../support/daemon.ts';
import { freshDatabaseUrl, testFolder } from '../support/databases.ts';
import { startReceiver } from '../support/receiver.ts';

const root = join(import.meta.dirname, '../..');

type Block = { page: string; text: string };

/** Every block of shell commands of the README and of docs/, in order. */
function printedBlocks(): Block[] {
  const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
  return ['README.md', ...docs.map((name) => join('docs', name))].flatMap((page) =>
    [...readFileSync(join(root, page), 'utf8').matchAll(/^( *)```sh\n([\s\S]*?)^ *```/gm)].map(
      ([, indent = '', text = '']) => ({ page, text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), '') }),
    ),
  );
}

/** Blocks that are not run here, by their beginning, and why not. */
const notRunHere: Readonly<Record<string, string>> = {
  'README.md npm ci && npm run demo': 'test/demo/demo.test.ts runs the demo',
  'README.md npm ci\n': 'test/install.test.ts',
  'README.md ./depositd init': 'scripts/first-hour.ts walks the way of the README',
  'README.md ./depositd merchant add': 'scripts/first-hour.ts',
  'README.md ./depositd address add': 'scripts/first-hour.ts',
  'README.md ./depositd webhook add': 'scripts/first-hour.ts',
  'README.md ./depositd serve': 'scripts/first-hour.ts',
  'README.md (umask 077; echo "X-API-Key': 'scripts/first-hour.ts',
  'docs/operations.md npm ci\nnpm pack':
    'installs for the whole machine; test/package.test.ts packs and starts',
  'docs/operations.md docker build': 'needs Docker',
  'docs/operations.md depositd serve --roles': 'run until stopped; test/e2e/processes.test.ts runs them',
};

/** What changes the machine, and what does instead here: nobody is root, and there is no systemd. */
const ofTheMachine: Readonly<Record<string, string>> = {
  sudo: '[ "$1" = -u ] && shift 2; exec "$@"',
  useradd: 'echo "useradd $*" >> "$HOME/asked"',
  systemctl: 'echo "systemctl $*" >> "$HOME/asked"',
  journalctl: 'echo "journalctl $*" >> "$HOME/asked"',
  // The files stay ours.
  install: `for one; do shift; case "$one" in -o|-g) skip=1;; *) [ "$skip" = 1 ] || set -- "$@" "$one"; skip=;; esac; done
exec /usr/bin/install "$@"`,
};

test('every block of commands that the documentation prints runs as printed, or is listed with why it is not', async () => {
  const chain = await onChain();
  const alertReceiver = await startReceiver();
  onTestFinished(() => alertReceiver.stop());
  const home = commandHome({
    ...chain,
    listen: { port: 0 },
    rates: { ...chain.rates, fixed: { ...chain.rates.fixed, eur: '1.10', trx: '0.3' } },
    chains: { ...chain.chains, tron: { rpc: ['http://127.0.0.1:1/'] } },
    webhooks: { allowHosts: ['127.0.0.1', 'shop.example'] },
    alerts: { to: [{ type: 'webhook', url: alertReceiver.url() }] },
  });
  const shop = await home.runJson<{ id: string; api_key: string }>('merchant', 'add', 'Shop');
  const addresses = Array.from({ length: 8 }, (_, n) => evmAddress(n));
  await home.runJson('address', 'add', '--merchant', shop.id, '--network', 'bsc', ...addresses);
  const endpoint = await home.runJson<{ id: string }>(
    ...['webhook', 'add', '--merchant', shop.id, 'http://127.0.0.1:1/hooks'],
  );
  const { url } = await home.start();
  const app = createCaller(url, { 'x-api-key': shop.api_key });
  const pay = () =>
    app.post<{ payment_number: string }>('/api/v1/payments/', {
      amount_usd_cents: 500,
      network: 'bsc',
      currency: 'usdt',
    });
  const payment = await pay();
  await app.post(`/api/v1/payments/${(await pay()).payment_number}/cancel/`, {});
  const events = await app.get<{ next_cursor: string }>('/api/v1/events/?limit=1');
  const delivery = await home.runJson<{ delivery_id: number }>('webhook', 'test', endpoint.id);
  const node = chain.chains.bsc.rpc[0] as string;

  writeFileSync(join(home.folder, 'addresses.csv'), `network,address\nbsc,${evmAddress(50)}\n`);
  writeFileSync(join(home.folder, 'new-addresses.csv'), `network,address\nbsc,${evmAddress(51)}\n`);
  writeFileSync(join(home.folder, 'api-key.txt'), `X-API-Key: ${shop.api_key}`);
  writeFileSync(
    join(home.folder, '.env'),
    `DEPOSITD_ADMIN_TOKEN=${adminToken}\nRECEIVER_KEY=a-key-of-theirs\n`,
  );
  const bin = join(home.folder, 'bin');
  for (const folder of [bin, join(home.folder, 'backup')]) mkdirSync(folder);
  for (const [name, text] of Object.entries(ofTheMachine))
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  const program = (name: string, line: string) =>
    writeFileSync(join(bin, name), `#!/bin/sh\nexec ${line} "$@"\n`, { mode: 0o755 });
  // A machine that is set up, and a shop on SQLite whose daemon is stopped.
  const newMachine = join(home.folder, 'etc');
  const prepared = testFolder();
  const fixed = { usdt: '1', usdc: '1', busd: '1', bnb: '600' };
  writeFileSync(
    join(prepared, 'config.json'),
    JSON.stringify({ ...chain, rates: { sources: ['fixed'], fixed } }),
  );
  const moving = commandHome();
  await moving.run('merchant', 'add', 'Shop');
  const target = await freshDatabaseUrl('PostgreSQL');
  writeFileSync(
    join(moving.folder, '.env'),
    `DEPOSITD_ADMIN_TOKEN=${adminToken}\nDEPOSITD_DATABASE=${target}\n`,
  );
  const etcOf = (text: string) => {
    if (/^sudo (useradd|-u depositd depositd check-config)/.test(text)) return newMachine;
    return text.startsWith('sudo systemctl stop') ? moving.folder : home.folder;
  };
  program('depositd', `'${process.execPath}' '${cli}'`);
  // An answer that is no success ends the block.
  program('curl', '/usr/bin/curl --fail-with-body -s');
  const env = {
    PATH: `${bin}:/usr/bin:/bin`,
    HOME: home.folder,
    DEPOSITD: url,
    DEPOSITD_CONFIG: home.configPath,
    CURSOR: events.next_cursor,
    ...compileCache,
  };

  let given = 100;
  let order = '';
  const meant: [RegExp, () => string][] = [
    [/\/backup\//g, () => `${home.folder}/backup/`],
    [/^export DEPOSITD=.*$/gm, () => ''],
    [/pk_\.\.\./g, () => shop.api_key],
    [/MERCHANT_ID/g, () => shop.id],
    [/ENDPOINT_ID/g, () => endpoint.id],
    [/DELIVERY_ID/g, () => String(delivery.delivery_id)],
    [/PAYMENT_NUMBER|PAY-2026-7K2M9QXW4T/g, () => payment.payment_number],
    [/0x…/g, () => evmAddress(given++)],
    [/0x6a2b[0-9a-f]{60}/g, () => txHash],
    [/xpub6…/g, () => accountKey.publicExtendedKey],
    // Blocks of the real chain.
    [/--from 45000000 --to 45010000/g, () => '--from 2 --to 6'],
    // Pages show the same one.
    [/shop\.example\/webhooks/g, () => `shop.example/${given++}`],
    [/order-123/g, () => order],
  ];
  const txHash = await transact(node);

  const failures: string[] = [];
  const listed = new Set(Object.keys(notRunHere));
  for (const { page, text } of printedBlocks()) {
    const reason = Object.keys(notRunHere).find((beginning) => `${page} ${text}`.startsWith(beginning));
    if (reason !== undefined) {
      listed.delete(reason);
      continue;
    }
    order = `order-${given++}`;
    const script = meant.reduce(
      (filled, [pattern, value]) => filled.replace(pattern, value),
      text.replaceAll('/etc/depositd', etcOf(text)),
    );
    try {
      const cwd = etcOf(text) === newMachine ? prepared : home.folder;
      await promisify(execFile)('/bin/sh', ['-ec', script], { cwd, env });
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      failures.push(`${page}:\n${script}${stdout}${stderr}`);
    }
  }
  expect(failures).toEqual([]);
  // What is not printed any more needs no reason.
  expect([...listed]).toEqual([]);
  expect(readFileSync(join(home.folder, 'asked'), 'utf8').split('\n')).toEqual([
    expect.stringMatching(/^useradd .*depositd$/),
    'systemctl daemon-reload',
    'systemctl enable --now depositd',
    'journalctl -u depositd -f',
    'systemctl stop depositd',
    '',
  ]);
  for (const name of ['config.json', '.env'])
    expect(statSync(join(newMachine, name)).mode & 0o777, name).toBe(0o640);
  // The shop that moved.
  const copy = await openDatabase(target);
  expect(await copy.selectFrom('merchants').select('name').execute()).toEqual([{ name: 'Shop' }]);
  await copy.destroy();
}, 120_000);

/** As a wallet exports it. */
const accountKey = HDKey.fromMasterSeed(Buffer.alloc(32, 7)).derive("m/44'/60'/0'");

/** The hash of a transaction that is twenty blocks deep. */
async function transact(node: string): Promise<string> {
  const rpc = async <T>(method: string, params: unknown[]) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(node, { method: 'POST', headers, body });
    return ((await answer.json()) as { result: T }).result;
  };
  const [from] = await rpc<string[]>('eth_accounts', []);
  const hash = await rpc<string>('eth_sendTransaction', [{ from, to: evmAddress(0), value: '0x1' }]);
  await rpc('anvil_mine', ['0x14']);
  return hash;
}
