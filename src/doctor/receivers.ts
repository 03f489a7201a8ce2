import { isIP, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { reasonOf } from '../errors.ts';
import { createResolver, type Resolve } from '../resolve.ts';
import { canonicalName, parseAllowList, refuseAddress, refuseHost } from '../target.ts';
import { expiresSoon, type Interfaces, lacksIpv6For, type Tried, tryAddress } from './connection.ts';
import { type Finding, findingsOf } from './finding.ts';

export type ReceiverOptions = {
  allowHosts: readonly string[];
  /** For tests: name servers, and the authorities that are trusted beside those of Node. */
  dnsServers?: readonly string[];
  ca?: readonly string[];
  /** For tests: those of this machine. */
  interfaces?: Interfaces;
};

/** Connects to each host that webhooks go to, as a delivery does, and sends nothing. */
export async function checkReceivers(urls: readonly string[], options: ReceiverOptions): Promise<Finding[]> {
  const allowed = parseAllowList(options.allowHosts);
  const resolve = createResolver((host) => allowed.names.has(canonicalName(host)), options.dnsServers);
  const origins = [...new Set(urls.map((url) => new URL(url).origin))];
  return Promise.all(origins.map((origin) => checkOrigin(new URL(origin), resolve, allowed, options)));
}

async function checkOrigin(
  { protocol, hostname, port, host }: URL,
  resolve: Resolve,
  allowed: ReturnType<typeof parseAllowList>,
  { ca, interfaces = networkInterfaces() }: ReceiverOptions,
): Promise<Finding> {
  const { well, warning, danger } = findingsOf('webhooks', host, {
    money: 'the shop does not hear that it was paid, and delivers nothing',
    todo: 'mend the receiver, or its address (depositd webhook …)',
  });
  const name = hostname.replace(/^\[|\]$/g, '');
  const addresses: string[] = [];
  try {
    const refusal = refuseHost(hostname, allowed);
    if (refusal !== null) return danger(`nothing is sent there: ${refusal}`, { todo: allowIt(name) });
    if (isIP(name) !== 0) addresses.push(name);
    else addresses.push(...(await resolve(name)).map(({ address }) => address));
  } catch (error) {
    return danger(reasonOf(error));
  }
  for (const address of addresses) {
    const refusal = refuseAddress(address, allowed, name);
    if (refusal !== null)
      return danger(`nothing is sent there: it resolves to a refused address, ${refusal}`, {
        todo: allowIt(name),
      });
  }
  const at = Number(port === '' ? (protocol === 'https:' ? 443 : 80) : port);
  const secure = protocol === 'https:' ? { servername: isIP(name) === 0 ? name : '', ca } : null;
  const outcomes = await Promise.all(addresses.map((address) => tryAddress({ address, port: at, secure })));
  const isOurs = ({ address, fault }: Tried) => fault !== null && lacksIpv6For(address, interfaces);
  const judged = outcomes.filter((outcome) => !isOurs(outcome));
  const bad = judged.filter(({ fault }) => fault !== null);
  const [first] = bad;
  if (judged.length === 0)
    return danger(`this machine has no IPv6, and ${host} nothing else: ${outcomes[0]?.fault}`);
  if (first !== undefined && bad.length === judged.length) return danger(first.fault ?? '');
  if (first !== undefined) {
    const dead = isIPv6(first.address)
      ? 'its IPv6 address is in DNS, and cannot be connected to'
      : `${first.address} cannot be connected to`;
    return warning(`${dead}: ${first.fault}`, {
      money: 'each delivery that tries it first is late',
      todo: 'mend it, or take it out of DNS',
    });
  }
  const until = Math.min(...outcomes.map(({ validUntil }) => validUntil ?? Number.POSITIVE_INFINITY));
  const soon = expiresSoon(until);
  if (soon !== null) return warning(soon, { todo: 'renew it' });
  const reached = `it can be reached${secure === null ? '' : ', and its certificate is good'}`;
  if (judged.length === outcomes.length) return well(reached);
  return well(`${reached}; whether its IPv6 address can is not known: this machine has no IPv6`);
}

function allowIt(name: string): string {
  return `give it a public address, or, if it is yours, list ${name} in webhooks.allowHosts`;
}
