import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fingerprintOf } from '../../src/config/fingerprint.ts';
import { loadConfig } from '../../src/config/load.ts';
import { dayOf } from '../../src/core/day.ts';
import type { Network } from '../../src/core/networks.ts';
import type { NodeStatus } from '../../src/core/node.ts';
import { everyRole } from '../../src/core/roles.ts';
import { replaceNodes } from '../../src/storage/chains/nodes.ts';
import { addNodeUsage, noteSlowed } from '../../src/storage/chains/usage.ts';
import { inTransaction, openDatabase } from '../../src/storage/database.ts';
import { noteDaemon } from '../../src/storage/operators/daemons.ts';
import { disableEndpoint } from '../../src/storage/webhooks/endpoints.ts';
import { evmAddress } from '../support/addresses.ts';
import { adminToken } from '../support/daemon.ts';
import { openShop } from '../support/webhooks.ts';
import { commandHome, depositd, offline, readAudit } from './support.ts';

const testNode: NodeStatus = {
  host: 'node.example',
  preferred: true,
  state: 'ready',
  head: 7,
  finalized: 5,
  lag: 0,
  answeredAt: null,
  lacks: [],
  limits: null,
  latencyMs: null,
  backoffUntil: null,
  lastError: null,
  asked: 0,
  failed: 0,
};

describe('wrong usage', () => {
  test.each([
    ['no command', []],
    ['an unknown command', ['sevre']],
    ['a group without a command', ['merchant']],
    ['a missing argument', ['merchant', 'add']],
    ['a missing option', ['key', 'list']],
    ['an unknown option', ['status', '--josn']],
    ['what can be no network', ['address', 'add', '--merchant', 'm', '--network', 'b s c', '0x']],
  ])('%s: ends with 2, says so on stderr and prints nothing', async (_, args) => {
    const { code, stdout, stderr } = await depositd(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^(error: |Usage: depositd)/);
  });

  test('a command’s help says which options it needs', async () => {
    const { stdout } = await depositd('address', 'add', '--help');
    expect(stdout).toMatch(/--merchant <id> +whose \(required\)/);
    expect(stdout).toMatch(/--network <name> +the chain \(required\)/);
    expect(stdout).not.toMatch(/--label[^-]*\(required\)/);
  });

  test('a misspelled command is told the right one', async () => {
    expect((await depositd('sevre')).stderr).toContain('Did you mean serve?');
  });

  test.each([[['--help']], [['merchant', '--help']], [['webhook', 'add', '--help']], [['--version']]])(
    '%j is not: it prints and ends with 0',
    async (args) => {
      const { code, stdout, stderr } = await depositd(...args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(args.includes('--version') ? /^\d+\.\d+\.\d+\n$/ : /^Usage: depositd/);
    },
  );
});

describe('a wrong configuration', () => {
  test('ends every command with 78 and one line for each mistake, on stderr', async () => {
    const home = commandHome({ ...offline, listen: { prot: 1 }, log: { level: 'loud' } });
    for (const args of [['serve'], ['merchant', 'list'], ['check-config']]) {
      const { code, stdout, stderr } = await home.run(...args);
      expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
      expect(stderr.split('\n')).toEqual([
        `depositd: the configuration ${home.configPath} has 2 mistakes`,
        '  listen.prot: unknown key; did you mean "port"?',
        '  log.level: found "loud"; expected one of "fatal", "error", "warn", "info", "debug"',
        '',
      ]);
    }
  });

  test('is listed by check-config --json, too', async () => {
    const { code, stdout } = await commandHome({ ...offline, api: { requestsPerSecond: 0 } }).run(
      'check-config',
      '--json',
    );
    expect(code).toBe(78);
    expect(JSON.parse(stdout)).toEqual({
      valid: false,
      mistakes: ['api.requestsPerSecond: found 0; expected a whole number from 1 to 1000000'],
    });
  });

  test('that is right is summed up without its secrets, and no database is made', async () => {
    const home = commandHome({ ...offline, database: 'postgres://me:hunter2@127.0.0.1:1/pay' });
    const { code, stdout, stderr } = await home.run('check-config');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('bsc: 1 node, 15 confirmations, usdt, usdc, busd, native');
    expect(stdout).toContain('database postgres://127.0.0.1:1/…');
    expect(stdout).not.toMatch(new RegExp(`hunter2|${adminToken}`));
  });

  test('that is right is listed with --settings, each value with who said it and none that gives access', async () => {
    const home = commandHome({ ...offline, database: 'postgres://me:hunter2@127.0.0.1:1/pay' });
    const { stdout } = await home.run('check-config', '--settings');
    expect(stdout).toMatch(/^database +postgres:\/\/127\.0\.0\.1:1\/… +file$/m);
    expect(stdout).toMatch(/^payments\.late +flag +default$/m);
    expect(stdout).toMatch(/^adminToken +\[hidden] +(file|[A-Z_]+)$/m);
    expect(stdout).not.toMatch(new RegExp(`hunter2|${adminToken}`));
    const json = await home.runJson<{ settings: object[] }>('check-config', '--settings');
    expect(json.settings).toContainEqual({
      path: 'payments.late',
      value: 'flag',
      origin: 'default',
      variables: [],
    });
  });

  test('says so where customers would be shown addresses over a connection that anybody can change', async () => {
    const said = async (config: object) =>
      (await commandHome({ ...offline, ...config }).run('check-config')).stdout.includes('http://: whoever');
    expect(await said({ publicUrl: 'http://shop.example' })).toBe(true);
    expect(await said({ publicUrl: 'https://shop.example' })).toBe(false);
    expect(await said({ publicUrl: 'http://127.0.0.1:8080' })).toBe(false);
    expect(await said({ publicUrl: 'http://shop.example', sandbox: true })).toBe(false);
  });
});

describe('a merchant', () => {
  test('is added with a first key, which is a key of its own and shown this once', async () => {
    const home = commandHome();
    const added = await home.runJson<{ id: string; name: string; api_key: string }>(
      'merchant',
      'add',
      'Corner Shop',
    );
    expect(added).toEqual({
      id: expect.stringMatching(/^mer_/),
      name: 'Corner Shop',
      api_key: expect.stringMatching(/^pk_[0-9a-f]{64}$/),
    });
    const { data } = await home.runJson<{ data: object[] }>('merchant', 'list');
    expect(data).toEqual([
      { id: added.id, name: 'Corner Shop', created_at: expect.any(String), removed_at: null },
    ]);
    expect(JSON.stringify(await home.runJson('key', 'list', '--merchant', added.id))).not.toContain(
      added.api_key,
    );
  });

  test('of a name that another one has is added with a warning that names that one', async () => {
    const home = commandHome();
    const { id } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
    expect(await home.run('merchant', 'add', 'Shop')).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`warning: there is a merchant of this name already, ${id};`),
    });
  });

  test('is removed with its keys, where it has more only when forced', async () => {
    const home = commandHome();
    const { id } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
    await home.run('address', 'add', '--merchant', id, '--network', 'bsc', evmAddress(1));
    expect(await home.run('merchant', 'remove', id)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^depositd: the merchant mer_\w+ \(Shop\) was not removed: it has 1 address; .*\(--force/,
      ),
    });
    expect(await home.run('merchant', 'remove', id, '--force')).toMatchObject({
      code: 0,
      stdout: `removed ${id} (Shop): its keys are refused from now on\n`,
    });
    expect(await home.run('key', 'add', '--merchant', id)).toMatchObject({
      code: 1,
      stderr: `depositd: the merchant ${id} was removed\n`,
    });
    const { data } = await home.runJson<{ data: object[] }>('merchant', 'list');
    expect(data).toEqual([
      { id, name: 'Shop', created_at: expect.any(String), removed_at: expect.any(String) },
    ]);
  });

  test('without a name is refused and not added', async () => {
    const home = commandHome();
    const { code, stderr } = await home.run('merchant', 'add', '  ');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: "depositd: the merchant's name is not usable: expected a name\n",
    });
    expect(await home.runJson('merchant', 'list')).toEqual({ data: [] });
  });

  test('that does not exist is named, and nothing is done for it', async () => {
    const home = commandHome();
    for (const args of [
      ['key', 'add'],
      ['address', 'list'],
      ['webhook', 'add', 'https://shop.example/'],
    ]) {
      const { code, stdout, stderr } = await home.run(...args, '--merchant', 'mer_nobody');
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toBe(
        'depositd: there is no merchant "mer_nobody"; "depositd merchant list" shows them all\n',
      );
    }
  });
});

test('a key is added, listed by its beginning, and revoked once', async () => {
  const home = commandHome();
  const { id } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
  const key = await home.runJson<{ id: string; prefix: string; api_key: string }>(
    'key',
    'add',
    '--merchant',
    id,
  );
  expect(key.api_key.startsWith(key.prefix)).toBe(true);

  expect(await home.runJson('key', 'revoke', key.id)).toMatchObject({
    id: key.id,
    revoked_at: expect.any(String),
  });
  const again = await home.run('key', 'revoke', key.id);
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining(`no key with the id "${key.id}"`) });
  const { data } = await home.runJson<{ data: { id: string; revoked_at: string | null }[] }>(
    'key',
    'list',
    '--merchant',
    id,
  );
  expect(data.map((one) => [one.id === key.id, one.revoked_at !== null])).toEqual(
    expect.arrayContaining([
      [true, true],
      [false, false],
    ]),
  );
});

describe('addresses', () => {
  test('of a file are checked row by row: the refused are named with line and reason, the others are in', async () => {
    const home = commandHome();
    const { id } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
    const good = evmAddress(1);
    writeFileSync(
      join(home.folder, 'pool.csv'),
      [
        'network,address,currency,label',
        `bsc,${good},usdt,till 1`,
        `bsc,${good.toLowerCase()},,`,
        'bsc,0x55d398326f99059fF775485246999027B3197955,,',
        `bsc,${good.slice(0, -1)},,`,
        `ethereum,${evmAddress(2)},,`,
        'too,few',
        `BSC,${evmAddress(3)},,`,
      ].join('\n'),
    );
    const { code, stdout, stderr } = await home.run('address', 'import', 'pool.csv', '--merchant', id);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '2 added, 5 refused\n' });
    expect(stderr.trim().split('\n').sort()).toEqual([
      expect.stringMatching(/^line 3: 0x\S+: the same address stands earlier in this list$/),
      expect.stringMatching(/^line 4: 0x55d398\S+: this is the usdt token contract/),
      expect.stringMatching(/^line 5: 0x\S+: not an address/),
      expect.stringMatching(/^line 6: 0x\S+: ethereum is off/),
      expect.stringMatching(/^line 7: 2 fields where the header has 4$/),
      expect.stringMatching(/^warning: bsc: whether any of 2 addresses is a contract was not checked: /),
    ]);
    const { data } = await home.runJson<{ data: object[] }>('address', 'list', '--merchant', id);
    expect(data).toMatchObject([
      { network: 'bsc', address: good, currency: 'usdt', label: 'till 1', active: true, held: false },
      { network: 'bsc', address: evmAddress(3), currency: null },
    ]);
  });

  test('given as arguments are added for one currency, and adding none of them is a failure', async () => {
    const home = commandHome();
    const { id } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
    const add = ['address', 'add', '--merchant', id, '--network', 'bsc', '--currency', 'usdc', evmAddress(1)];
    expect(await home.runJson(...add)).toMatchObject({
      added: 1,
      refused: 0,
      results: [{ status: 'added' }],
    });
    const again = await home.run(...add, '--json');
    expect(again.code).toBe(1);
    expect(JSON.parse(again.stdout)).toMatchObject({
      added: 0,
      refused: 1,
      results: [{ reason: 'already in the pool, for usdc' }],
    });
  });

  test('of a file that does not exist, or is no such list, are refused with the reason', async () => {
    const home = commandHome();
    const { id } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
    writeFileSync(join(home.folder, 'wrong.csv'), 'chain;wallet\n');
    const absent = await home.run('address', 'import', 'absent.csv', '--merchant', id);
    expect(absent).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^depositd: absent\.csv cannot be read: /),
    });
    const wrong = await home.run('address', 'import', 'wrong.csv', '--merchant', id);
    expect(wrong).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^depositd: wrong\.csv: line 1: unknown column/),
    });
  });
});

describe('a webhook endpoint', () => {
  test('is added with the secret shown this once, listed without it, tested, turned off and on, and removed', async () => {
    const home = commandHome();
    const { id: merchant } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
    const url = 'https://shop.example/hooks?key=1';
    const added = await home.runJson<{ id: string; secret: string }>(
      'webhook',
      'add',
      url,
      '--merchant',
      merchant,
      '--events',
      'payment.late, payment.confirmed',
    );
    expect(added).toEqual({
      id: expect.stringMatching(/^we_/),
      url,
      events: ['payment.confirmed', 'payment.late'],
      secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
    });
    const list = await home.runJson<{ data: { active: boolean }[] }>(
      'webhook',
      'list',
      '--merchant',
      merchant,
    );
    expect(JSON.stringify(list)).not.toContain(added.secret);

    const rotated = await home.runJson<{ secret: string; previous_secret_until: string }>(
      'webhook',
      'rotate',
      added.id,
    );
    expect(rotated.secret).not.toBe(added.secret);
    expect(rotated.previous_secret_until).toMatch(/^\d{4}-.*Z$/);
    expect(await home.runJson('webhook', 'finish-rotation', added.id)).toMatchObject({
      previous_secret_until: null,
    });
    const cut = await home.run('webhook', 'rotate', added.id, '--overlap-hours', '0');
    expect(cut.stderr).toContain('The old one does not sign any more');
    expect(await home.runJson('webhook', 'test', added.id)).toEqual({ delivery_id: expect.any(Number) });
    expect(await home.runJson('webhook', 'disable', added.id)).toMatchObject({
      active: false,
      disabled_reason: 'operator',
    });
    expect(await home.run('webhook', 'test', added.id)).toMatchObject({ code: 1 });
    expect(await home.runJson('webhook', 'enable', added.id)).toMatchObject({
      active: true,
      kept: 0,
      kept_since: null,
    });
    expect(await home.run('webhook', 'enable', 'we_none')).toMatchObject({ code: 1 });
    expect(await home.run('webhook', 'remove', added.id)).toMatchObject({ code: 0 });
    expect(await home.runJson('webhook', 'list', '--merchant', merchant)).toEqual({ data: [] });
  });

  test('at a private address, or for an unknown event, is refused with the field', async () => {
    const home = commandHome();
    const { id } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
    const add = (url: string, events: string) =>
      home.run('webhook', 'add', url, '--merchant', id, '--events', events);
    expect((await add('http://10.0.0.1/', 'payment.late')).stderr).toMatch(
      /^depositd: url: must be reachable/,
    );
    expect((await add('https://shop.example/', 'payment.paid')).stderr).toMatch(
      /^depositd: events: "payment.paid" is no event/,
    );
    expect(await home.runJson('webhook', 'list', '--merchant', id)).toEqual({ data: [] });
  });
});

describe('a webhook endpoint that is added', () => {
  const shop = async () => {
    const home = commandHome();
    const { id } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
    const add = (...args: string[]) => home.run('webhook', 'add', '--merchant', id, ...args);
    return { home, id, add };
  };

  test('with headers, sends them; their values are in no output', async () => {
    const { home, id, add } = await shop();
    const added = await add(
      'https://a.example/',
      '--header',
      'Authorization: Bearer s3cret',
      '--header',
      'X-A: b',
    );
    expect(added).toMatchObject({ code: 0 });
    const list = await home.run('webhook', 'list', '--merchant', id, '--json');
    expect(JSON.parse(list.stdout)).toMatchObject({
      data: [{ headers: { Authorization: '[hidden]', 'X-A': '[hidden]' } }],
    });
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as it is written on the command line
    for (const header of ['s3cret', ': s3cret', 'Host: s3cret', 'X-A: s3cret${NONE}']) {
      const refused = await add('https://b.example/', '--header', header);
      expect(refused, header).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^depositd: headers: /),
      });
      expect(refused.stderr).not.toContain('s3cret');
    }
    expect(await add('https://u:p@c.example/')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('--header'),
    });
    expect(added.stdout + added.stderr + list.stdout).not.toContain('s3cret');
  });

  test('with a URL that is there already is refused with a sentence, unless allowed', async () => {
    const { home, id, add } = await shop();
    const first = JSON.parse((await add('https://a.example', '--json')).stdout) as { id: string };
    const again = await add('https://A.example/');
    expect(again).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`endpoint ${first.id} has it already`),
    });
    expect((await home.runJson<{ data: unknown[] }>('webhook', 'list', '--merchant', id)).data).toHaveLength(
      1,
    );
    expect(await add('https://a.example/', '--allow-same-url')).toMatchObject({ code: 0 });
  });
});

describe('a delivery', () => {
  /** With one test event waiting. */
  async function sent() {
    const home = commandHome();
    const { id: merchant } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
    const add = ['webhook', 'add', 'https://a.example/', '--merchant', merchant];
    const { id: endpoint } = await home.runJson<{ id: string }>(...add);
    const { delivery_id: id } = await home.runJson<{ delivery_id: number }>('webhook', 'test', endpoint);
    return { home, endpoint, id };
  }

  test('is listed and shown, as a table and as JSON', async () => {
    const { home, endpoint, id } = await sent();
    const filter = ['--endpoint', endpoint, '--status', 'pending', '--since', '2026-01-01'];
    expect(await home.runJson('delivery', 'list', ...filter)).toMatchObject({
      data: [{ id, event: 'webhook.test', status: 'pending', attempts: 0, replay_of: null }],
    });
    expect(await home.runJson('delivery', 'show', String(id))).toMatchObject({ id, attempt_log: [] });
    expect((await home.run('delivery', 'list')).stdout).toMatch(/^ID .*STATUS/);
    expect((await home.run('delivery', 'show', String(id))).stdout).toContain('webhook.test');
  });

  test('is sent again, alone or with all that its endpoint did not get', async () => {
    const { home, endpoint, id } = await sent();
    const again = await home.runJson<{ id: number }>('delivery', 'replay', String(id));
    expect(again).toMatchObject({ replay_of: id, status: 'pending' });
    const since = ['--endpoint', endpoint, '--since', '2026-01-01'];
    const none = { count: 0, more: false };
    expect(await home.runJson('delivery', 'replay', ...since)).toEqual(none);
    expect(await home.runJson('delivery', 'replay', ...since, '--status', 'missed')).toEqual(none);
    const entries = await readAudit(home.folder);
    expect(entries.map(({ action }) => action).slice(-3)).toEqual([
      'delivery.replayed',
      'deliveries.replayed',
      'deliveries.replayed',
    ]);
  });

  test.each([
    [['show', '999'], 1, /there is no delivery 999/],
    [['replay', '999'], 1, /there is no delivery 999/],
    [['replay', '1', '--since', '2026-01-01'], 1, /name a delivery, or an endpoint and a time/],
    [['replay', '--endpoint', 'we_none', '--since', '2026-01-01'], 1, /no webhook endpoint "we_none"/],
    [['list', '--since', 'yesterday'], 2, /Expected a time such as/],
    [['show', 'x'], 2, /Expected a number/],
  ] as const)('that is named wrong is a sentence: %j', async (args, code, sentence) => {
    const answer = await commandHome().run('delivery', ...args);
    expect(answer).toMatchObject({ code, stderr: expect.stringMatching(sentence) });
  });
});

test('status names the webhook endpoints that something is wrong with, and how much each did not get', async () => {
  const home = commandHome();
  const db = await openDatabase(`sqlite:${join(home.folder, 'depositd.db')}`);
  const shop = await openShop(db, Date.now);
  const failing = await shop.addEndpoint('http://127.0.0.1:9/SECRET', ['payment.late']);
  const off = await shop.addEndpoint('http://127.0.0.1:9/off');
  const refusing = await shop.addEndpoint('http://127.0.0.1:9/refusing', ['payment.expired']);
  await shop.addEndpoint('http://127.0.0.1:9/well', ['payment.failed']);
  await inTransaction(db, (trx) => disableEndpoint(trx, off.id, 'operator'));
  await shop.happen(3);
  await shop.happen(2, 'payment.expired');
  const at = 1_800_000_000_000;
  await db.updateTable('webhook_endpoints').set({ failing_since: at }).where('id', '=', failing.id).execute();
  const gaveUp = { state: 'failed', finished_at: at };
  await db.updateTable('deliveries').set(gaveUp).where('endpoint_id', '=', refusing.id).execute();
  await db.destroy();

  const found = await home.run('status', '--json');
  const { webhooks } = JSON.parse(found.stdout) as { webhooks: { endpoint_id: string }[] };
  const of = (id: string) => webhooks.find((one) => one.endpoint_id === id);
  expect(webhooks).toHaveLength(3);
  expect(of(failing.id)).toMatchObject({
    host: '127.0.0.1:9',
    failing_since: '2027-01-15T08:00:00Z',
    given_up: 0,
  });
  expect(of(off.id)).toMatchObject({ active: false, disabled_reason: 'operator', given_up: 0, kept: 5 });
  expect(of(refusing.id)).toMatchObject({ active: true, failing_since: null, given_up: 2, kept: 0 });
  const shown = await home.run('status');
  expect(shown.stdout).toMatch(/WEBHOOKS TO .*GIVEN UP/);
  expect(shown.stdout).not.toContain('SECRET');
});

test('every change by a command is in the audit log, without secrets', async () => {
  const home = commandHome();
  const merchant = await home.runJson<{ id: string; api_key: string }>('merchant', 'add', 'Shop');
  await home.run('address', 'add', '--merchant', merchant.id, '--network', 'bsc', evmAddress(1));
  const key = await home.runJson<{ id: string; api_key: string }>('key', 'add', '--merchant', merchant.id);
  await home.run('key', 'revoke', key.id);
  const hook = await home.runJson<{ id: string; secret: string }>(
    'webhook',
    'add',
    'https://shop.example/SECRET',
    '--merchant',
    merchant.id,
  );
  await home.run('webhook', 'remove', hook.id);

  const entries = await readAudit(home.folder);
  expect(entries.map((entry) => [entry.actor, entry.action])).toEqual(
    ['merchant.added', 'addresses.added', 'key.added', 'key.revoked', 'webhook.added', 'webhook.removed'].map(
      (action) => ['cli', action],
    ),
  );
  expect(JSON.stringify(entries)).not.toMatch(
    new RegExp(`${merchant.api_key}|${key.api_key}|${hook.secret}|SECRET`),
  );
});

test('status tells what is read, what is free and what waits, before anything has run', async () => {
  const home = commandHome();
  const { id } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
  await home.run('address', 'add', '--merchant', id, '--network', 'bsc', evmAddress(1));
  const { code, stdout, stderr } = await home.run('status', '--json');
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: 'depositd: no daemon has run on this database yet: depositd serve\n',
  });
  expect(JSON.parse(stdout)).toEqual({
    alerts: [],
    daemon: {
      running: false,
      processes: 0,
      list: [],
      unserved_roles: ['api', 'watch', 'notify', 'providers'],
      version: null,
      last_seen_at: null,
    },
    chains: [
      {
        network: 'bsc',
        chain: 'BNB Smart Chain',
        available: false,
        reason: 'no daemon reads it',
        slowed: null,
        confirmations: 15,
        confirmation_tiers: [],
        cursor: null,
        coverage: null,
        head: null,
        finalized: null,
        read_at: null,
        nodes: [],
        pending_payments: 0,
      },
    ],
    pools: [
      {
        merchant_id: id,
        network: 'bsc',
        currency: null,
        level: 'ok',
        total: 1,
        free: 1,
        held: 0,
        quarantined: 0,
        retired: 0,
        derivable: 0,
        forecast: {
          payments_last_day: 0,
          busiest_hour: 0,
          mean_lock_seconds: 1800,
          expected_held: 0,
          exhausted_in_seconds: null,
        },
      },
    ],
    prices: [],
    providers: [],
    deliveries: { due: 0, oldest_due_at: null },
    webhooks: [],
  });
});

test('status names the process whose configuration differs from the one here, and in which sections', async () => {
  const home = commandHome();
  const config = loadConfig(home.configPath, { DEPOSITD_ADMIN_TOKEN: adminToken });
  const db = await openDatabase(`sqlite:${join(home.folder, 'depositd.db')}`);
  const other = {
    ...config,
    payments: { ...config.payments, toleranceBps: 50 },
    publicUrl: 'https://b.example',
  };
  const same = { id: 'd_1', host: 'one', pid: 11, configuration: fingerprintOf(config) };
  const beats = [same, { id: 'd_2', host: 'two', pid: 22, configuration: fingerprintOf(other) }];
  for (const beat of beats)
    await inTransaction(db, (trx) =>
      noteDaemon(trx, { ...beat, version: '1', prices: [], roles: everyRole }, { clock: Date.now }),
    );
  await db.destroy();
  const { daemon } = await home.runJson<{
    daemon: { list: { pid: number; differing_configuration: string[] }[] };
  }>('status');
  expect(daemon.list.toSorted((a, b) => a.pid - b.pid)).toMatchObject([
    { pid: 11, differing_configuration: [] },
    { pid: 22, differing_configuration: ['payments', 'publicUrl'] },
  ]);
  const { stdout } = await home.run('status');
  expect(stdout).toMatch(/^11 on one .*as here$/m);
  expect(stdout).toMatch(/^22 on two .*differs in payments, publicUrl$/m);
});

test('status tells what each node was asked today of what its plan allows, and which chain is read more slowly for it', async () => {
  const rpc = [{ url: 'http://127.0.0.1:1/', requestsPerDay: 100_000 }];
  const home = commandHome({ ...offline, chains: { bsc: { rpc } } });
  const db = await openDatabase(`sqlite:${join(home.folder, 'depositd.db')}`);
  const node = { network: 'bsc' as Network, host: '127.0.0.1:1' };
  const usage = { ...node, day: dayOf(Date.now()), method: 'eth_getLogs', calls: 90_000, bytes: 1 };
  await inTransaction(db, async (trx) => {
    await replaceNodes(trx, node.network, [{ ...testNode, host: node.host }], Date.now());
    await addNodeUsage(trx, [usage]);
    await noteSlowed(trx, { ...node, everyMs: 12_000, notedAt: Date.now() });
  });
  await db.destroy();
  const { stdout } = await home.run('status');
  expect(stdout).toMatch(/^bsc +127\.0\.0\.1:1 .* 90000 of 100000 /m);
  expect(stdout).toContain(
    'bsc is read every 12 seconds, so that the quota of 127.0.0.1:1 lasts until midnight (UTC)',
  );
});

test('a database that cannot be reached is one sentence without its password', async () => {
  const home = commandHome({ ...offline, database: 'postgres://me:hunter2hunter2@127.0.0.1:1/pay' });
  const { code, stdout, stderr } = await home.run('merchant', 'list');
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^depositd: .*ECONNREFUSED.*\n$/);
  expect(stderr).not.toContain('hunter2');
});
