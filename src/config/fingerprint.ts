import { createHash } from 'node:crypto';
import type { Config } from '../config.ts';

/** A hash for each section of a configuration that must be the same in all processes on one database. */
export type Fingerprint = Readonly<Record<string, string>>;

/**
 * What decides about money or is told to others. Where a process listens and what it logs is its own affair, as are the
 * nodes that it asks. No secret is in it: it is stored.
 */
export function fingerprintOf(config: Config): Fingerprint {
  const { publicUrl, sandbox, payments, rates, webhooks, providers, chains, checkout } = config;
  const { secretKey: _, ...shared } = webhooks;
  const sections: Record<string, unknown> = {
    publicUrl,
    sandbox,
    payments,
    rates,
    webhooks: shared,
    checkout,
  };
  for (const { secrets, settings, ...provider } of Object.values(providers)) {
    const open = Object.entries(settings).filter(([, value]) => !secrets.includes(value as string));
    sections[`providers.${provider.name}`] = { ...provider, settings: Object.fromEntries(open) };
  }
  for (const { rpc: _, ...chain } of Object.values(chains)) sections[`chains.${chain.network}`] = chain;
  return Object.fromEntries(Object.entries(sections).map(([name, section]) => [name, hashOf(section)]));
}

/** The sections in which two configurations differ, also those that one of them lacks. */
export function differingSections(a: Fingerprint, b: Fingerprint): string[] {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].filter((name) => a[name] !== b[name]).toSorted();
}

/** Whatever the order of its keys. */
function hashOf(section: unknown): string {
  const text = JSON.stringify(section, (_key, value: unknown) => {
    if (typeof value === 'bigint') return value.toString();
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
