import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { generatedFiles } from '../../scripts/generated-files.ts';
import { loadConfig, parseConfig } from '../../src/config/load.ts';
import { secretsOf } from '../../src/config/scrub.ts';
import type { Config } from '../../src/config.ts';
import { testFiatRates } from '../support/config.ts';
import { testFolder } from '../support/databases.ts';
import { faultsOf, minimal, parse } from './support.ts';

const root = join(import.meta.dirname, '../..');

describe('the files that come with the project', () => {
  test('config.example.json loads once the token is in the environment, and takes every default', () => {
    const config = loadConfig(join(root, 'config.example.json'), {
      DEPOSITD_ADMIN_TOKEN: '0123456789abcdef0123456789abcdef',
    });
    expect(config).toMatchObject({
      publicUrl: 'https://pay.example.com',
      listen: { host: '127.0.0.1', port: 8080 },
      database: `sqlite:${join(root, 'data/depositd.db')}`,
      dataFolder: join(root, 'data'),
      payments: {
        lifetimeSeconds: 1800,
        quarantineSeconds: 1800,
        quarantine: 'soft',
        toleranceBps: 0,
        dustUsdCents: 5,
        late: 'flag',
        requote: true,
        watchRetiredDays: 30,
        derivedLimit: 1000,
      },
      rates: {
        sources: ['binance', 'coinbase', 'kraken', 'coingecko'],
        maxAgeSeconds: 60,
        pegBandBps: 50,
        fixed: {},
        fiat: { ...testFiatRates, sources: ['ecb', 'fixed'] },
      },
      webhooks: {
        headerPrefix: 'X-PayHook',
        allowHosts: [],
        secretKey: null,
        retentionDays: 90,
        replayOnRecovery: true,
        eventRetentionDays: 90,
      },
      providers: {},
      api: { requestsPerSecond: 100 },
      log: { level: 'info', format: 'auto' },
    } satisfies Partial<Config>);
  });

  test('config.schema.json and docs/configuration.md are what "npm run generate" makes of the source', async () => {
    for (const [name, content] of Object.entries(await generatedFiles())) {
      expect(readFileSync(join(root, name), 'utf8'), `${name} is old: run "npm run generate"`).toBe(content);
    }
  });
});

describe('a chain', () => {
  test('of which only the nodes are given takes its defaults and the canonical tokens', () => {
    const { bsc, ethereum } = parse({
      chains: { bsc: { rpc: ['https://b.example'] }, ethereum: { rpc: ['https://e.example'] } },
    }).chains;
    expect(bsc).toMatchObject({
      chainId: 56,
      requiredConfirmations: 15,
      finality: 'finalized',
      pollSeconds: 1,
      idlePollSeconds: 15,
      recheckSeconds: 60,
      secondNodeWaitSeconds: 60,
      confirmationTiers: [],
      startBlock: 'latest',
    });
    expect(ethereum).toMatchObject({
      chainId: 1,
      requiredConfirmations: 12,
      finality: 'depth',
      pollSeconds: 3,
    });
    expect(bsc?.assets.map((asset) => [asset.currency, asset.coin, asset.decimals])).toEqual([
      ['usdt', 'usdt', 18],
      ['usdc', 'usdc', 18],
      ['busd', 'busd', 18],
      ['native', 'bnb', 18],
    ]);
    expect(ethereum?.assets.map((asset) => asset.decimals)).toEqual([6, 6, 18, 18]);
  });

  test('takes tiers of fewer confirmations, the smallest amounts first and none above its own', () => {
    const tiersOf = (confirmationTiers: unknown, confirmations = 15) => {
      const bsc = { rpc: ['https://b.example'], confirmations, confirmationTiers };
      return { chains: { bsc } };
    };
    const tiers = [
      { upToUsdCents: 2_000, confirmations: 2 },
      { upToUsdCents: 10_000, confirmations: 5 },
    ];
    expect(parse(tiersOf(tiers)).chains.bsc?.confirmationTiers).toEqual(tiers);
    expect(parse(tiersOf(tiers, 5)).chains.bsc?.confirmationTiers).toEqual(tiers);
    expect(faultsOf(tiersOf(tiers, 4))).toEqual([
      'chains.bsc.confirmationTiers[1].confirmations: found 5; expected at most the 4 of the chain',
    ]);
    expect(faultsOf(tiersOf(tiers.toReversed()))).toEqual([
      'chains.bsc.confirmationTiers[1].upToUsdCents: found 2000; expected more than the 10000 of the tier before',
      'chains.bsc.confirmationTiers[1].confirmations: found 2; expected more than the 5 of the tier before',
    ]);
    expect(faultsOf(tiersOf([tiers[0], tiers[0]]))).toHaveLength(2);
    expect(faultsOf(tiersOf([{ upToUsdCents: 0, confirmations: 0 }, { upToUsdCents: 5 }, 7]))).toEqual([
      'chains.bsc.confirmationTiers[0].upToUsdCents: found 0; expected a whole number from 1 to 100000000',
      'chains.bsc.confirmationTiers[0].confirmations: found 0; expected a whole number from 1 to 100000',
      'chains.bsc.confirmationTiers[1].confirmations: missing; expected a whole number from 1 to 100000',
      'chains.bsc.confirmationTiers[2]: found 7; expected an object',
    ]);
    expect(faultsOf(tiersOf({ upToUsdCents: 2_000, confirmations: 2 }))).toEqual([
      'chains.bsc.confirmationTiers: found an object; expected a list of tiers like {"upToUsdCents": 2000, "confirmations": 2}',
    ]);
  });

  test('that is not mentioned is off', () => {
    expect(Object.keys(parse({}).chains)).toEqual(['bsc']);
  });

  test('takes each node as a URL or as an object, and sends its own headers to all of them unless a node says otherwise', () => {
    const { bsc } = parse({
      chains: {
        bsc: {
          headers: { 'X-Key': 'of the chain', 'X-Other': 'o' },
          rpc: [
            'https://a.example/v1',
            {
              url: 'https://b.example',
              headers: { 'x-key': 'of the node' },
              requestsPerSecond: 10,
              requestsPerDay: 100_000,
              maxLogRange: 1000,
              wsUrl: 'wss://b.example',
            },
          ],
        },
      },
    }).chains;
    expect(bsc?.rpc).toEqual([
      {
        url: 'https://a.example/v1',
        headers: { 'x-key': 'of the chain', 'x-other': 'o' },
        requestsPerSecond: null,
        requestsPerDay: null,
        maxLogRange: null,
        wsUrl: null,
        solidityUrl: null,
      },
      {
        url: 'https://b.example/',
        headers: { 'x-key': 'of the node', 'x-other': 'o' },
        requestsPerSecond: 10,
        requestsPerDay: 100_000,
        maxLogRange: 1000,
        wsUrl: 'wss://b.example',
        solidityUrl: null,
      },
    ]);
  });

  test('sends the user name and password of a URL as a header, never as part of the URL', () => {
    const { bsc } = parse({ chains: { bsc: { rpc: ['https://me:p%40ss@a.example/'] } } }).chains;
    expect(bsc?.rpc[0]).toMatchObject({
      url: 'https://a.example/',
      headers: { authorization: `Basic ${Buffer.from('me:p@ss').toString('base64')}` },
    });
  });

  test('can leave out a token or the native coin, and replace the contract of a token', () => {
    const usdt = { address: '0x00000000000000000000000000000000000000aa', decimals: 6 };
    const { bsc } = parse({
      chains: {
        bsc: { rpc: ['https://b.example'], tokens: { usdt, busd: false, usdc: true }, native: false },
      },
    }).chains;
    expect(bsc?.assets.map((asset) => [asset.currency, asset.token, asset.decimals])).toEqual([
      ['usdt', '00000000000000000000000000000000000000aa', 6],
      ['usdc', '8ac76a51cc950d9822d68b83fe1ad97b32cd580d', 18],
    ]);
  });

  test.each([
    [
      'nothing that can be paid',
      { tokens: { usdt: false, usdc: false, busd: false }, native: false },
      'chains.bsc: nothing can be paid, all tokens and the native coin are off; turn one on or remove the entry',
    ],
    [
      'one contract for two tokens',
      { tokens: { usdc: { address: '0x55D398326F99059FF775485246999027B3197955', decimals: 18 } } },
      'chains.bsc.tokens.usdc: the same contract as usdt; expected another',
    ],
    [
      'the same node twice',
      { rpc: ['https://b.example', 'https://b.example/'] },
      'chains.bsc.rpc[1]: the same node as chains.bsc.rpc[0]; keep one',
    ],
    ['no node', { rpc: [] }, 'chains.bsc.rpc: found an empty list; expected a list of nodes, at least one'],
    [
      'a contract with a mistyped character',
      { tokens: { usdt: { address: '0x55d398326f99059fF775485246999027B3197956', decimals: 18 } } },
      'chains.bsc.tokens.usdt.address: found "0x55d398326f99059fF775485246999027B3197956"; expected the address of a contract with its right checksum',
    ],
    [
      'a pace faster than 0.1 s',
      { pollSeconds: 0.09 },
      'chains.bsc.pollSeconds: found 0.09; expected a number from 0.1 to 3600',
    ],
  ])('with %s is refused', (_, changes, fault) => {
    expect(faultsOf({ chains: { bsc: { rpc: ['https://b.example'], ...changes } } })).toEqual([fault]);
  });

  test('of TRON has base addresses, its own defaults and no keys of EVM nodes', () => {
    const own = {
      url: 'http://127.0.0.1:8090',
      solidityUrl: 'http://127.0.0.1:8091',
      requestsPerSecond: 10,
    };
    const headers = { 'TRON-PRO-API-KEY': 'a-key-of-trongrid' };
    const { tron } = parse({
      chains: { tron: { rpc: ['https://api.trongrid.example', own], headers, internalTransfers: true } },
    }).chains;
    expect(tron).toMatchObject({
      family: 'tron',
      chainId: 728126428,
      requiredConfirmations: 20,
      finality: 'finalized',
      pollSeconds: 1.5,
      internalTransfers: true,
      rpc: [
        { solidityUrl: null, headers: { 'tron-pro-api-key': 'a-key-of-trongrid' } },
        { url: 'http://127.0.0.1:8090/', solidityUrl: 'http://127.0.0.1:8091', requestsPerSecond: 10 },
      ],
    });
    expect(tron?.assets.map(({ currency, decimals }) => [currency, decimals])).toEqual([
      ['usdt', 6],
      ['native', 6],
    ]);
    const usdc = parse({ chains: { tron: { rpc: ['https://t.example'], tokens: { usdc: true } } } });
    expect(usdc.chains.tron?.assets.map(({ currency }) => currency)).toEqual(['usdt', 'usdc', 'native']);
    expect(parse({}).chains.tron).toBeUndefined();
    expect(faultsOf({ chains: { tron: { rpc: [{ url: 'https://t.example', maxLogRange: 10 }] } } })).toEqual([
      expect.stringContaining('chains.tron.rpc[0].maxLogRange: unknown key'),
    ]);
    expect(faultsOf({ chains: { bsc: { rpc: ['https://b.example'], internalTransfers: true } } })).toEqual([
      expect.stringContaining('chains.bsc.internalTransfers: unknown key'),
    ]);
    const address = 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6a';
    const mistyped = { usdt: { address, decimals: 6 } };
    expect(faultsOf({ chains: { tron: { rpc: ['https://t.example'], tokens: mistyped } } })).toEqual([
      `chains.tron.tokens.usdt.address: found "${address}"; expected the address of a contract with its right checksum`,
    ]);
  });

  test('is needed at all', () => {
    expect(faultsOf({ chains: {} })).toEqual([
      'chains: found an empty object; expected at least one chain, such as "bsc"',
    ]);
  });
});

describe('the database', () => {
  test('of SQLite lies relative to the folder of the configuration, wherever the program was started', () => {
    const config = parseConfig(
      JSON.stringify({ ...minimal, database: 'sqlite:./db/pay.db' }),
      '/etc/depositd',
      {},
    );
    expect([config.database, config.dataFolder]).toEqual([
      'sqlite:/etc/depositd/db/pay.db',
      '/etc/depositd/db',
    ]);
    expect(parse({ database: 'sqlite:/var/lib/pay.db' }).database).toBe('sqlite:/var/lib/pay.db');
  });

  test('of PostgreSQL is taken as it is, and other files lie beside the configuration', () => {
    const config = parseConfig(
      JSON.stringify({ ...minimal, database: 'postgres://u:p@db/x' }),
      '/etc/depositd',
      {},
    );
    expect([config.database, config.dataFolder]).toEqual(['postgres://u:p@db/x', '/etc/depositd']);
  });

  test('of which databaseDirect is the same without a pooler, is one of PostgreSQL', () => {
    const database = 'postgres://u:p@pooler/x';
    expect(parse({ database }).databaseDirect).toBeNull();
    expect(parse({ database, databaseDirect: 'postgres://u:p@db/x' }).databaseDirect).toBe(
      'postgres://u:p@db/x',
    );
    expect(faultsOf({ database, databaseDirect: 'sqlite:./pay.db' })).toEqual([
      expect.stringMatching(/^databaseDirect: .*; expected the postgres:\/\/ URL of the database without/),
    ]);
    expect(faultsOf({ databaseDirect: 'postgres://u:p@db/x' })).toEqual([
      'databaseDirect: is for a PostgreSQL database behind a pooler; leave it out beside a SQLite file',
    ]);
  });

  test.each(['mysql://h/db', 'pay.db', 'sqlite:', 'sqlite::memory:', ''])('%s is refused', (database) => {
    expect(faultsOf({ database })).toEqual([
      expect.stringMatching(
        /^database: found an? .*; expected "sqlite:" and the path of a file, or a postgres:\/\/ URL$/,
      ),
    ]);
  });
});

describe('single values', () => {
  test.each(['\r\nx-evil: 1', '\n', '\0', '\r'])('S49: a header that holds %j is refused', (text) => {
    const chains = (rpc: object, headers = {}) => ({ chains: { bsc: { rpc: [rpc], headers } } });
    const url = 'https://b.example';
    for (const changes of [
      chains({ url }, { 'x-key': `a${text}` }),
      chains({ url, headers: { 'x-key': `a${text}` } }),
      chains({ url, headers: { [`x-key${text}`]: 'a' } }),
      { webhooks: { headerPrefix: `X-PayHook${text}` } },
    ]) {
      expect(faultsOf(changes)).toHaveLength(1);
    }
  });

  test.each([
    ['the shortest lifetime', { payments: { lifetimeSeconds: 5 } }],
    ['the fastest pace', { chains: { bsc: { rpc: ['https://b.example'], pollSeconds: 0.1 } } }],
    ['a free port', { listen: { port: 0 } }],
    ['every address of IPv6', { listen: { host: '::' } }],
    ['a host name', { listen: { host: 'pay-1.internal' } }],
    [
      'a sealing key in hex digits',
      { webhooks: { secretKey: '00112233445566778899aabbccddeeff'.repeat(2) } },
    ],
    ['a sealing key in base64', { webhooks: { secretKey: 'ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=' } }],
    ['a token of 16 characters', { adminToken: '0123456789abcdef' }],
    ['fixed prices', { rates: { sources: ['fixed'], fixed: { usdt: '1', bnb: '612.50' } } }],
    [
      'allowed hosts and ranges',
      { webhooks: { allowHosts: ['localhost', '127.0.0.1', '10.0.0.0/8', 'shop.internal'] } },
    ],
  ])('%s is right', (_, changes) => {
    expect(faultsOf(changes)).toEqual([]);
  });

  test.each([
    ['payments.lifetimeSeconds', { payments: { lifetimeSeconds: 4 } }],
    ['payments.lifetimeSeconds', { payments: { lifetimeSeconds: '1800' } }],
    ['payments.toleranceBps', { payments: { toleranceBps: -1 } }],
    ['listen.port', { listen: { port: 65_536 } }],
    ['listen.host', { listen: { host: 'two words' } }],
    ['listen.host', { listen: { host: '127.0.0.1:8080' } }],
    ['listen.host', { listen: { host: 'localhost:8080' } }],
    ['listen.host', { listen: { host: '[::1]:8080' } }],
    ['listen.host', { listen: { host: 'http://localhost' } }],
    ['adminToken', { adminToken: '0123456789abcde' }],
    ['adminToken', { adminToken: 'change-me-please-now' }],
    ['adminToken', { adminToken: 'xxxxxxxxxxxxxxxxxxxxxxxx' }],
    ['adminToken', { adminToken: 'a token with its spaces' }],
    ['publicUrl', { publicUrl: 'pay.example.com' }],
    ['publicUrl', { publicUrl: 'https://user@pay.example.com' }],
    ['publicUrl', { publicUrl: 'https://pay.example.com?x=1' }],
    ['rates.sources', { rates: { sources: [] } }],
    ['rates.sources[0]', { rates: { sources: ['bitfinex'] } }],
    ['rates.fixed.bnb', { rates: { fixed: { bnb: '0' } } }],
    ['rates.fixed.bnb', { rates: { fixed: { bnb: 612.5 } } }],
    ['webhooks.headerPrefix', { webhooks: { headerPrefix: 'X PayHook' } }],
    ['webhooks.headerPrefix', { webhooks: { headerPrefix: 'X-PayHook\r\nX-Evil: 1' } }],
    ['webhooks.allowHosts[1]', { webhooks: { allowHosts: ['ok.example', '10.0.0.0/99'] } }],
    ['webhooks.secretKey', { webhooks: { secretKey: '' } }],
    ['webhooks.secretKey', { webhooks: { secretKey: 'f'.repeat(64) } }],
    ['webhooks.secretKey', { webhooks: { secretKey: 'c2hvcnQ=' } }],
    ['webhooks.retentionDays', { webhooks: { retentionDays: 0 } }],
    ['api.requestsPerSecond', { api: { requestsPerSecond: 0 } }],
    ['log.level', { log: { level: 'verbose' } }],
    ['chains.bsc.rpc[0]', { chains: { bsc: { rpc: ['wss://b.example'] } } }],
    [
      'chains.bsc.rpc[0].wsUrl',
      { chains: { bsc: { rpc: [{ url: 'https://b.example', wsUrl: 'https://b.example' }] } } },
    ],
    ['chains.bsc.startBlock', { chains: { bsc: { rpc: ['https://b.example'], startBlock: -1 } } }],
  ])('a wrong %s is the one fault', (path, changes) => {
    expect(faultsOf(changes)).toEqual([expect.stringMatching(/: found .*; expected /)]);
    expect(faultsOf(changes)[0]?.split(': ')[0]).toBe(path);
  });

  test('a source "fixed" without prices, and prices without it, are faults', () => {
    expect(faultsOf({ rates: { sources: ['kraken', 'fixed'] } })).toEqual([
      'rates.fixed: missing; the source "fixed" needs prices, like {"usdt": "1"}',
    ]);
    expect(faultsOf({ rates: { fixed: { bnb: '600' } } })).toEqual([
      'rates.fixed: these prices are not used; expected "fixed" among rates.sources, or no prices here',
    ]);
  });

  test.each([
    ['0123456789 abcdef long enough', 'a text of ASCII characters without spaces'],
    ['0123456789abcdefé', 'a text of ASCII characters without spaces'],
    ['change-me-please-now-it-is-long', 'a random text and not that of an example'],
    ['short', 'at least 16 characters'],
  ])('the admin token %j is told what is wrong with it', (adminToken, expected) => {
    expect(faultsOf({ adminToken })[0]).toContain(`expected ${expected}, such as`);
  });

  test('the public URL loses its trailing slash', () => {
    expect(parse({ publicUrl: 'https://pay.example.com/shop/' }).publicUrl).toBe(
      'https://pay.example.com/shop',
    );
  });
});

test('what must never be printed is known: token, passwords, sealing key, headers and the keys in nodes’ URLs', () => {
  const secretKey = '00112233445566778899aabbccddeeff'.repeat(2);
  const config = parse({
    webhooks: { secretKey },
    database: 'postgres://u:database-password@pooler/x',
    databaseDirect: 'postgres://u:direct-password@db/x',
    chains: {
      bsc: {
        rpc: [
          {
            url: 'https://b.example/v2/key-in-the-path-0123?apikey=key-in-the-query-0123',
            headers: { 'x-key': 'key-in-a-header' },
          },
        ],
      },
    },
  });
  expect(secretsOf(config)).toEqual(
    expect.arrayContaining([
      minimal.adminToken,
      secretKey,
      'database-password',
      'direct-password',
      'key-in-the-path-0123',
      'key-in-the-query-0123',
      'key-in-a-header',
    ]),
  );
});

describe('the environment', () => {
  /** A folder with the smallest configuration, whose token comes from outside, and this `.env`. */
  function folderWith(env: string | null): string {
    const folder = testFolder();
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
    const text = JSON.stringify({ ...minimal, adminToken: '${DEPOSITD_ADMIN_TOKEN}' });
    writeFileSync(join(folder, 'config.json'), text);
    if (env !== null) writeFileSync(join(folder, '.env'), env);
    return join(folder, 'config.json');
  }
  const token = 'a-token-of-the-environment-file';

  test('is also read from the file .env beside the configuration; what is set counts more', () => {
    const path = folderWith(`# ours\nDEPOSITD_ADMIN_TOKEN="${token}"\r\nOTHER=x # more\n`);
    expect(loadConfig(path, {}).adminToken).toBe(token);
    expect(loadConfig(folderWith(`\uFEFFDEPOSITD_ADMIN_TOKEN=${token}\n`), {}).adminToken).toBe(token);
    const set = 'a-token-that-is-set-elsewhere';
    expect(loadConfig(path, { DEPOSITD_ADMIN_TOKEN: set }).adminToken).toBe(set);
  });

  test('an environment file that cannot be read is a fault', () => {
    const path = folderWith(null);
    mkdirSync(join(dirname(path), '.env'));
    expect(() => loadConfig(path, {})).toThrow(
      expect.objectContaining({
        faults: [`${join(dirname(path), '.env')}: cannot be read: it is a folder (EISDIR)`],
      }),
    );
  });

  test('a command that serves nobody needs no admin token, and what is used instead nobody knows', () => {
    const path = folderWith(null);
    expect(() => loadConfig(path, {})).toThrow(/1 mistake/);
    const [first, second] = [1, 2].map(() => loadConfig(path, {}, { adminToken: 'unused' }).adminToken);
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(second).not.toBe(first);
  });
});
