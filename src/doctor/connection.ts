import { once } from 'node:events';
import { connect as connectTcp, isIPv6 } from 'node:net';
import type { networkInterfaces } from 'node:os';
import { connect as connectTls } from 'node:tls';
import ipaddr from 'ipaddr.js';
import { counted } from '../core/plural.ts';
import { reasonOf } from '../errors.ts';

const patienceMs = 8_000;
const dayMs = 24 * 3_600_000;
/** Most certificates live for 90 days and are renewed 30 before; one that comes so near was forgotten, ms. */
const soonMs = 14 * dayMs;

/** Null where there is time. */
export function expiresSoon(validUntil: number): string | null {
  const leftMs = validUntil - Date.now();
  if (leftMs >= soonMs) return null;
  return `its certificate expires in ${counted(Math.max(0, Math.floor(leftMs / dayMs)), 'day')}`;
}

export type Tried = { address: string; fault: string | null; validUntil: number | null };

/** Connects, looks at the certificate where it is `secure`, and sends nothing. `validUntil`: null where none was shown. */
export async function tryAddress({
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

export type Interfaces = ReturnType<typeof networkInterfaces>;

/** From the narrowest to the widest: who has an address of one can be reached from there, and reach it. */
const scopes = ['loopback', 'linkLocal', 'uniqueLocal', 'unicast'];

/** Whether an address is one of IPv6, and this machine has none with which it could be reached: then it says nothing of the address. */
export function lacksIpv6For(address: string, interfaces: Interfaces): boolean {
  if (!isIPv6(address)) return false;
  const scopeOf = (text: string) => scopes.indexOf(ipaddr.parse(text.replace(/%.*/, '')).range());
  const own = Object.values(interfaces).flatMap((addresses) => addresses ?? []);
  return !own.some((one) => one.family === 'IPv6' && scopeOf(one.address) >= scopeOf(address));
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
