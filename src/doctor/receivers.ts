import { once } from 'node:events';
import { connect as connectTcp, isIP, isIPv6 } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { counted } from '../core/plural.ts';
import { reasonOf } from '../errors.ts';
import { createResolver, type Resolve } from '../resolve.ts';
import { canonicalName, parseAllowList, refuseAddress, refuseHost } from '../target.ts';
import { type Finding, findingsOf } from './finding.ts';

const patienceMs = 8_000;
const dayMs = 24 * 3_600_000;
/** Most certificates live for 90 days and are renewed 30 before; one that comes so near was forgotten, ms. */
const soonMs = 14 * dayMs;

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
  const leftMs = until - Date.now();
  if (leftMs < soonMs)
    return warning(`its certificate expires in ${counted(Math.max(0, Math.floor(leftMs / dayMs)), 'day')}`, {
      todo: 'renew it',
    });
  return well(`it can be reached${secure === null ? '' : ', and its certificate is good'}`);
}

function allowIt(name: string): string {
  return `give it a public address, or, if it is yours, list ${name} in webhooks.allowHosts`;
}

type Tried = { address: string; fault: string | null; validUntil: number | null };

async function tryAddress({
  address,
  port,
  secure,
}: {
  address: string;
  port: number;
  secure: { servername: string; ca: readonly string[] | undefined } | null;
}): Promise<Tried> {
  const signal = AbortSignal.timeout(patienceMs);
  if (secure === null) {
    const socket = connectTcp({ host: address, port });
    try {
      await once(socket, 'connect', { signal });
      return { address, fault: null, validUntil: null };
    } catch (error) {
      return { address, fault: faultOf(error, signal), validUntil: null };
    } finally {
      socket.destroy();
    }
  }
  const { servername, ca } = secure;
  // Its certificate is judged here, so that all that is wrong with it can be told.
  const socket = connectTls({
    host: address,
    port,
    servername,
    rejectUnauthorized: false,
    ...(ca === undefined ? {} : { ca: [...ca] }),
  });
  try {
    await once(socket, 'secureConnect', { signal });
    const certificate = socket.getPeerCertificate(true);
    const validUntil = Date.parse(certificate.valid_to);
    const alone = certificate.issuerCertificate === undefined;
    const fault = socket.authorized
      ? null
      : describeCertificate(String(socket.authorizationError), alone, validUntil);
    return { address, fault, validUntil };
  } catch (error) {
    return { address, fault: faultOf(error, signal), validUntil: null };
  } finally {
    socket.destroy();
  }
}

function describeCertificate(code: string, alone: boolean, validUntil: number): string {
  if (code === 'CERT_HAS_EXPIRED')
    return `its certificate expired on ${new Date(validUntil).toISOString().slice(0, 10)}`;
  if (/^UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT)/.test(code) && alone)
    return 'its server sends its certificate without the intermediate one, which browsers often know and servers do not';
  return `its certificate is not accepted (${code})`;
}

function faultOf(error: unknown, signal: AbortSignal): string {
  return signal.aborted ? `no answer within ${patienceMs / 1000} s` : reasonOf(error);
}
