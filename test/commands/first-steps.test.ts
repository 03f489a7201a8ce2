import { exec, execFile } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { anvilForTest } from '../support/anvil.ts';
import { cli } from '../support/commands.ts';
import { testFolder } from '../support/databases.ts';
import { placeTokens } from '../support/tokens.ts';
import { commandHome, depositd, offline } from './support.ts';

const script = join(import.meta.dirname, '../../depositd');

/** A configuration in a folder of its own, without any token in the environment. */
function folderWith(config: object): string {
  const folder = testFolder();
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  return folder;
}

describe('the script in the clone', () => {
  test('runs from any folder without a token, on the configuration that is named once', async () => {
    const folder = folderWith(offline);
    const { stdout } = await promisify(execFile)(script, ['merchant', 'list', '--json'], {
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', DEPOSITD_CONFIG: join(folder, 'config.json') },
    });
    expect(JSON.parse(stdout)).toEqual({ data: [] });
  });
});

test('init in a clone names commands that can be typed as they are', async () => {
  const folder = testFolder();
  const env = { PATH: '/usr/bin:/bin', DEPOSITD_CONFIG: join(folder, 'config.json') };
  const run = (command: string) => promisify(exec)(command, { cwd: folder, env });
  const { stdout } = await run(`${script} init --rpc bsc=http://127.0.0.1:1`);
  const named = stdout.split('\n').find((line) => line.includes('merchant add'));
  expect(await run(`${named} --json`)).toMatchObject({ stdout: expect.stringContaining('"api_key"') });
});

describe('check-config --online', () => {
  test('asks each node and each price, and fails where one that is needed cannot be had', async () => {
    const anvil = await anvilForTest();
    await placeTokens(anvil, 'bsc');
    const home = commandHome({
      ...offline,
      rates: { sources: ['fixed'], fixed: { usdt: '1', usdc: '1', bnb: '600' } },
      chains: { bsc: { rpc: [anvil.url, 'http://127.0.0.1:1/'], tokens: { busd: false } } },
    });
    const { code, stdout } = await home.run('check-config', '--online', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      valid: true,
      online: {
        usable: true,
        lacking: null,
        silent_sources: [],
        nodes: [
          { network: 'bsc', host: new URL(anvil.url).host, height: 1, fault: null },
          {
            network: 'bsc',
            host: '127.0.0.1:1',
            height: null,
            fault: 'cannot be reached (ECONNREFUSED)',
          },
        ],
        prices: [
          { coin: 'usdt', usd: '1' },
          { coin: 'usdc', usd: '1' },
          { coin: 'bnb', usd: '600' },
        ],
      },
    });
    const unreachable = { ...offline, chains: { bsc: { rpc: ['http://127.0.0.1:1/'] } } };
    writeFileSync(home.configPath, JSON.stringify(unreachable));
    expect(await home.run('check-config', '--online')).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/127\.0\.0\.1:1/),
      stderr: 'depositd: no node serves bsc; there is no price of usdc, busd\n',
    });
  });
});

describe('what the operating system refuses is one line', () => {
  test('a database that is a folder', async () => {
    const folder = folderWith({ ...offline, database: 'sqlite:./here.db' });
    mkdirSync(join(folder, 'here.db'));
    const { code, stdout, stderr } = await depositd('merchant', 'list', '-c', join(folder, 'config.json'));
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^depositd: cannot open the database [^\n]+here\.db: it is a folder\n$/);
  });

  test('a data folder that cannot be made', async () => {
    const folder = folderWith({
      ...offline,
      database: 'sqlite:./file/depositd.db',
      adminToken: 'x1y2z3x1y2z3x1y2z3',
    });
    writeFileSync(join(folder, 'file'), '');
    for (const command of ['merchant list', 'serve']) {
      const { code, stderr } = await depositd(...command.split(' '), '-c', join(folder, 'config.json'));
      expect(code).toBe(1);
      expect(stderr).toMatch(/^depositd: cannot [^\n]+file\/depositd\.db[^\n]*: [^\n]+\n$/);
    }
  });

  test.skipIf(process.getuid?.() === 0)('a data folder that is read-only', async () => {
    const folder = folderWith({ ...offline, database: 'sqlite:./data/depositd.db' });
    mkdirSync(join(folder, 'data'));
    chmodSync(join(folder, 'data'), 0o500);
    const { code, stderr } = await depositd('merchant', 'list', '-c', join(folder, 'config.json'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^depositd: cannot open [^\n]+: this user is not allowed to \(EACCES\)\n$/);
  });

  test('a backup into a folder that is not there, and addresses of a file that is not there', async () => {
    const folder = folderWith(offline);
    const config = ['-c', join(folder, 'config.json')];
    await depositd('merchant', 'add', 'Shop', ...config);
    expect(await depositd('backup', join(folder, 'none/copy.db'), ...config)).toMatchObject({
      code: 1,
      stderr: `depositd: no backup was made in ${join(folder, 'none/copy.db')}: there is no such file or folder (ENOENT)\n`,
    });
    const below = join(folder, 'config.json/copy.db');
    expect(await depositd('backup', below, ...config)).toMatchObject({
      code: 1,
      stderr: `depositd: no backup was made in ${below}: a part of the path is no folder (ENOTDIR)\n`,
    });
    expect(await depositd('address', 'import', 'none.csv', '--merchant', 'x', ...config)).toMatchObject({
      code: 1,
      stderr: 'depositd: none.csv cannot be read: there is no such file or folder (ENOENT)\n',
    });
  });

  test.skipIf(process.getuid?.() === 0)('a database and a backup that others own', async () => {
    const folder = folderWith({ ...offline, database: 'sqlite:./depositd.db' });
    for (const name of ['depositd.db', 'copy.db']) {
      writeFileSync(join(folder, name), '');
      chmodSync(join(folder, name), 0o000);
    }
    const config = ['-c', join(folder, 'config.json')];
    const refused = /^depositd: [^\n]+: this user is not allowed to \(EACCES\)\n$/;
    expect((await depositd('merchant', 'list', ...config)).stderr).toMatch(refused);
    expect((await depositd('restore', join(folder, 'copy.db'), ...config)).stderr).toMatch(refused);
  });

  test('a configuration that is a folder', async () => {
    const folder = testFolder();
    expect(await depositd('status', '-c', folder)).toMatchObject({
      code: 78,
      stderr: expect.stringContaining(`${folder}: cannot be read: it is a folder (EISDIR)`),
    });
  });
});

test('serve with a wrong configuration ends with 78, so that systemd does not start it again', async () => {
  const folder = folderWith({ ...offline, listen: { host: '127.0.0.1:8080' } });
  const run = promisify(execFile);
  const failed = await run(process.execPath, [cli, 'serve', '-c', join(folder, 'config.json')], {
    env: {},
  }).then(
    () => null,
    (error: { code: number }) => error.code,
  );
  expect(failed).toBe(78);
});
