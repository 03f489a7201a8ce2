import { describe, expect, test } from 'vitest';
import { createScrubber, secretsOf } from '../../src/config/scrub.ts';
import { faultsOf, parse } from './support.ts';

const token = '123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11';

describe('alerts in the configuration', () => {
  test('are sent to nobody by default, and to each way with what it leaves out', () => {
    expect(parse({}).alerts).toEqual({ to: [], mute: [] });
    const to = [
      { type: 'webhook', url: 'https://hooks.example/a' },
      { type: 'ntfy', topic: 'shop-1' },
      { type: 'email', smtp: 'smtps://mail.example', from: 'a@shop.example', to: 'b@shop.example' },
      { type: 'telegram', token, chatId: '@shop_alerts' },
    ];
    expect(parse({ alerts: { to, mute: ['pool_low'] } }).alerts).toEqual({
      mute: ['pool_low'],
      to: [
        { ...to[0], secret: null },
        { ...to[1], url: 'https://ntfy.sh', token: null },
        to[2],
        { ...to[3], url: 'https://api.telegram.org' },
      ],
    });
  });

  test.each<[string, object, string]>([
    [
      'a way that there is not',
      { type: 'sms' },
      'type: found "sms"; expected an object whose "type" is "webhook", "ntfy", "email" or "telegram"',
    ],
    [
      'a secret of another kind',
      { type: 'webhook', url: 'https://a.example', secret: 'not-a-secret-of-ours' },
      'secret: found a text of 20 characters (not shown); expected a secret like "whsec_…", behind it base64 of at least 24 bytes',
    ],
    [
      'a mail server by its web address',
      { type: 'email', smtp: 'https://mail', from: 'a@b.example', to: 'a@b.example' },
      'smtp: found a text of 12 characters (not shown); expected a URL that begins with smtps:// or smtp://',
    ],
    [
      'two receivers in one line',
      { type: 'email', smtp: 'smtp://mail', from: 'a@b.example', to: 'a@b.example, c@d.example' },
      'to: found "a@b.example, c@d.example"; expected an e-mail address',
    ],
    [
      'a chat as a number',
      { type: 'telegram', token, chatId: 12 },
      'chatId: found 12; expected the number of a chat in quotes, or "@channel"',
    ],
    ['a mistyped key', { type: 'ntfy', topic: 'a', tokn: 'b' }, 'tokn: unknown key; did you mean "token"?'],
  ])('with %s are refused', (_, way, fault) => {
    expect(faultsOf({ alerts: { to: [way] } })).toEqual([`alerts.to[0].${fault}`]);
  });

  test('refuse to mute what there is not', () => {
    expect(faultsOf({ alerts: { mute: ['pool_lowe'] } })).toEqual([
      expect.stringMatching(/^alerts\.mute\[0\]: found "pool_lowe"; expected one of "chain_stopped"/),
    ]);
  });

  test('have no secret that is printed', () => {
    const secret = `whsec_${'k'.repeat(32)}`;
    const config = parse({
      alerts: {
        to: [
          { type: 'webhook', url: 'https://hooks.example/services/T0000KEY0000000000', secret },
          { type: 'ntfy', topic: 'a', token: 'tk_0123456789' },
          { type: 'email', smtp: 'smtp://shop:pass%40word@mail', from: 'a@b.example', to: 'a@b.example' },
          { type: 'telegram', token, chatId: '12' },
        ],
      },
    });
    const clean = createScrubber(secretsOf(config));
    for (const hidden of [secret, 'T0000KEY0000000000', 'tk_0123456789', 'pass@word', token])
      expect(clean(`a line with ${hidden} in it`)).toBe('a line with [hidden] in it');
  });
});
