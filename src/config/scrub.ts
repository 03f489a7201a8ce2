import type { Config } from '../config.ts';
import { decodePercent } from '../core/basic-auth.ts';
import { secretsOfWays } from './alerts.ts';

/** Shorter secrets would hide parts of ordinary words. */
const shortestSecret = 6;

/** A shorter part of a URL's path is more likely a word such as `mainnet` than a key. */
const shortestKeyInUrl = 16;

const keyPattern = /\b(pk_|whsec_)[A-Za-z0-9+/=_-]+/g;
const urlPattern = /\b([a-z][a-z0-9+.-]*:\/\/)([^\s"'<>\\]+)/gi;

/**
 * Hides what gives access: `secrets` literally, our API keys and webhook secrets by their shape, and of each
 * URL everything but scheme, host and port, because nodes' keys travel in paths, queries and user names.
 */
export function createScrubber(secrets: readonly string[]): (text: string) => string {
  const literals = secrets
    .filter((secret) => secret.length >= shortestSecret)
    // In a line of JSON the secret appears escaped.
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)])
    .sort((a, b) => b.length - a.length);
  return (text) => {
    let clean = text;
    for (const literal of literals) clean = clean.replaceAll(literal, '[hidden]');
    if (clean.includes('://')) clean = clean.replace(urlPattern, hideUrl);
    if (clean.includes('pk_') || clean.includes('whsec_')) clean = clean.replace(keyPattern, '$1[hidden]');
    return clean;
  };
}

function hideUrl(url: string, scheme: string, rest: string): string {
  // Where our own code lies; a stack without it says nothing.
  if (scheme === 'file://') return url;
  const authority = /^[^/?#]*/.exec(rest)?.[0] ?? '';
  const userEnd = authority.lastIndexOf('@');
  // An "@" further on may end a password in which somebody forgot to escape a slash: nothing is sure then.
  if (rest.lastIndexOf('@') > userEnd) return `${scheme}…`;
  return `${scheme}${authority.slice(userEnd + 1)}${userEnd < 0 && rest === authority ? '' : '/…'}`;
}

/** Every value of a configuration that must not be printed, for {@link createScrubber}. */
export function secretsOf(config: Config): string[] {
  const endpoints = Object.values(config.chains).flatMap((chain) => chain.rpc);
  return [
    config.adminToken,
    ...Object.values(config.providers).flatMap(({ secrets }) => secrets),
    ...(config.rates.fiat.openexchangeratesAppId === null ? [] : [config.rates.fiat.openexchangeratesAppId]),
    ...(config.webhooks.secretKey === null ? [] : [config.webhooks.secretKey]),
    ...[config.database, config.databaseDirect].flatMap((url) => (url === null ? [] : keysInUrl(url))),
    ...secretsOfWays(config.alerts.to),
    ...config.alerts.to.flatMap((way) => keysInUrl(way.type === 'email' ? way.smtp : way.url)),
    ...endpoints.flatMap((endpoint) => [
      ...Object.values(endpoint.headers),
      ...keysInUrl(endpoint.url),
      ...[endpoint.wsUrl, endpoint.solidityUrl].flatMap((url) => (url === null ? [] : keysInUrl(url))),
    ]),
  ];
}

function keysInUrl(text: string): string[] {
  if (!text.includes('://') || !URL.canParse(text)) return [];
  const url = new URL(text);
  const parts = [...url.pathname.split('/'), ...url.searchParams.values()];
  const keys = parts.filter((part) => part.length >= shortestKeyInUrl);
  return [url.password, decodePercent(url.password), ...keys];
}
