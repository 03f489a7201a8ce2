import { z } from 'zod';
import { alertNames } from '../alerts/catalog.ts';
import type { AlertsConfig, AlertWay } from '../config.ts';
import { oneOf, section, text, url } from './values.ts';

/*
 * The section `alerts` of the configuration.
 */

const kind = <const T extends string>(type: T, means: string) =>
  z.literal(type, { error: `"${type}"` }).describe(means);

const mailAddress = text('an e-mail address', (value) => /^[^\s@<>",;]+@[^\s@<>",;]+$/.test(value));
const oneLine = (expected: string, pattern: RegExp) => text(expected, (value) => pattern.test(value));

const webhook = section({
  type: kind('webhook', 'A POST of JSON.'),
  url: url(['https:', 'http:']).describe('Where it goes, on whatever network.'),
  secret: text('a secret like "whsec_…", behind it base64 of at least 24 bytes', (value) =>
    /^whsec_[A-Za-z0-9+/]{32,}={0,2}$/.test(value),
  )
    .optional()
    .describe(
      'Signs it as webhooks to shops are signed. Best taken from the environment. Default: not signed.',
    ),
});

const ntfy = section({
  type: kind('ntfy', 'A push message by ntfy, of ntfy.sh or a server of your own.'),
  url: url(['https:', 'http:']).default('https://ntfy.sh').describe('The server.'),
  topic: oneLine('a topic of letters, digits, _ and -', /^[A-Za-z0-9_-]{1,64}$/).describe(
    'Whoever knows its name can read it on a public server.',
  ),
  token: oneLine('an access token', /^[\x21-\x7e]{4,}$/)
    .optional()
    .describe('An access token of the server. Best taken from the environment.'),
});

const email = section({
  type: kind('email', 'A mail.'),
  smtp: url(['smtps:', 'smtp:']).describe(
    'The mail server, with user and password: smtps:// speaks TLS from the beginning, smtp:// changes to it where the server offers it. Best taken from the environment.',
  ),
  from: mailAddress.describe('The sender.'),
  to: mailAddress.describe('Who gets it.'),
});

const telegram = section({
  type: kind('telegram', 'A message of a Telegram bot.'),
  token: oneLine(
    'the token that BotFather gave, like "123456:ABC-DEF…"',
    /^[0-9]+:[A-Za-z0-9_-]{20,}$/,
  ).describe('The token of the bot. Best taken from the environment.'),
  chatId: oneLine(
    'the number of a chat in quotes, or "@channel"',
    /^(-?[0-9]{1,20}|@[A-Za-z0-9_]{4,40})$/,
  ).describe('Where the bot writes.'),
  url: url(['https:', 'http:'])
    .default('https://api.telegram.org')
    .describe('Another server of the Bot API.'),
});

export const alertsSchema = section({
  to: z
    .array(
      z.discriminatedUnion('type', [webhook, ntfy, email, telegram], {
        error: 'an object whose "type" is "webhook", "ntfy", "email" or "telegram"',
      }),
      { error: 'a list of ways' },
    )
    .max(10, { error: 'a list of at most ten ways' })
    .default([])
    .describe('Where messages go. Alerts are shown, logged and counted also where there is none.'),
  mute: z
    .array(oneOf(alertNames), { error: 'a list of names of alerts' })
    .default([])
    .describe('Alerts of which no message is sent, by their names in docs/alerts.md.'),
})
  .prefault({})
  .describe('Who is told when something needs an operator (docs/alerts.md).');

export function alertsConfig({ to, mute }: z.output<typeof alertsSchema>): AlertsConfig {
  return {
    mute,
    to: to.map((way): AlertWay => {
      switch (way.type) {
        case 'webhook':
          return { ...way, secret: way.secret ?? null };
        case 'ntfy':
          return { ...way, token: way.token ?? null };
        case 'email':
          return way;
        case 'telegram':
          return { ...way, url: way.url.replace(/\/+$/, '') };
        default:
          return way satisfies never;
      }
    }),
  };
}

/** The values that give access, for what hides them. */
export function secretsOfWays(ways: readonly AlertWay[]): string[] {
  return ways.flatMap((way) => {
    switch (way.type) {
      case 'webhook':
        return way.secret === null ? [] : [way.secret];
      case 'ntfy':
        return way.token === null ? [] : [way.token];
      case 'email':
        return [];
      case 'telegram':
        return [way.token];
      default:
        return way satisfies never;
    }
  });
}
