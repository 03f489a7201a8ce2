import { z } from 'zod';
import type { ProviderConfig } from '../config.ts';
import { knownChain } from '../core/chains/known.ts';
import { networkPattern, parseNetwork } from '../core/networks.ts';
import { adapters } from '../providers/adapters.ts';
import type { Adapter } from '../providers/provider.ts';
import { section, text, url, wholeNumber } from './values.ts';

/*
 * The section `providers` of the configuration. What an entry holds beside this is its adapter's to say.
 */

const common = {
  label: text('a name of up to 40 characters', (value) => /^\S(.{0,38}\S)?$/u.test(value))
    .optional()
    .describe('What people read: the `chain` of its payments. Default: the name of its type.'),
  enabled: z
    .boolean({ error: 'true or false' })
    .default(true)
    .describe('Whether payments can be made. What there are go on being followed where they cannot.'),
  merchants: z
    .array(
      text('the id of a merchant', (value) => /^mer_[0-9a-f]+$/.test(value)),
      { error: 'a list of merchants' },
    )
    .min(1, { error: 'a list of merchants, at least one' })
    .optional()
    .describe('The merchants whose payments it takes. Default: all of them.'),
  baseUrl: url(['https:', 'http:'])
    .optional()
    .describe('Another address of its API, for tests. Payers are sent to its documented hosts all the same.'),
  timeoutSeconds: wholeNumber(1, 60).default(15).describe('How long an answer is awaited.'),
};

function entry(adapter: Adapter) {
  return section({
    type: z.literal(adapter.type, { error: `"${adapter.type}"` }).describe('Which provider it is.'),
    ...(adapter.settings as Record<string, z.ZodType>),
    ...common,
  });
}

const types = adapters.map(({ type }) => `"${type}"`).join(', ');
const [first, ...others] = adapters.map(entry);

const name = z.string().regex(networkPattern, 'a name of lower-case letters, digits and dashes');

export const providersSchema = z
  .record(
    name,
    z.discriminatedUnion('type', [first as NonNullable<typeof first>, ...others], {
      error: `an object whose "type" is one of ${types}`,
    }),
    { error: 'an object' },
  )
  .default({})
  .describe('Fiat providers, each by a name of yours, which is the `network` of its payments.');

export type ProvidersFile = z.output<typeof providersSchema>;

/** Fills in what the file leaves to the program, and finds the faults that only several values together make. */
export function providerConfigs(
  file: ProvidersFile,
  chains: Readonly<Record<string, unknown>>,
): { providers: Record<string, ProviderConfig>; faults: string[] } {
  const providers: Record<string, ProviderConfig> = {};
  const faults: string[] = [];
  for (const [key, value] of Object.entries(file)) {
    const network = parseNetwork(key);
    const adapter = adapters.find(({ type }) => type === value.type);
    if (network === null || adapter === undefined) continue;
    if (chains[key] !== undefined || knownChain(network) !== null) {
      faults.push(`providers.${key}: a chain has this name; expected another`);
    }
    const { type, label, enabled, merchants, baseUrl, timeoutSeconds, ...settings } = value as Common;
    const fault = adapter.fault(settings);
    if (fault !== null) faults.push(`providers.${key}: ${fault}`);
    const secrets = adapter.secrets.map((setting) => settings[setting]);
    providers[key] = {
      name: network,
      type,
      label: label ?? adapter.displayName,
      enabled,
      merchants: merchants ?? null,
      baseUrl: baseUrl ?? null,
      timeoutSeconds,
      settings,
      secrets: secrets.filter((secret) => typeof secret === 'string'),
    };
  }
  return { providers, faults };
}

type Common = {
  type: string;
  label?: string;
  enabled: boolean;
  merchants?: string[];
  baseUrl?: string;
  timeoutSeconds: number;
} & Record<string, unknown>;
