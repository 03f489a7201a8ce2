import { promises as dns, type LookupAddress } from 'node:dns';
import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net';
import { DepositdError } from './errors.ts';

/** A host name could not be resolved. */
export class DnsError extends DepositdError {
  constructor(host: string, reason: string) {
    super('dns_failed', `${host} cannot be resolved (${reason})`);
  }
}

export type Resolve = (host: string) => Promise<LookupAddress[]>;

/** The resolver says that there is no such name, or that there is no resolver: `/etc/hosts` may still know it. */
const definiteAnswers = new Set(['ENOTFOUND', 'ENODATA', 'EREFUSED', 'ECONNREFUSED', 'EBADNAME']);

/**
 * Resolves names without the system's `getaddrinfo`, which occupies one of the four threads that all of Node
 * shares for as long as a dead name server keeps it waiting: four dead names would stop everybody's. Names
 * for which `isLocal` holds, and those that DNS does not know, are the system's matter (`/etc/hosts`).
 *
 * `servers` overrides the system's name servers (`ip:port`).
 */
export function createResolver(isLocal: (host: string) => boolean, servers?: readonly string[]): Resolve {
  const resolver = new dns.Resolver({ timeout: 2_000, tries: 2 });
  if (servers !== undefined) resolver.setServers(servers);

  return async (host) => {
    if (isLocal(host)) return lookup(host);
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const addresses: LookupAddress[] = [
      ...(v4.status === 'fulfilled' ? v4.value.map((address) => ({ address, family: 4 })) : []),
      ...(v6.status === 'fulfilled' ? v6.value.map((address) => ({ address, family: 6 })) : []),
    ];
    if (addresses.length > 0) return addresses;
    const codes = [v4, v6].map((result) =>
      result.status === 'rejected' ? codeOf(result.reason) : 'ENODATA',
    );
    if (codes.every((code) => definiteAnswers.has(code))) return lookup(host);
    throw new DnsError(host, codes.find((code) => !definiteAnswers.has(code)) ?? 'unknown');
  };
}

async function lookup(host: string): Promise<LookupAddress[]> {
  try {
    return await dns.lookup(host, { all: true });
  } catch (error) {
    throw new DnsError(host, codeOf(error));
  }
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'unknown';
}

/** How long a connection to one address of a host may take before the next one is tried, ms. */
const addressPatienceMs = 2_500;

/**
 * For every connection of this process: nodes, receivers, price sources, the database. Node gives an address up for good after
 * 250 ms where a host has another one. So a host that is far away, or one lost packet, was never reached where it announces an
 * IPv6 address that is dead, or this machine has no IPv6.
 */
export function waitForEachAddress(): void {
  setDefaultAutoSelectFamilyAttemptTimeout(addressPatienceMs);
}
