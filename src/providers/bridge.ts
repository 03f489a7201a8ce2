import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { createScrubber } from '../config/scrub.ts';
import type { ProviderConfig } from '../config.ts';
import type { Network } from '../core/networks.ts';
import { InvariantError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Sleep } from '../loop.ts';
import type { Outbound } from '../outbound.ts';
import { inTransaction } from '../storage/database.ts';
import { findProviderState, insertProvider, type ProviderNote } from '../storage/providers/providers.ts';
import type { Db } from '../storage/schema.ts';
import { adapters } from './adapters.ts';
import { createProviderClient, type ProviderClient } from './client.ts';
import type { Adapter, Provider, Result } from './provider.ts';

/** A configured provider, ready to be asked. */
export type Bridge = {
  name: Network;
  config: ProviderConfig;
  provider: Provider;
  client: ProviderClient;
  /** Where its webhooks come in. */
  inboundUrl: string;
  inboundPath: string;
  /** False in a sandbox. */
  livemode: boolean;
  /** Hides what gives access to its account. */
  scrub: (text: string) => string;
  /** Why it fails at the moment, as far as this process knows; null while it does not. */
  trouble(): string | null;
  /** What is to be noted about how it does, once; null when that is nothing new. */
  takeNote(): ProviderNote | null;
};

export type BridgeDeps = {
  db: Db;
  outbound: Outbound;
  /** Seals the paths of webhooks. */
  secrets: { seal(secret: string, id: string): string; unseal(sealed: string, id: string): string };
  publicUrl: string;
  livemode: boolean;
  clock: Clock;
  log: Logger;
  sleep: Sleep;
  /** For tests: more types of providers. */
  adapters?: readonly Adapter[];
};

/** How long a failure speaks against a provider, ms. */
const staleTroubleMs = 2 * 60 * 1000;

/** Opens what one entry of the configuration describes. Its path for webhooks is made the first time. */
export async function openBridge(config: ProviderConfig, deps: BridgeDeps): Promise<Bridge> {
  const { name, settings, timeoutSeconds, baseUrl } = config;
  const adapter = [...adapters, ...(deps.adapters ?? [])].find(({ type }) => type === config.type);
  if (adapter === undefined) throw new InvariantError(`no adapter for providers of the type ${config.type}`);
  const provider = adapter.open(settings);
  const { descriptor, mode } = provider;
  const scrub = createScrubber(config.secrets);
  const inboundPath = await inboundPathOf(name, deps);
  const log = deps.log.child({ provider: name });
  let note: ProviderNote | null = null;
  let trouble: { reason: string; at: number } | null = null;

  function observe(result: Result<unknown>): void {
    const reason = failureIn(result);
    if (reason === null) {
      if (trouble !== null) log.info('provider answers again');
      trouble = null;
      note = { ...note, succeededAt: deps.clock(), lastError: null };
    } else {
      if (trouble === null) log.warn({ reason }, 'provider failed');
      trouble = { reason, at: deps.clock() };
      note = { ...note, failedAt: deps.clock(), lastError: reason };
    }
  }

  return {
    name,
    config,
    provider,
    client: createProviderClient({
      outbound: deps.outbound,
      baseUrl: (baseUrl ?? descriptor.baseUrl).replace(/\/+$/, ''),
      requestsPerSecond: descriptor.requestsPerSecond[mode],
      timeoutMs: timeoutSeconds * 1000,
      scrub,
      observe,
      clock: deps.clock,
      sleep: deps.sleep,
    }),
    inboundPath,
    livemode: deps.livemode,
    inboundUrl: `${deps.publicUrl}/in/${name}/${inboundPath}`,
    scrub,
    // After a while nobody knows any more: a shop that leaves it out would never hear that it is well again.
    trouble: () => (trouble === null || deps.clock() - trouble.at > staleTroubleMs ? null : trouble.reason),
    takeNote() {
      const taken = note;
      note = null;
      return taken;
    },
  };
}

/** Why a provider counts as failing after this; null where it does what it should, a well-founded no included. */
function failureIn(result: Result<unknown>): string | null {
  switch (result.outcome) {
    case 'done':
    case 'declined':
    case 'not_found':
      return null;
    case 'limited':
      return 'it asks to be left alone for a while (HTTP 429)';
    case 'rejected':
    case 'not_sent':
    case 'unknown':
      return result.reason;
    default:
      return result satisfies never;
  }
}

async function inboundPathOf(name: string, { db, secrets }: BridgeDeps): Promise<string> {
  const sealedFor = `inbound path of ${name}`;
  const known = await findProviderState(db, name);
  if (known === null) {
    const sealed = secrets.seal(randomBytes(24).toString('base64url'), sealedFor);
    await inTransaction(db, (trx) => insertProvider(trx, name, sealed));
  }
  const state = known ?? (await findProviderState(db, name));
  if (state === null) throw new InvariantError(`provider ${name} vanished`);
  return secrets.unseal(state.inboundPath, sealedFor);
}
