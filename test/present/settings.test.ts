import { expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { secretsOf } from '../../src/config/scrub.ts';
import type { Config } from '../../src/config.ts';
import { presentSettings } from '../../src/present/settings.ts';
import { testChain, testConfig } from '../support/config.ts';

/** Whatever may be a secret of a configuration is one here. */
function secretive(): Config {
  const config = testConfig();
  const [node] = testChain('bsc').rpc;
  if (node === undefined) throw new Error('no node');
  return {
    ...config,
    adminToken: 'secret-of-admin',
    database: 'postgres://depositd:secret-of-db@pooler.example/depositd',
    databaseDirect: 'postgres://depositd:secret-of-direct@db.example/depositd',
    webhooks: { ...config.webhooks, secretKey: 'secret-of-webhooks' },
    rates: { ...config.rates, fiat: { ...config.rates.fiat, openexchangeratesAppId: 'secret-of-rates' } },
    alerts: {
      mute: [],
      to: [
        { type: 'webhook', url: 'https://alerts.example/secret-of-the-path/x', secret: 'secret-of-way' },
        { type: 'ntfy', url: 'https://ntfy.example', topic: 'secret-of-topic', token: 'secret-of-ntfy' },
        {
          type: 'email',
          smtp: 'smtps://me:secret-of-mail@mail.example',
          from: 'a@b.example',
          to: 'ops@b.example',
        },
        { type: 'telegram', url: 'https://api.telegram.org', token: 'secret-of-bot', chatId: '1' },
      ],
    },
    chains: {
      bsc: testChain('bsc', {
        rpc: [
          {
            ...node,
            url: 'https://me:secret-of-user@node.example/secret-of-node-0123456789',
            headers: { 'x-key': 'secret-of-header' },
            wsUrl: 'wss://node.example/secret-of-socket-0123456789',
          },
        ],
      }),
    },
    providers: {
      cards: {
        name: 'cards',
        type: 'fourpoch',
        label: 'Cards',
        enabled: true,
        merchants: null,
        baseUrl: null,
        timeoutSeconds: 10,
        settings: { key: 'secret-of-provider' },
        secrets: ['secret-of-provider'],
      } as unknown as Config['providers'][string],
    },
  };
}

test('the settings in effect name every section, and nothing in them gives access', () => {
  const config = secretive();
  const settings = presentSettings(config);
  const text = JSON.stringify(settings);
  expect(text).not.toContain('secret-of');
  for (const secret of secretsOf(config)) if (secret !== '') expect(text).not.toContain(secret);
  const value = (path: string) => settings.find((one) => one.path === path)?.value;
  expect(value('payments.lifetimeSeconds')).toBe(String(config.payments.lifetimeSeconds));
  expect(value('chains.bsc.rpc')).toBe('node.example');
  expect(value('chains.bsc.tokens')).toContain('usdt (0x');
  expect(value('providers.cards.merchants')).toBe('all');
  expect(value('webhooks.secretKey')).toBe('[hidden]');
  expect(value('providers.cards.key')).toBe('[hidden]');
  expect(value('alerts.to')).toContain('email to ops@b.example');
  expect(value('database')).toContain('pooler.example');
  expect(value('databaseDirect')).toContain('db.example');
});

const env = (name: string) => `$\{${name}}`;

test('each setting in effect names who said it: the file, variables of the environment, or nobody', () => {
  const file = {
    adminToken: env('TOKEN'),
    publicUrl: 'https://pay.example.com',
    listen: { port: 8090 },
    payments: { lifetimeSeconds: 900 },
    chains: {
      bsc: {
        rpc: [
          `https://node.example/${env('NODE_KEY')}`,
          { url: 'https://two.example', headers: { x: env('OTHER_KEY') } },
        ],
        confirmations: 20,
        tokens: { usdc: true },
      },
    },
    alerts: { to: [{ type: 'ntfy', url: 'https://ntfy.example', topic: env('TOPIC') }] },
  };
  const set = {
    TOKEN: 'secret-of-admin-0123456789abcdef0',
    NODE_KEY: 'secret-of-node-0123456789',
    OTHER_KEY: 'secret-of-header',
    TOPIC: 'secret-of-topic',
    UNUSED: 'secret-of-nobody',
  };
  const settings = presentSettings(parseConfig(JSON.stringify(file), '/srv', set));
  expect(JSON.stringify(settings)).not.toContain('secret-of');
  const origin = (path: string) => {
    const one = settings.find((setting) => setting.path === path);
    return one === undefined ? undefined : [one.origin, ...one.variables];
  };
  expect(origin('adminToken')).toEqual(['environment', 'TOKEN']);
  expect(origin('publicUrl')).toEqual(['file']);
  expect(origin('listen.port')).toEqual(['file']);
  expect(origin('listen.host')).toEqual(['default']);
  expect(origin('payments.lifetimeSeconds')).toEqual(['file']);
  expect(origin('payments.late')).toEqual(['default']);
  expect(origin('chains.bsc.rpc')).toEqual(['environment', 'NODE_KEY', 'OTHER_KEY']);
  expect(origin('chains.bsc.confirmations')).toEqual(['file']);
  expect(origin('chains.bsc.tokens')).toEqual(['file']);
  expect(origin('chains.bsc.pollSeconds')).toEqual(['default']);
  expect(origin('alerts.to')).toEqual(['environment', 'TOPIC']);
  expect(origin('alerts.mute')).toEqual(['default']);
});
