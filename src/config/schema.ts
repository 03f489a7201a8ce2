import { z } from 'zod';
import { parseAddress } from '../core/address.ts';
import { canonicalTokens, coins } from '../core/assets.ts';
import { parseRate } from '../core/money.ts';
import { type Network, networks } from '../core/networks.ts';
import { parseAllowedHost } from '../target.ts';
import {
  adminToken,
  database,
  headers,
  host,
  number,
  oneOf,
  publicUrl,
  secretKey,
  section,
  text,
  url,
  wholeNumber,
} from './values.ts';

/*
 * The configuration file. The descriptions become the reference page and the JSON schema.
 */

/** The chains that can be configured by now. */
export const servedNetworks = ['bsc', 'ethereum'] as const satisfies readonly Network[];

const endpointObject = section({
  url: url(['https:', 'http:']).describe(
    'The address of the node. May carry a key; only its host is ever logged.',
  ),
  headers: headers.optional().describe('Sent with each request to this node.'),
  requestsPerSecond: number(0.1, 10_000)
    .optional()
    .describe('Never ask this node more often. Default: no limit.'),
  maxLogRange: wholeNumber(1, 1_000_000, ' of blocks')
    .optional()
    .describe('Most blocks in one query for logs. Default: learned from what the node refuses.'),
  wsUrl: url(['wss:', 'ws:'])
    .optional()
    .describe('A websocket of the node, used only to hear of new blocks at once.'),
});

const endpointText = url(['https:', 'http:']).describe(
  'The address of the node, when nothing else is to be said.',
);

const endpoint = z.union([endpointText, endpointObject], {
  error: 'a URL in quotes, or an object with "url"',
});

/** As far as the file goes: what a currency that is `true` means, `src/config.ts` looks up. */
function tokenOverride(network: Network) {
  const override = section({
    address: text(
      'the address of a contract with its right checksum',
      (value) => !('error' in parseAddress(networks[network].family, value)),
    ).describe('The contract of the token.'),
    decimals: wholeNumber(0, 36).describe('Its decimals. Compared with the contract at each start.'),
  });
  return z
    .union([z.boolean(), override], { error: 'true, false, or an object with "address" and "decimals"' })
    .optional();
}

function chain(network: 'bsc' | 'ethereum') {
  const info = networks[network];
  const tokens = Object.entries(canonicalTokens[network]).map(
    ([currency, { enabled }]) =>
      [
        currency,
        tokenOverride(network)
          .default(enabled)
          .describe(
            'true or false: whether this token can be paid. An object: it can, and is another contract.',
          ),
      ] as const,
  );
  return section({
    rpc: z
      .array(endpoint, { error: 'a list of nodes, at least one' })
      .min(1, { error: 'a list of nodes, at least one' })
      .describe('The nodes to read from, best first. Each is a URL in quotes, or an object.'),
    headers: headers.default({}).describe('Sent to every node of this chain, in addition to its own.'),
    chainId: wholeNumber(1, Number.MAX_SAFE_INTEGER)
      .default(info.chainId)
      .describe('What the node must answer to eth_chainId. Change it for a test network.'),
    confirmations: wholeNumber(1, 100_000)
      .default(info.requiredConfirmations)
      .describe('Blocks that must stand on a transfer, its own included.'),
    finality: oneOf(['finalized', 'depth'])
      .default(info.finality)
      .describe(
        '"finalized": the chain must also call the block final. "depth": the confirmations alone decide.',
      ),
    pollSeconds: number(0.1, 3600).default(info.pollSeconds).describe('The pace while payments are open.'),
    idlePollSeconds: number(0.1, 3600)
      .default(15)
      .describe('The pace while none is. Creating one wakes the chain.'),
    recheckSeconds: number(0.1, 86_400)
      .default(60)
      .describe('How often finalized blocks are read a second time, from another node where there is one.'),
    tokens: section(
      Object.fromEntries(tokens) as Record<'usdt' | 'usdc' | 'busd', (typeof tokens)[number][1]>,
    )
      .prefault({})
      .describe('Which tokens can be paid.'),
    native: z
      .boolean({ error: 'true or false' })
      .default(true)
      .describe(
        "Whether the chain's own coin can be paid with. Costs one more call for each block while such a payment is open.",
      ),
    startBlock: z
      .union([z.literal('latest'), wholeNumber(0, Number.MAX_SAFE_INTEGER)], {
        error: '"latest" or the height of a block',
      })
      .default('latest')
      .describe('Where to begin on a database that has never read this chain.'),
  });
}

const usdPerCoin = text(
  'US dollars as a positive decimal in quotes, like "612.50"',
  (value) => parseRate(value) !== null,
);

export const configSchema = section({
  $schema: z.string({ error: 'a text' }).optional().describe('Lets an editor check this file.'),
  publicUrl: publicUrl.describe(
    'Where customers reach this service: their payment pages are at <publicUrl>/pay/….',
  ),
  listen: section({
    host: host
      .default('127.0.0.1')
      .describe('Where to listen. Keep it on loopback behind a reverse proxy that speaks TLS.'),
    port: wholeNumber(0, 65_535)
      .default(8080)
      .describe('0 picks a free one, which the line "ready" of the log names.'),
  }).prefault({}),
  database: database
    .default('sqlite:./data/depositd.db')
    .describe('A SQLite file, relative to the folder of this configuration, or a PostgreSQL URL.'),
  adminToken: adminToken.describe("The operator's password for /admin/v1/. Best taken from the environment."),
  payments: section({
    lifetimeSeconds: wholeNumber(5, 30 * 86_400)
      .default(1800)
      .describe('How long a customer has to pay.'),
    quarantineSeconds: wholeNumber(0, 365 * 86_400)
      .default(1800)
      .describe('How long an address rests after its payment has ended.'),
    quarantine: oneOf(['soft', 'strict'])
      .default('soft')
      .describe('"soft": a resting address is chosen last. "strict": it is not chosen at all.'),
    toleranceBps: wholeNumber(0, 5000)
      .default(0)
      .describe('How much too little still confirms, in hundredths of a percent: 50 is half a percent.'),
    late: oneOf(['flag', 'confirm'])
      .default('flag')
      .describe(
        '"flag": money that comes after the end waits for you. "confirm": it confirms the payment if it suffices.',
      ),
    watchRetiredDays: wholeNumber(1, 3650)
      .default(30)
      .describe('How long an address that was taken out of service is still watched after its last use.'),
    derivedLimit: wholeNumber(1, 1_000_000)
      .default(1000)
      .describe('Most addresses that are derived from one public key, where the pool says nothing else.'),
  }).prefault({}),
  rates: section({
    sources: z
      .array(oneOf(['binance', 'coinbase', 'kraken', 'coingecko', 'fixed']), {
        error: 'a list of price sources',
      })
      .min(1, { error: 'a list of price sources, at least one' })
      .default(['binance', 'coinbase', 'kraken', 'coingecko'])
      .describe('Whose prices to use: the median of those that are fresh and plausible.'),
    maxAgeSeconds: wholeNumber(1, 86_400).default(60).describe('Older prices are not used.'),
    pegBandBps: wholeNumber(0, 1000)
      .default(50)
      .describe('A stablecoin this close to 1 USD, in hundredths of a percent, is quoted at exactly 1.'),
    fixed: section(
      Object.fromEntries(
        coins.map(
          (coin) =>
            [coin, usdPerCoin.optional().describe('US dollars per coin, as a decimal in quotes.')] as const,
        ),
      ) as Record<(typeof coins)[number], z.ZodOptional<typeof usdPerCoin>>,
    )
      .prefault({})
      .describe('The prices of the source "fixed", for tests and for machines without internet.'),
  }).prefault({}),
  chains: section({
    bsc: chain('bsc').optional().describe('BNB Smart Chain. Off when absent.'),
    ethereum: chain('ethereum').optional().describe('Ethereum. Off when absent.'),
  })
    .refine((chains) => Object.keys(chains).length > 0, { error: 'at least one chain, such as "bsc"' })
    .describe('The chains to watch.'),
  webhooks: section({
    headerPrefix: text(
      'the beginning of a header name, like "X-PayHook"',
      (value) => /^[A-Za-z][A-Za-z0-9-]{0,40}$/.test(value) && !value.endsWith('-'),
    )
      .default('X-PayHook')
      .describe('The headers are <prefix>-Event, <prefix>-Delivery-Id and <prefix>-Signature.'),
    allowHosts: z
      .array(
        text(
          'a host name, an IP address or a range like "10.0.0.0/8"',
          (value) => parseAllowedHost(value) !== null,
        ),
        {
          error: 'a list of hosts',
        },
      )
      .default([])
      .describe('Private hosts and ranges that webhooks may go to. All others must be public.'),
    secretKey: secretKey
      .optional()
      .describe(
        "The key that seals the endpoints' secrets in the database. Best taken from the environment. Default: the file depositd.key, made at the first start.",
      ),
    replayOnRecovery: z
      .boolean({ error: 'true or false' })
      .default(true)
      .describe(
        'An endpoint that accepts again gets what was given up in the last five days, as new deliveries.',
      ),
    retentionDays: wholeNumber(1, 3650)
      .default(90)
      .describe(
        'How long deliveries and their attempts are kept after they ended. Events are kept for ever.',
      ),
  }).prefault({}),
  api: section({
    requestsPerSecond: wholeNumber(1, 1_000_000)
      .default(100)
      .describe('Most requests a second with one API key.'),
  }).prefault({}),
  providers: section({})
    .prefault({})
    .describe('Fiat providers. None are served by this version: leave it empty or out.'),
  log: section({
    level: oneOf(['fatal', 'error', 'warn', 'info', 'debug'])
      .default('info')
      .describe('What is logged, from there on up.'),
  }).prefault({}),
});

export type ConfigFile = z.output<typeof configSchema>;
export type ChainFile = NonNullable<ConfigFile['chains'][(typeof servedNetworks)[number]]>;
