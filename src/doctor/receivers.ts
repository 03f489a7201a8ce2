import { isIP, isIPv6 } from 'node:net';
import { reasonOf } from '../errors.ts';
import { createResolver, type Resolve } from '../resolve.ts';
import { canonicalName, parseAllowList, refuseAddress, refuseHost } from '../target.ts';
import { expiresSoon, tryAddress } from './connection.ts';
import { type Finding, findingsOf } from './finding.ts';

export type ReceiverOptions = {
  allowHosts: readonly string[];
  /** For tests: name servers, and the authorities that are trusted beside those of Node. */
  dnsServers?: readonly string[];
  ca?: readonly string[];
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
  { ca }: ReceiverOptions,
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
  const bad = outcomes.filter(({ fault }) => fault !== null);
  const [first] = bad;
  if (first !== undefined && bad.length === outcomes.length) return danger(first.fault ?? '');
  if (first !== undefined) {
    const dead = isIPv6(first.address)
      ? 'its IPv6 address is announced and dead'
      : `${first.address} is dead`;
    return warning(`${dead}: ${first.fault}`, {
      money: 'each delivery that tries it first is late',
      todo: 'mend it, or take it out of DNS',
    });
  }
  const until = Math.min(...outcomes.map(({ validUntil }) => validUntil ?? Number.POSITIVE_INFINITY));
  const soon = expiresSoon(until);
  if (soon !== null) return warning(soon, { todo: 'renew it' });
  return well(`it can be reached${secure === null ? '' : ', and its certificate is good'}`);
}

function allowIt(name: string): string {
  return `give it a public address, or, if it is yours, list ${name} in webhooks.allowHosts`;
}
