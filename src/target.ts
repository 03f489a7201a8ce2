import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/*
 * Where this program may connect to when somebody else chose the address: the public internet, and what the
 * operator listed in `webhooks.allowHosts`. Checked on the parsed URL, because 0x7f000001, 127.1 and their
 * kin all become 127.0.0.1 there, and again on every address that a name resolves to (outbound.ts).
 */

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = { address: Address; bits: number };

/** The parsed `webhooks.allowHosts`. */
export type AllowList = { names: ReadonlySet<string>; ranges: readonly Range[] };

const everyV4Compatible = ipaddr.IPv6.parse('::');

/** Addresses at which clouds hand out credentials. Some are ordinary addresses to look at. */
const metadataAddresses = ['100.100.100.200', '168.63.129.16', '192.0.0.192', 'fd00:ec2::254'].map(parse);

/** Null when `entry` is neither a host name, nor an IP address, nor a CIDR range. */
export function parseAllowedHost(entry: string): { name: string } | Range | null {
  const [head = '', bits, ...rest] = entry.trim().toLowerCase().split('/');
  const literal = unbracket(head);
  if (isIP(literal) !== 0) {
    const address = parse(literal);
    const most = address.kind() === 'ipv4' ? 32 : 128;
    if (bits === undefined) return { address, bits: most };
    if (rest.length > 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > most) return null;
    return { address, bits: Number(bits) };
  }
  if (bits !== undefined) return null;
  const name = head.replace(/\.$/, '');
  return /^(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(
    name,
  )
    ? { name }
    : null;
}

/** Entries that are not understood allow nothing; the configuration refuses them before (`parseAllowedHost`). */
export function parseAllowList(allowHosts: readonly string[]): AllowList {
  const names = new Set<string>();
  const ranges: Range[] = [];
  for (const entry of allowHosts) {
    const parsed = parseAllowedHost(entry);
    if (parsed === null) continue;
    if ('name' in parsed) names.add(parsed.name);
    else ranges.push(parsed);
  }
  return { names, ranges };
}

/**
 * Why an endpoint may not have this URL, as a phrase after "url", or null. Names are not resolved here: what
 * they resolve to is checked at each delivery.
 */
export function checkTarget(url: string, allowHosts: readonly string[]): string | null {
  if (url.length > 2048) return 'must not be longer than 2048 characters';
  if (!URL.canParse(url)) return 'must be a URL such as https://shop.example/webhooks';
  const { protocol, hostname, username, password } = new URL(url);
  if (protocol !== 'https:' && protocol !== 'http:') return 'must begin with https:// or http://';
  if (username !== '' || password !== '')
    return "must not contain a user name or password; send them as a header of the endpoint, such as 'Authorization: Basic …' (`headers`, on the command line --header)";
  const refusal = refuseHost(hostname, parseAllowList(allowHosts));
  if (refusal === null) return null;
  return `must be reachable from the internet: ${refusal}; the operator can list it in webhooks.allowHosts`;
}

/**
 * Why a host may not be connected to, before it is resolved, or null. `host` is a URL's host name, brackets
 * of an IPv6 literal included or not.
 */
export function refuseHost(host: string, allowed: AllowList): string | null {
  const literal = unbracket(host);
  if (isIP(literal) !== 0) return refuseAddress(literal, allowed);
  const name = canonicalName(host);
  if (allowed.names.has(name)) return null;
  return name === 'localhost' || name.endsWith('.localhost') ? `${name} is this machine` : null;
}

/** Why an IP address may not be connected to, or null. `name` is what resolved to it. */
export function refuseAddress(ip: string, allowed: AllowList, name?: string): string | null {
  const address = parse(ip);
  const special = specialRange(address);
  if (special === null) return null;
  // Whoever reaches these may read the machine's credentials: only naming exactly them opens them.
  const dangerous = special === 'linkLocal' || special === 'metadata';
  if (!dangerous && name !== undefined && allowed.names.has(canonicalName(name))) return null;
  for (const range of allowed.ranges) {
    if (!contains(range, address)) continue;
    if (!dangerous || range.bits === (address.kind() === 'ipv4' ? 32 : 128)) return null;
  }
  return `${ip} is ${describe(special)}`;
}

/** A URL's host name as the allow-list spells it. */
export function canonicalName(host: string): string {
  return host.toLowerCase().replace(/\.$/, '');
}

/** Null for an ordinary public address. */
function specialRange(address: Address): string | null {
  if (metadataAddresses.some((known) => known.toString() === address.toString())) return 'metadata';
  const range = address.range();
  if (address.kind() === 'ipv6' && range === 'unicast') {
    // ::127.0.0.1 and its kin (IPv4-compatible, ISATAP-like): nothing public lives in ::/8.
    return contains({ address: everyV4Compatible, bits: 8 }, address) ? 'ipv4Compatible' : null;
  }
  return range === 'unicast' ? null : range;
}

function contains(range: Range, address: Address): boolean {
  return range.address.kind() === address.kind() && address.match(range.address, range.bits);
}

/** ::ffff:10.0.0.1 becomes 10.0.0.1. */
function parse(ip: string): Address {
  return ipaddr.process(ip);
}

function unbracket(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

function describe(range: string): string {
  switch (range) {
    case 'private':
    case 'uniqueLocal':
      return 'a private address';
    case 'loopback':
    case 'unspecified':
      return 'this machine';
    case 'linkLocal':
    case 'metadata':
      return 'an address inside the hosting machine or network';
    default:
      return `not a public address (${range})`;
  }
}
