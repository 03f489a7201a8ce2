import { createTransport } from 'nodemailer';
import type { AlertsConfig, AlertWay } from '../config.ts';
import { splitCredentials } from '../core/basic-auth.ts';
import { reasonOf } from '../errors.ts';
import { signPayload, signStandard } from '../notify/signature.ts';
import { createOutbound, type Outbound, type OutboundCall } from '../outbound.ts';
import { isoTime, timeOrNull } from '../present/values.ts';
import type { Message } from './message.ts';

/** Where messages go. Answers null when it was taken, and otherwise why not, without secrets. */
export type Way = { name: string; send(message: Message, now: number): Promise<string | null> };

const timeoutMs = 10_000;

export function createWay(way: AlertWay, outbound: Outbound): Way {
  switch (way.type) {
    case 'webhook':
      return {
        name: `webhook ${hostOf(way.url)}`,
        send: (...given) => post(outbound, webhookCall(way, ...given)),
      };
    case 'ntfy':
      return { name: `ntfy ${hostOf(way.url)}`, send: (message) => post(outbound, ntfyCall(way, message)) };
    case 'telegram':
      return {
        name: `telegram ${way.chatId}`,
        send: (message) => post(outbound, telegramCall(way, message)),
      };
    case 'email':
      return { name: `email ${way.to}`, send: (message, now) => mail(way, message, now) };
    default:
      return way satisfies never;
  }
}

/** The operator has chosen these hosts, private ones too. */
export function createAlertsOutbound({ to }: AlertsConfig, userAgent: string): Outbound {
  const hosts = to.flatMap((way) =>
    way.type === 'email' ? [] : [new URL(way.url).hostname.replace(/^\[|\]$/g, '')],
  );
  return createOutbound({ allowHosts: hosts, userAgent });
}

type Kind<T extends AlertWay['type']> = Extract<AlertWay, { type: T }>;
type Post = { url: string; body: object; headers?: Record<string, string> };

async function post(
  outbound: Outbound,
  { url: given, body, headers = {} }: Post | SignedPost,
): Promise<string | null> {
  const { url, headers: credentials } = splitCredentials(given);
  const bytes = body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
  const call: OutboundCall = {
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json', ...credentials, ...headers },
    body: bytes,
    timeoutMs,
    maxBodyBytes: 2_048,
  };
  const result = await outbound.send(call);
  if (result.kind === 'failure') return `${result.error}: ${result.detail}`;
  return result.status >= 200 && result.status < 300 ? null : `it answered ${result.status}`;
}

type SignedPost = { url: string; body: Uint8Array; headers: Record<string, string> };

/** Signed as webhooks to shops are, where a secret is given. */
function webhookCall({ url, secret }: Kind<'webhook'>, message: Message, now: number): SignedPost {
  const body = Buffer.from(
    JSON.stringify({
      event: message.event,
      alert: message.alert,
      severity: message.severity,
      title: message.title,
      text: message.text,
      runbook: message.runbook,
      began_at: timeOrNull(message.beganAt),
      ended_at: timeOrNull(message.endedAt),
      sent_at: isoTime(now),
    }),
  );
  const id = `alert_${Buffer.from(message.id).toString('base64url')}`;
  const timestamp = Math.floor(now / 1000);
  const headers: Record<string, string> = { 'X-PayHook-Event': message.event, 'webhook-id': id };
  if (secret !== null) {
    headers['X-PayHook-Signature'] = signPayload([secret], timestamp, body);
    headers['webhook-timestamp'] = String(timestamp);
    headers['webhook-signature'] = signStandard([secret], { id, timestamp, body });
  }
  return { url, body, headers };
}

/** https://docs.ntfy.sh/publish/#publish-as-json */
function ntfyCall({ url, topic, token }: Kind<'ntfy'>, message: Message): Post {
  const urgent = { page: 5, warn: 4, ticket: 3 } as const;
  const ended = message.event === 'alert.ended';
  return {
    url,
    body: {
      topic,
      title: message.title,
      message: message.text,
      priority: ended ? 3 : urgent[message.severity],
      tags: [ended ? 'white_check_mark' : 'warning'],
    },
    ...(token === null ? {} : { headers: { authorization: `Bearer ${token}` } }),
  };
}

/** https://core.telegram.org/bots/api#sendmessage */
function telegramCall({ url, token, chatId }: Kind<'telegram'>, message: Message): Post {
  const text = `${message.title}\n${message.text}`.slice(0, 4_000);
  return {
    url: `${url}/bot${token}/sendMessage`,
    body: { chat_id: chatId, text, link_preview_options: { is_disabled: true } },
  };
}

async function mail(
  { smtp, from, to }: Kind<'email'>,
  message: Message,
  now: number,
): Promise<string | null> {
  const transport = createTransport({
    url: smtp,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    // Neither files nor URLs go into a mail of ours.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    await transport.sendMail({
      from,
      to,
      subject: message.title,
      text: `${message.text}\n`,
      date: new Date(now),
      headers: { 'Auto-Submitted': 'auto-generated' },
    });
    return null;
  } catch (error) {
    return reasonOf(error);
  } finally {
    transport.close();
  }
}

function hostOf(url: string): string {
  return new URL(url).host;
}
