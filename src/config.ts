import type { AlertName } from './alerts/catalog.ts';
import type { Origins } from './config/origins.ts';
import type { Asset, Coin, CoinRate } from './core/assets.ts';
import type { FeeClass } from './core/chains/known.ts';
import type { ChainFamily, Finality, Network } from './core/networks.ts';

/** One node of a chain. The URL and the headers may carry keys: never log them, log {@link hostOf}. */
export type RpcEndpoint = {
  url: string;
  headers: Record<string, string>;
  /** Most HTTP requests a second to this node; null: no limit of ours. */
  requestsPerSecond: number | null;
  /** What its plan allows in a day: more is an alert; null: nobody said. */
  requestsPerDay: number | null;
  /** Most blocks in one log query; null: learned from refusals. */
  maxLogRange: number | null;
  /** A websocket whose `newHeads` only wake the loop. */
  wsUrl: string | null;
  /** Where a TRON node serves its last solid state; null: under `url` too. */
  solidityUrl: string | null;
};

/** For payments of at most `upToUsdCents` that many confirmations are enough, whatever is final. */
export type ConfirmationTier = { upToUsdCents: number; confirmations: number };

export type ChainConfig = {
  network: Network;
  /** The name people read, and the `chain` of a webhook. */
  name: string;
  family: ChainFamily;
  /** False in a sandbox. */
  livemode: boolean;
  /** Whether payments can be made; what there are go on being read where they cannot. */
  enabled: boolean;
  rpc: readonly RpcEndpoint[];
  chainId: number;
  requiredConfirmations: number;
  finality: Finality;
  /** The smallest amounts first; each with more confirmations than the one before. */
  confirmationTiers: readonly ConfirmationTier[];
  pollSeconds: number;
  idlePollSeconds: number;
  recheckSeconds: number;
  /** How long a fact waits for a second node while all others are silent. */
  secondNodeWaitSeconds: number;
  /** Everything that can be paid on this chain, the native coin included where it is on. */
  assets: readonly Asset[];
  /** What the network usually takes from who sends, as payers are told. */
  feeClass: FeeClass;
  startBlock: number | 'latest';
  /** The chain's own coin, whether it can be paid with or not. */
  native: { coin: Coin; decimals: number; rate: CoinRate };
  /** Whether TRX that contracts pay is looked for: only nodes that store internal transactions show it. */
  internalTransfers: boolean;
  /** A head that has not risen for so long is worth a question to another node. */
  stallSeconds: number;
  /** Finality that has not advanced for so long has stalled. */
  finalityStallSeconds: number;
};

export type PaymentPolicy = {
  lifetimeSeconds: number;
  quarantineSeconds: number;
  quarantine: 'soft' | 'strict';
  toleranceBps: number;
  /** Less than this in all, at the payment's quote, counts as nothing received. */
  dustUsdCents: number;
  late: 'flag' | 'confirm';
  /** Whether an expired payment may have a fresh quote. */
  requote: boolean;
  /** How long a retired address is watched after its last use. */
  watchRetiredDays: number;
  /** Most addresses of a derived pool that says nothing else. */
  derivedLimit: number;
};

export type RatesConfig = {
  sources: readonly ('binance' | 'coinbase' | 'kraken' | 'coingecko' | 'fixed')[];
  maxAgeSeconds: number;
  pegBandBps: number;
  /** US dollars per coin, or per unit of a currency that coins are pegged to, as plain decimals. */
  fixed: Readonly<Record<string, string>>;
  fiat: FiatRatesConfig;
};

/** Where the rates of currencies come from. */
export type FiatRatesConfig = {
  sources: readonly ('ecb' | 'openexchangerates' | 'fixed')[];
  openexchangeratesAppId: string | null;
  maxAgeSeconds: number;
  /** Instead of the documented ones; null: those. */
  ecbUrl: string | null;
  openexchangeratesUrl: string | null;
  /** US dollars per unit: the `fixed` prices of the coins' section, by their lower-case code. */
  fixed: Readonly<Record<string, string>>;
};

export type WebhookConfig = {
  headerPrefix: string;
  allowHosts: readonly string[];
  /** As it is written, checked (`parseSecretKey`); null: the key is in a file. */
  secretKey: string | null;
  /** How long a delivery is kept after it ended. */
  retentionDays: number;
  replayOnRecovery: boolean;
  /** How long an event is kept, where that is longer. */
  eventRetentionDays: number;
};

/** A fiat provider, by one account of the operator's with it. */
export type ProviderConfig = {
  /** The `network` of its payments. */
  name: Network;
  type: string;
  /** What people read: the `chain` of its payments. */
  label: string;
  enabled: boolean;
  /** Whose payments it takes; null: everybody's. */
  merchants: readonly string[] | null;
  /** Instead of the documented one, in tests. */
  baseUrl: string | null;
  timeoutSeconds: number;
  /** As the adapter of its type reads them. */
  settings: Readonly<Record<string, unknown>>;
  /** The values among them that give access. */
  secrets: readonly string[];
};

/** What payers see. */
export type CheckoutConfig = {
  /** Origins whose pages may show a payer's page in a frame. */
  embedOrigins: readonly string[];
  /** Whether there is a second QR code with the amount, on EVM chains. */
  paymentUris: boolean;
  /** After a payment was made; null: its payer goes back to the shop by a link alone. */
  redirectSeconds: number | null;
  /** Most streams of events at once. */
  maxStreams: number;
  /** Most requests a second from one network address, and for one payment. */
  requestsPerSecond: number;
  /** Whose X-Forwarded-For is believed: addresses and ranges. */
  trustedProxies: readonly string[];
};

/** Where messages to the operator go. */
export type AlertWay =
  | { type: 'webhook'; url: string; secret: string | null }
  | { type: 'ntfy'; url: string; topic: string; token: string | null }
  | { type: 'email'; smtp: string; from: string; to: string }
  | { type: 'telegram'; url: string; token: string; chatId: string };

/** Who is told when something needs an operator. */
export type AlertsConfig = { to: readonly AlertWay[]; mute: readonly AlertName[] };

export type Listen = { host: string; port: number };

/** The configuration as the program uses it: defaults filled in, `${NAME}` replaced, paths absolute. */
export type Config = {
  /** Without a trailing slash. */
  publicUrl: string;
  /** Whether its money is worth nothing: for an integrator's own tests. */
  sandbox: boolean;
  listen: Listen;
  /** `sqlite:` with an absolute path, or `postgres://…`. */
  database: string;
  /** The same PostgreSQL database without a pooler, for LISTEN; null: `database` is not behind one. */
  databaseDirect: string | null;
  /** Where files beside the database live: the SQLite file's folder, or the configuration's. */
  dataFolder: string;
  adminToken: string;
  payments: PaymentPolicy;
  rates: RatesConfig;
  /** By their network. */
  chains: Record<string, ChainConfig>;
  webhooks: WebhookConfig;
  /** By their name. */
  providers: Record<string, ProviderConfig>;
  api: { requestsPerSecond: number };
  checkout: CheckoutConfig;
  alerts: AlertsConfig;
  /** Whether /dashboard/ is served; where it has a place of its own, /admin/v1/ is there too and nowhere else. */
  dashboard: boolean | { listen: Listen };
  log: { level: 'fatal' | 'error' | 'warn' | 'info' | 'debug'; format: 'auto' | 'json' | 'text' };
  /** Where each of these comes from, for people. */
  origins: Origins;
};

/** Where operators reach the daemon. */
export function operatorsListen({ listen, dashboard }: Pick<Config, 'listen' | 'dashboard'>): Listen {
  return typeof dashboard === 'object' ? dashboard.listen : listen;
}
