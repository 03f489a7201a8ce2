import { isIP } from 'node:net';
import { z } from 'zod';
import { parseAddress } from '../core/address.ts';
import { type KnownChain, knownChains } from '../core/chains/known.ts';
import { parseRate } from '../core/money.ts';
import type { ChainFamily } from '../core/networks.ts';
import { parseAllowedHost } from '../target.ts';
import { alertsSchema } from './alerts.ts';
import { providersSchema } from './providers.ts';
import {
  adminToken,
  database,
  directDatabase,
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

const requestsPerDay = wholeNumber(1, 1_000_000_000)
  .optional()
  .describe(
    'Calls that your plan with this node allows in a day; each of a batch counts. At a pace that is more the chain is read more slowly, at least once a minute, and there is an alert (`node_quota`).',
  );

const endpointObject = section({
  url: url(['https:', 'http:']).describe(
    'The address of the node. May carry a key; only its host is ever logged.',
  ),
  headers: headers.optional().describe('Sent with each request to this node.'),
  requestsPerSecond: number(0.1, 10_000)
    .optional()
    .describe('Never ask this node more often. Default: no limit.'),
  requestsPerDay,
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

const tronEndpointObject = section({
  url: url(['https:', 'http:']).describe(
    'The base address of the node: `/wallet` and `/walletsolidity` are appended. May carry a key; only its host is ever logged.',
  ),
  solidityUrl: url(['https:', 'http:'])
    .optional()
    .describe(
      'The base address to which `/walletsolidity` is appended, where that is another one: port 8091 of a node of your own.',
    ),
  headers: headers.optional().describe('Sent with each request to this node.'),
  requestsPerSecond: number(0.1, 10_000)
    .optional()
    .describe('Never ask this node more often. Default: no limit.'),
  requestsPerDay,
});

const tronEndpoint = z.union([endpointText, tronEndpointObject], {
  error: 'a URL in quotes, or an object with "url"',
});

const symbol = (pattern: RegExp, example: string) =>
  text(`a symbol like "${example}"`, (value) => pattern.test(value)).optional();

const rate = z.union(
  [
    oneOf(['usd', 'eur']),
    section({
      binance: symbol(/^[A-Z0-9]{2,20}USDT$/, 'POLUSDT').describe('The pair with USDT at Binance.'),
      coinbase: symbol(/^[A-Z0-9]{2,20}-USD$/, 'POL-USD').describe('The product at Coinbase.'),
      kraken: symbol(/^[A-Z0-9]{2,20}USD$/, 'POLUSD').describe('The pair with USD at Kraken.'),
      coingecko: symbol(/^[a-z0-9-]{1,80}$/, 'polygon-ecosystem-token').describe('The id at CoinGecko.'),
    }).refine((value) => Object.keys(value).length > 0, { error: 'at least one source' }),
  ],
  { error: '"usd" or "eur" for what is pegged to it, or an object with what the price sources call it' },
);

const rateHelp =
  '"usd" or "eur": one of it is worth that. An object: what the price sources call it. rates.fixed may also name it.';

function token(family: ChainFamily) {
  return {
    address: text(
      'the address of a contract with its right checksum',
      (value) => !('error' in parseAddress(family, value)),
    ).describe('The contract of the token.'),
    decimals: wholeNumber(0, 36).describe('Its decimals. Compared with the contract at each start.'),
  };
}

/** A token that needs all to be said of it. */
function anyToken(family: ChainFamily) {
  const error = 'an object with "address", "decimals" and "rate"';
  return z.strictObject({ ...token(family), rate: rate.describe(rateHelp) }, { error });
}

/** As far as the file goes: what a currency that is `true` means, `config/chain.ts` looks up. */
function knownToken(family: ChainFamily, enabled: boolean) {
  const override = section({ ...token(family), rate: rate.optional().describe(rateHelp) });
  return z
    .union([z.boolean(), override], { error: 'true, false, or an object with "address" and "decimals"' })
    .default(enabled)
    .describe('true or false: whether this token can be paid. An object: it can, and is another contract.');
}

const confirmationTier = section({
  upToUsdCents: wholeNumber(1, 100_000_000).describe(
    'For payments of at most so much, as long as no more than that has come.',
  ),
  confirmations: wholeNumber(1, 100_000).describe(
    'Blocks that must stand on a transfer, its own included. At most `confirmations` of the chain.',
  ),
});

type Defaults = Pick<KnownChain, 'requiredConfirmations' | 'finality' | 'pollSeconds' | 'feeClass'>;

/** What can be said of every chain. */
function settings<T extends z.ZodType>(
  { finality, pollSeconds, feeClass }: Omit<Defaults, 'requiredConfirmations'>,
  node: T,
) {
  return {
    enabled: z
      .boolean({ error: 'true or false' })
      .default(true)
      .describe('false: the chain goes on being read for the payments it has, and no new ones are made.'),
    rpc: z
      .array(node, { error: 'a list of nodes, at least one' })
      .min(1, { error: 'a list of nodes, at least one' })
      .describe('The nodes to read from, best first. Each is a URL in quotes, or an object.'),
    headers: headers.default({}).describe('Sent to every node of this chain, in addition to its own.'),
    finality: oneOf(['finalized', 'depth'])
      .default(finality)
      .describe(
        '"finalized": the chain must also call the block final. "depth": the confirmations alone decide.',
      ),
    pollSeconds: number(0.1, 3600).default(pollSeconds).describe('The pace while payments are open.'),
    idlePollSeconds: number(0.1, 3600)
      .default(15)
      .describe(
        'The pace while none is; four times as slow, but no slower than a minute for it, while no address is in use. Creating one wakes the chain.',
      ),
    recheckSeconds: number(0.1, 86_400)
      .default(60)
      .describe('How often finalized blocks are read a second time, from another node where there is one.'),
    secondNodeWaitSeconds: number(0, 3600)
      .default(60)
      .describe(
        'How long a fact waits for a second node while all others are silent: once for each outage, not for each payment.',
      ),
    confirmationTiers: z
      .array(confirmationTier, { error: 'a list of tiers like {"upToUsdCents": 2000, "confirmations": 2}' })
      .default([])
      .describe(
        'Fewer confirmations for small payments, by depth alone: what a reorg may then cost you is explained in docs/confirmations.md. Smallest first.',
      ),
    feeClass: oneOf(['low', 'medium', 'high'])
      .default(feeClass)
      .describe('What the network usually takes from who sends, as payers who choose a network are told.'),
    startBlock: z
      .union([z.literal('latest'), wholeNumber(0, Number.MAX_SAFE_INTEGER)], {
        error: '"latest" or the height of a block',
      })
      .default('latest')
      .describe('Where to begin on a database that has never read this chain.'),
  };
}

const chainId = wholeNumber(1, Number.MAX_SAFE_INTEGER);
const confirmations = wholeNumber(1, 100_000);
const confirmationsHelp = 'Blocks that must stand on a transfer, its own included.';

function chain(known: KnownChain) {
  return section({
    ...knownSettings(known, endpoint),
    chainId: chainId
      .default(known.chainId)
      .describe('What the node must answer to eth_chainId. Change it for a test network.'),
    native: z
      .boolean({ error: 'true or false' })
      .default(true)
      .describe(
        "Whether the chain's own coin can be paid with. Costs one more call for each block while such a payment is open.",
      ),
  }).describe(`${known.name}. Off when absent.`);
}

function tronChain(known: KnownChain) {
  return section({
    ...knownSettings(known, tronEndpoint),
    chainId: chainId
      .default(known.chainId)
      .describe(
        "The last four bytes of the id of the chain's first block, as a number. Change it for a test network.",
      ),
    native: z.boolean({ error: 'true or false' }).default(true).describe('Whether TRX can be paid with.'),
    internalTransfers: z
      .boolean({ error: 'true or false' })
      .default(false)
      .describe('Whether TRX that contracts pay is looked for. Only nodes that store it show it.'),
  }).describe(`${known.name}. Off when absent.`);
}

/** What can be said of every chain that the program knows. */
function knownSettings<T extends z.ZodType>(known: KnownChain, node: T) {
  const tokens = Object.entries(known.tokens).map(
    ([name, { enabled }]) => [name, knownToken(known.family, enabled)] as const,
  );
  return {
    ...settings(known, node),
    confirmations: confirmations.default(known.requiredConfirmations).describe(confirmationsHelp),
    tokens: section(
      Object.fromEntries(tokens) as Record<keyof KnownChain['tokens'], (typeof tokens)[number][1]>,
    )
      .catchall(anyToken(known.family))
      .prefault({})
      .describe('Which tokens can be paid. Any other name makes any other token a currency.'),
  };
}

/** A chain that the program does not know. */
const customChain = section({
  family: oneOf(['evm']).describe('How it is read: "evm" for every chain that speaks as Ethereum does.'),
  chainId: chainId.describe('What the node must answer to eth_chainId.'),
  name: text('the name that people read, up to 40 characters', (value) =>
    /^\S.{0,38}\S$/u.test(value),
  ).describe('The name that people read, also in webhooks.'),
  confirmations: confirmations.describe(confirmationsHelp),
  ...settings({ finality: 'depth', pollSeconds: 3, feeClass: 'medium' }, endpoint),
  native: section({
    symbol: text('a symbol like "MNT"', (value) => /^[A-Za-z][A-Za-z0-9]{0,9}$/.test(value)).describe(
      "The chain's own coin.",
    ),
    decimals: wholeNumber(0, 36).describe('Its decimals: 18 nearly everywhere.'),
    rate: rate.describe(rateHelp),
    enabled: z.boolean({ error: 'true or false' }).default(true).describe('Whether it can be paid with.'),
  }),
  tokens: z
    .record(z.string(), anyToken('evm'), { error: 'an object' })
    .default({})
    .describe('The tokens that can be paid, each by the name that is its currency.'),
});

const usdPerCoin = text(
  'US dollars as a positive decimal in quotes, like "612.50"',
  (value) => parseRate(value) !== null,
);

export const configSchema = section({
  $schema: z.string({ error: 'a text' }).optional().describe('Lets an editor check this file.'),
  publicUrl: publicUrl.describe(
    'Where customers reach this service: their payment pages are at <publicUrl>/pay/….',
  ),
  sandbox: z
    .boolean({ error: 'true or false' })
    .default(false)
    .describe(
      'true: for trying everything with money that is worth nothing. Payments, pages and webhooks say so (`livemode`). Refused on a database with live payments, and with the chain of a public network on another machine.',
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
  databaseDirect: directDatabase
    .optional()
    .describe(
      'Where `database` is a pooler in transaction mode, such as PgBouncer: the postgres:// URL of the same database without it. One connection of each process listens there for what others did (LISTEN). Default: `database`.',
    ),
  adminToken: adminToken.describe("The operator's password for /admin/v1/. Best taken from the environment."),
  payments: section({
    lifetimeSeconds: wholeNumber(5, 30 * 86_400)
      .default(1800)
      .describe('How long a customer has to pay.'),
    quarantineSeconds: wholeNumber(0, 365 * 86_400)
      .default(1800)
      .describe('How long an address is in quarantine after its payment has ended.'),
    quarantine: oneOf(['soft', 'strict'])
      .default('soft')
      .describe('"soft": an address in quarantine is chosen last. "strict": it is not chosen at all.'),
    toleranceBps: wholeNumber(0, 5000)
      .default(0)
      .describe('How much too little still confirms, in hundredths of a percent: 50 is half a percent.'),
    dustUsdCents: wholeNumber(0, 100_000)
      .default(5)
      .describe(
        'Less than this in all, at the quote of the payment, counts as nothing received: anybody can send it.',
      ),
    late: oneOf(['flag', 'confirm'])
      .default('flag')
      .describe(
        '"flag": money that comes after the end waits for you. "confirm": it confirms the payment if it suffices.',
      ),
    requote: z
      .boolean({ error: 'true or false' })
      .default(true)
      .describe(
        'Whether a customer whose payment expired with nothing received may get a fresh quote at the rate of now, at most three for one order.',
      ),
    watchRetiredDays: wholeNumber(1, 3650)
      .default(30)
      .describe('How long a retired address is still watched after its last use.'),
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
    fixed: z
      .record(z.string(), usdPerCoin, { error: 'an object of coins and prices' })
      .default({})
      .describe(
        'The prices of the source "fixed", for tests and for machines without internet: US dollars per coin (`bnb`), token (`usdt`) or unit of a currency (`eur`, `htg`), as decimals in quotes.',
      ),
    fiat: section({
      sources: z
        .array(oneOf(['ecb', 'openexchangerates', 'fixed']), { error: 'a list of sources of exchange rates' })
        .min(1, { error: 'a list of sources of exchange rates, at least one' })
        .optional()
        .describe(
          'Whose exchange rates to use. "ecb" needs no key and has no HTG. Default: "ecb" and "fixed", or "fixed" alone where `rates.sources` is that alone.',
        ),
      openexchangeratesAppId: text('the App ID of an account there', (value) =>
        /^[\x21-\x7e]{8,}$/.test(value),
      )
        .optional()
        .describe('The key for "openexchangerates". Best taken from the environment.'),
      maxAgeSeconds: wholeNumber(60, 30 * 86_400)
        .default(172_800)
        .describe('Older exchange rates are not used.'),
      ecbUrl: url(['https:', 'http:'])
        .optional()
        .describe("A mirror of the European Central Bank's daily table."),
      openexchangeratesUrl: url(['https:', 'http:']).optional().describe('A mirror of its `latest.json`.'),
    })
      .prefault({})
      .describe('What currencies are worth, for prices in other currencies than the dollar.'),
  }).prefault({}),
  chains: section({
    bsc: chain(knownChains.bsc).optional(),
    ethereum: chain(knownChains.ethereum).optional(),
    tron: tronChain(knownChains.tron).optional(),
    polygon: chain(knownChains.polygon).optional(),
    base: chain(knownChains.base).optional(),
    arbitrum: chain(knownChains.arbitrum).optional(),
    optimism: chain(knownChains.optimism).optional(),
    avalanche: chain(knownChains.avalanche).optional(),
    linea: chain(knownChains.linea).optional(),
    gnosis: chain(knownChains.gnosis).optional(),
  })
    .catchall(customChain)
    .refine((chains) => Object.keys(chains).length > 0, { error: 'at least one chain, such as "bsc"' })
    .describe('The chains to watch. Any other name makes any other EVM chain a network.'),
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
      .describe('How long deliveries and their attempts are kept after they ended.'),
    eventRetentionDays: wholeNumber(1, 36_500)
      .default(90)
      .describe(
        'How long events are kept, in the feed and for sending them again; never shorter than `retentionDays`.',
      ),
  }).prefault({}),
  api: section({
    requestsPerSecond: wholeNumber(1, 1_000_000)
      .default(100)
      .describe('Most requests a second with one API key.'),
  }).prefault({}),
  checkout: section({
    embedOrigins: z
      .array(
        text(
          'the origin of a page, like "https://shop.example.com"',
          (value) =>
            URL.canParse(value) &&
            /^https?:$/.test(new URL(value).protocol) &&
            new URL(value).origin === value,
        ),
        { error: 'a list of origins' },
      )
      .default([])
      .describe(
        'Whose pages may show the checkout in a frame, and are told what becomes of the payment. Default: nobody.',
      ),
    paymentUris: z
      .boolean({ error: 'true or false' })
      .default(true)
      .describe(
        'A second QR code that holds the amount (EIP-681), folded away, for the few wallets that read it. EVM chains only.',
      ),
    redirectSeconds: wholeNumber(0, 600)
      .optional()
      .describe(
        'So long after a payment its payer is sent back to the shop. Default: only a link leads there.',
      ),
    maxStreams: wholeNumber(0, 100_000)
      .default(10_000)
      .describe('Most pages that are told of changes at once; all others ask every 15 seconds.'),
    requestsPerSecond: wholeNumber(1, 1_000_000)
      .default(20)
      .describe('Most requests a second for one page, and five times as many from one network address.'),
    trustedProxies: z
      .array(
        text(
          'an IP address or a range like "10.0.0.0/8"',
          (value) => isIP(value.split('/')[0] ?? '') !== 0 && parseAllowedHost(value) !== null,
        ),
        { error: 'a list of addresses and ranges' },
      )
      .default(['127.0.0.0/8', '::1'])
      .describe(
        'Reverse proxies whose X-Forwarded-For tells who asks. Without it all requests through a proxy count as one address.',
      ),
  }).prefault({}),
  providers: providersSchema,
  alerts: alertsSchema,
  dashboard: z
    .union(
      [
        z.boolean(),
        z.strictObject({
          listen: z.strictObject({
            host: host.default('127.0.0.1').describe('As `listen.host`.'),
            port: wholeNumber(0, 65_535).describe('Another than `listen.port`.'),
          }),
        }),
      ],
      { error: 'true, false, or an object with "listen"' },
    )
    .default(true)
    .describe(
      'Whether the operator’s pages are served at `/dashboard/`. With a `listen` of their own these pages and `/admin/v1/` are served there, and no more beside the pages of customers.',
    ),
  log: section({
    level: oneOf(['fatal', 'error', 'warn', 'info', 'debug'])
      .default('info')
      .describe('What is logged, from there on up.'),
    format: oneOf(['auto', 'json', 'text'])
      .default('auto')
      .describe(
        '"json": one object a line. "text": lines for people. "auto": text on a terminal, JSON elsewhere.',
      ),
  }).prefault({}),
});

export type ConfigFile = z.output<typeof configSchema>;
export type KnownChainFile = NonNullable<ConfigFile['chains']['bsc' | 'tron']>;
export type CustomChainFile = z.output<typeof customChain>;
export type RateFile = z.output<typeof rate>;
