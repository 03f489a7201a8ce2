import type { Asset, Coin } from './core/assets.ts';
import type { Finality, Network } from './core/networks.ts';

/** One node of a chain. The URL and the headers may carry keys: never log them, log {@link hostOf}. */
export type RpcEndpoint = {
  url: string;
  headers: Record<string, string>;
  /** Most HTTP requests a second to this node; null: no limit of ours. */
  requestsPerSecond: number | null;
  /** Most blocks in one log query; null: learned from refusals. */
  maxLogRange: number | null;
  /** A websocket whose `newHeads` only wake the loop. */
  wsUrl: string | null;
};

export type ChainConfig = {
  network: Network;
  rpc: readonly RpcEndpoint[];
  chainId: number;
  requiredConfirmations: number;
  finality: Finality;
  pollSeconds: number;
  idlePollSeconds: number;
  auditSeconds: number;
  /** Everything that can be paid on this chain, the native coin included where it is on. */
  assets: readonly Asset[];
  startBlock: number | 'latest';
};

export type PaymentPolicy = {
  lifetimeSeconds: number;
  quarantineSeconds: number;
  quarantine: 'soft' | 'strict';
  toleranceBps: number;
  late: 'flag' | 'confirm';
};

export type RatesConfig = {
  sources: readonly ('binance' | 'coinbase' | 'kraken' | 'coingecko' | 'fixed')[];
  maxAgeSeconds: number;
  pegBandBps: number;
  /** US dollars per coin, as plain decimals. */
  fixed: Partial<Record<Coin, string>>;
};

/** The configuration as the program uses it: defaults filled in, `${NAME}` replaced, paths absolute. */
export type Config = {
  /** Without a trailing slash. */
  publicUrl: string;
  listen: { host: string; port: number };
  /** `sqlite:` with an absolute path, or `postgres://…`. */
  database: string;
  /** Where files beside the database live: the SQLite file's folder, or the configuration's. */
  dataFolder: string;
  adminToken: string;
  payments: PaymentPolicy;
  rates: RatesConfig;
  chains: Partial<Record<Network, ChainConfig>>;
  webhooks: { headerPrefix: string; allowHosts: readonly string[] };
  api: { requestsPerSecond: number };
  log: { level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' };
};
