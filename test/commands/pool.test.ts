import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HDKey } from '@scure/bip32';
import { describe, expect, test } from 'vitest';
import { beginHold } from '../../src/pool/hold.ts';
import { inTransaction, openDatabase } from '../../src/storage/database.ts';
import { evmAddress } from '../support/addresses.ts';
import { anvilForTest } from '../support/anvil.ts';
import { testConfig } from '../support/config.ts';
import { waitFor } from '../support/wait.ts';
import { commandHome, offline, readAudit } from './support.ts';

const words = 'radar blur cabbage chef fix engine embark joy scheme fiction master release';
const key = `0x${'c0ffee'.repeat(11).slice(0, 64)}`;

async function homeWithMerchant(config: object = offline) {
  const home = commandHome(config);
  const { id } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
  return { home, id };
}

describe('addresses', () => {
  test('of a plain list are all of the network that is named', async () => {
    const { home, id } = await homeWithMerchant();
    const lines = ['# till 1', evmAddress(1), '', `  ${evmAddress(2).toLowerCase()}, till 2 `, 'nonsense'];
    writeFileSync(join(home.folder, 'list.txt'), lines.join('\r\n'));
    const add = ['address', 'import', 'list.txt', '--merchant', id, '--network', 'bsc', '--currency', 'usdt'];
    const dry = await home.run(...add, '--dry-run');
    expect({ code: dry.code, stdout: dry.stdout }).toEqual({
      code: 0,
      stdout: '1 would be added, 2 refused; nothing was changed\n',
    });
    expect(dry.stderr).toMatch(
      /^line 4: 0x\w+: has no checksum[^\n]+--no-checksum\nline 5: nonsense: not an/,
    );
    // What is refused anyway is not looked at on the chain.
    expect(dry.stderr).toMatch(/^warning: bsc: whether 1 address is a contract was not checked/m);
    const { code, stdout, stderr } = await home.run(...add, '--no-checksum');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '2 added, 1 refused\n' });
    expect(stderr).toMatch(/^line 5: nonsense: not an address/m);
    expect(stderr).toMatch(/^warning: 1 address has no checksum/m);
    const { data } = await home.runJson<{ data: object[] }>('address', 'list', '--merchant', id);
    expect(data).toMatchObject([
      { network: 'bsc', address: evmAddress(1), currency: 'usdt' },
      { network: 'bsc', address: evmAddress(2), currency: 'usdt' },
    ]);
  });

  test('that are contracts are refused, unless they are allowed', async () => {
    const anvil = await anvilForTest();
    await anvil.rpc('anvil_setCode', [evmAddress(2), '0x6000']);
    const { home, id } = await homeWithMerchant({ ...offline, chains: { bsc: { rpc: [anvil.url] } } });
    const add = ['address', 'add', '--merchant', id, '--network', 'bsc', evmAddress(1), evmAddress(2)];
    expect(await home.run(...add)).toMatchObject({
      code: 0,
      stdout: '1 added, 1 refused\n',
      stderr: expect.stringMatching(/^argument 2: 0x\w+: a contract on bsc: [^\n]+\n$/),
    });
    expect(await home.run(...add, '--allow-contract')).toMatchObject({
      code: 0,
      stdout: '1 added, 1 refused\n',
      stderr: expect.stringContaining('warning: bsc: 1 address is a contract'),
    });
  });

  test('whose chain does not answer are added, and that they were not checked is said', async () => {
    const { home, id } = await homeWithMerchant();
    expect(
      await home.run('address', 'add', '--merchant', id, '--network', 'bsc', evmAddress(1)),
    ).toMatchObject({
      code: 0,
      stdout: '1 added, 0 refused\n',
      stderr: expect.stringMatching(
        /^warning: bsc: whether 1 address is a contract was not checked: 127\.0\.0\.1:1: /,
      ),
    });
  });

  test('are retired and made active again, by their text on any network', async () => {
    const { home, id } = await homeWithMerchant();
    await home.run('address', 'add', '--merchant', id, '--network', 'bsc', evmAddress(1), evmAddress(2));
    const retired = await home.runJson('address', 'retire', '--merchant', id, evmAddress(1).toLowerCase());
    expect(retired).toMatchObject({ data: [{ network: 'bsc', address: evmAddress(1), active: false }] });
    const { data } = await home.runJson<{ data: object[] }>('address', 'list', '--merchant', id);
    expect(data).toMatchObject([{ active: false }, { active: true }]);
    expect(await home.run('address', 'restore', '--merchant', id, evmAddress(1))).toMatchObject({
      code: 0,
      stdout: `${evmAddress(1)} on bsc is active again\n`,
    });
    const absent = await home.run('address', 'retire', '--merchant', id, evmAddress(1), evmAddress(9));
    expect(absent).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `depositd: the merchant has no address "${evmAddress(9)}"\n`,
    });
    const actions = (await readAudit(home.folder)).map((entry) => entry.action);
    expect(actions.slice(-2)).toEqual(['address.retired', 'address.restored']);
  });
});

const account = HDKey.fromMasterSeed(Buffer.alloc(32, 5)).derive("m/44'/60'/0'");
const xpub = account.publicExtendedKey;

describe('a derived pool', () => {
  test('is added by its key, shows its first addresses, and is listed without the whole key', async () => {
    const { home, id } = await homeWithMerchant();
    const add = ['address', 'add', '--merchant', id, '--network', 'bsc', '--xpub', xpub, '--limit', '50'];
    const { code, stdout, stderr } = await home.run(...add);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^derived pool 1 on bsc, up to 50 addresses\n/);
    expect(stdout.match(/m\/0\/[012] {2}0x[0-9a-fA-F]{40}/g)).toHaveLength(3);
    const pools = await home.runJson('address', 'pools', '--merchant', id);
    expect(pools).toMatchObject({
      data: [{ id: 1, network: 'bsc', currency: null, limit: 50, derived: 0, longest_gap: 0 }],
    });
    expect(JSON.stringify(pools)).not.toContain(xpub);
    expect(await home.run('address', 'limit', '1', '9', '--merchant', id)).toMatchObject({
      code: 0,
      stdout: 'derived pool 1 may have up to 9 addresses\n',
    });
    expect(await home.run(...add)).toMatchObject({
      code: 1,
      stderr: 'depositd: xpub: this key has a pool on bsc already\n',
    });
    expect(await home.run('address', 'pools', 'remove', '1', '--merchant', id)).toMatchObject({
      code: 0,
      stdout: 'derived pool 1 is removed, 0 addresses derived for it retired\n',
    });
    const actions = (await readAudit(home.folder)).map((entry) => entry.action);
    expect(actions.slice(1)).toEqual(['derived_pool.added', 'derived_pool.changed', 'derived_pool.removed']);
  });

  test('needs a key and no address, and neither a private key nor a mistyped one', async () => {
    const { home, id } = await homeWithMerchant();
    const add = ['address', 'add', '--merchant', id, '--network', 'bsc'];
    for (const args of [[], ['--xpub', xpub, evmAddress(1)], ['--xpub', xpub, '--limit', 'many']]) {
      expect((await home.run(...add, ...args)).code).toBe(2);
    }
    for (const [bad, reason] of [
      [account.privateExtendedKey, /this looks like a private key/],
      [words, /this looks like a seed phrase/],
      [`${xpub.slice(0, -1)}x`, /mistyped/],
    ] as const) {
      const { code, stdout, stderr } = await home.run(...add, '--xpub', bad);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(reason);
      expect(stderr).not.toContain(bad.slice(4, 40));
    }
  });
});

describe('addresses that lost payments may have', () => {
  test('are held back by `pool hold` and given out again by `pool release`, and both are in the audit log', async () => {
    const { home, id } = await homeWithMerchant();
    await home.run('address', 'add', '--merchant', id, '--network', 'bsc', evmAddress(1));
    await home.run('address', 'add', '--merchant', id, '--network', 'bsc', '--xpub', xpub, '--limit', '50');
    expect(await home.run('pool', 'release')).toMatchObject({
      code: 1,
      stderr: 'depositd: nothing is held back\n',
    });
    const before = Date.now();
    const held = await home.runJson<{ until: string }>('pool', 'hold', '--minutes', '90');
    expect(held).toEqual({ until: expect.any(String), last_address_id: 21, derived_ahead: 20 });
    expect(Math.round((Date.parse(held.until) - before) / 60_000)).toBe(90);
    const states = async () => {
      const { data } = await home.runJson<{ data: { state: string }[] }>('address', 'list', '--merchant', id);
      return [...new Set(data.map(({ state }) => state))];
    };
    expect(await states()).toEqual(['quarantined']);
    expect((await home.run('pool', 'hold')).stdout).toMatch(
      /^no payment is given an address that is there now until 20\S+Z: .+\n.+ pool release\n20 addresses derived ahead/,
    );
    expect((await home.run('pool', 'hold', '--minutes', '0')).code).toBe(2);
    expect((await home.run('pool', 'release')).code).toBe(0);
    expect(await states()).toEqual(['free']);
    const actions = (await readAudit(home.folder)).map((entry) => entry.action);
    expect(actions.slice(-3)).toEqual(['addresses.held', 'addresses.held', 'addresses.released']);
  }, 60_000);
});

test('what a `pool hold` that was killed had not derived ahead yet is derived by the daemon', async () => {
  const { home, id } = await homeWithMerchant();
  await home.run('address', 'add', '--merchant', id, '--network', 'bsc', '--xpub', xpub, '--limit', '50');
  const db = await openDatabase(`sqlite:${join(home.folder, 'depositd.db')}`);
  const at = Date.now();
  const request = { at, until: at + 60_000, reason: 'a test', actor: 'cli' };
  await inTransaction(db, (trx) => beginHold(trx, testConfig().chains, request));
  await db.destroy();
  await home.start();
  const states = await waitFor('the addresses', async () => {
    const { data } = await home.runJson<{ data: { state: string }[] }>('address', 'list', '--merchant', id);
    return data.length === 0 ? null : data.map(({ state }) => state);
  });
  expect(states).toEqual(Array(20).fill('quarantined'));
}, 60_000);

describe('a private key or a seed phrase', () => {
  test('is refused wherever it is offered, and is in no output and no file afterwards', async () => {
    const { home, id } = await homeWithMerchant();
    writeFileSync(join(home.folder, 'keys.csv'), `network,address\nbsc,${key}\nbsc,"${words}"\n`);
    writeFileSync(join(home.folder, 'keys.txt'), words.replaceAll(' ', '\n'));
    writeFileSync(join(home.folder, 'bare.csv'), `${key}\n`);
    const bsc = ['--merchant', id, '--network', 'bsc'];
    const attempts = [
      ['address', 'add', ...bsc, key],
      ['address', 'add', ...bsc, ...words.split(' ')],
      ['address', 'add', ...bsc, words],
      ['address', 'add', ...bsc, evmAddress(1), '--label', key],
      ['address', 'import', 'keys.csv', '--merchant', id],
      ['address', 'import', 'keys.txt', ...bsc],
      ['address', 'import', 'bare.csv', '--merchant', id],
      ['merchant', 'add', key],
    ];
    for (const args of attempts) {
      const { code, stdout, stderr } = await home.run(...args);
      expect([args[1], code]).toEqual([args[1], 1]);
      expect(stderr).toMatch(/this looks like a (private key|seed phrase): depositd needs none/);
      expect(stdout + stderr).not.toMatch(/c0ffee|radar|cabbage/);
    }
    const database = readFileSync(join(home.folder, 'depositd.db'), 'latin1');
    expect(database).not.toMatch(/c0ffee|cabbage/);
  });
});
