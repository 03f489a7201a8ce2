import { isIP } from 'node:net';

/*
 * The token stands behind the `#`, which browsers keep to themselves: it is in no log of a proxy.
 */

/** Where the first operator is made. */
export function firstLinkPath(token: string): string {
  return `/dashboard/#/setup/${token}`;
}

/** Where a user chooses a password. */
export function passwordLinkPath(token: string): string {
  return `/dashboard/#/password/${token}`;
}

/** A path as it is opened on the machine itself, or by who has a tunnel to it. */
export function onThisMachine({ host, port }: { host: string; port: number }, path: string): string {
  const everywhere = host === '0.0.0.0' || host === '::' || host === '';
  const name = everywhere ? '127.0.0.1' : isIP(host) === 6 ? `[${host}]` : host;
  return `http://${name}:${port}${path}`;
}
