import type { Mode } from '../core/charge.ts';
import type { FiatCode } from '../core/fiat.ts';
import type { Logger } from '../log.ts';
import { countUnmatchedCharges, findProviderState } from '../storage/providers/providers.ts';
import type { Db } from '../storage/schema.ts';
import type { Bridge } from './bridge.ts';
import { type CaptureOutcome, captureCharge } from './capture.ts';
import { type ChargeOutcome, type ChargeRequest, createCharge } from './create.ts';
import { type InboundOutcome, receiveWebhook } from './inbound.ts';
import {
  type OpenRefund,
  openRefundsOf,
  type RefundWord,
  settleOpenRefund,
  type WordOutcome,
} from './open-refunds.ts';
import type {
  Balance,
  Call,
  Charge,
  Provider,
  ProviderMethod,
  ReceivedWebhook,
  Told,
  WebhookConfig,
} from './provider.ts';
import {
  type NoAnswer,
  type RefundOutcome,
  type RefundRequest,
  refundCharge,
  unavailable,
} from './refund.ts';
import type { SettleDeps } from './settle.ts';

/** An operation about the provider's account. */
export type Asked<T> = { outcome: 'done'; value: T } | { outcome: 'unsupported'; reason: string } | NoAnswer;

/** What a provider can be used for. */
export type Offer = {
  name: string;
  type: string;
  label: string;
  mode: Mode;
  enabled: boolean;
  /** Null: everybody's. */
  merchants: readonly string[] | null;
  currencies: readonly FiatCode[];
  /** Why it cannot be used now; null when it can, as far as this process knows. */
  trouble: string | null;
};

/** How a provider does, for the operator. */
export type ProviderReport = Offer & {
  inboundUrl: string;
  succeededAt: number | null;
  failedAt: number | null;
  lastError: string | null;
  rejectedWebhooks: number;
  sweptAt: number | null;
  drift: string | null;
  unmatched: number;
  capabilities: Provider['descriptor']['capabilities'];
};

/** Everything that merchants and operators do with providers. A name that is not configured answers null. */
export type ProviderDesk = {
  offers(): readonly Offer[];
  create(name: string, request: ChargeRequest): Promise<ChargeOutcome | null>;
  refund(name: string, request: RefundRequest): Promise<RefundOutcome | null>;
  /** Those of which nobody knows yet what became of them, the longest waiting first. */
  openRefunds(name: string): Promise<readonly OpenRefund[] | null>;
  settleRefund(name: string, word: RefundWord): Promise<WordOutcome | null>;
  capture(
    name: string,
    request: { paymentId: number; amount: bigint | null },
  ): Promise<CaptureOutcome | null>;
  receive(name: string, path: string, webhook: ReceivedWebhook): Promise<InboundOutcome>;
  balance(name: string): Promise<Asked<Balance> | null>;
  transactions(
    name: string,
    page: { since: number; cursor: string | null },
  ): Promise<Asked<{ charges: readonly Charge[]; next: string | null }> | null>;
  methods(name: string): Promise<Asked<readonly ProviderMethod[]> | null>;
  reports(): Promise<ProviderReport[]>;
  testWebhook(name: string): Promise<Asked<Told> | null>;
  readWebhookConfig(name: string): Promise<Asked<WebhookConfig | 'none'> | null>;
  /** Points the provider's webhooks at us. */
  writeWebhookConfig(
    name: string,
    config: { eventTypes: readonly string[] | null; active: boolean },
  ): Promise<Asked<WebhookConfig> | null>;
  deleteWebhookConfig(name: string): Promise<Asked<true> | null>;
  createWebhookEndpoint(name: string, events: readonly string[]): Promise<Asked<Told> | null>;
  listKeys(name: string): Promise<Asked<Told> | null>;
  createKey(name: string, key: { name: string; environment: Mode }): Promise<Asked<Told> | null>;
  revokeKey(name: string, id: string): Promise<Asked<true> | null>;
};

export type DeskDeps = SettleDeps & {
  db: Db;
  log: Logger;
  /** Called when a provider's loop has something to do. */
  wake: (bridge: Bridge) => void;
};

export function createProviderDesk(bridges: readonly Bridge[], deps: DeskDeps): ProviderDesk {
  const bridgeOf = (name: string) => bridges.find((bridge) => bridge.name === name) ?? null;

  async function ask<T>(
    name: string,
    what: string,
    callOf: (provider: Provider, bridge: Bridge) => Call<T> | undefined,
  ): Promise<Asked<T> | null> {
    const bridge = bridgeOf(name);
    if (bridge === null) return null;
    const call = callOf(bridge.provider, bridge);
    const { displayName } = bridge.provider.descriptor;
    if (call === undefined) return { outcome: 'unsupported', reason: `${displayName} has no ${what}` };
    const result = await bridge.client.call(call);
    return result.outcome === 'done' ? result : unavailable(result);
  }

  async function withBridge<T>(name: string, work: (bridge: Bridge) => Promise<T>): Promise<T | null> {
    const bridge = bridgeOf(name);
    return bridge === null ? null : work(bridge);
  }

  return {
    offers: () => bridges.map(offerOf),
    create: (name, request) => withBridge(name, (bridge) => createCharge(deps, bridge, request)),
    refund: (name, request) => withBridge(name, (bridge) => refundCharge(deps, bridge, request)),
    openRefunds: (name) => withBridge(name, () => openRefundsOf(deps.db, name, deps.clock())),
    settleRefund: (name, word) => withBridge(name, () => settleOpenRefund(deps, name, word)),
    capture: (name, request) => withBridge(name, (bridge) => captureCharge(deps, bridge, request)),
    receive: async (name, path, webhook) =>
      (await withBridge(name, (bridge) => receiveWebhook(deps, bridge, path, webhook))) ?? 'not_found',
    balance: (name) => ask(name, 'balance to ask for', (provider) => provider.balance?.()),
    transactions: (name, { since, cursor }) =>
      ask(name, 'list of transactions', (provider) => provider.list?.(since, cursor)),
    methods: (name) => ask(name, 'list of methods', (provider) => provider.methods?.()),
    reports: () => Promise.all(bridges.map((bridge) => reportOf(deps.db, bridge))),
    testWebhook: (name) => ask(name, 'test webhook', (provider) => provider.testWebhook?.()),
    readWebhookConfig: (name) =>
      ask(name, 'webhook configuration', (provider) => provider.readWebhookConfig?.()),
    writeWebhookConfig: (name, config) =>
      ask(name, 'webhook configuration', (provider, { inboundUrl }) =>
        provider.writeWebhookConfig?.({ url: inboundUrl, ...config }),
      ),
    deleteWebhookConfig: (name) =>
      ask(name, 'webhook configuration', (provider) => provider.deleteWebhookConfig?.()),
    createWebhookEndpoint: (name, events) =>
      ask(name, 'webhook endpoints to make', (provider, { inboundUrl }) =>
        provider.createWebhookEndpoint?.({ url: inboundUrl, events }),
      ),
    listKeys: (name) => ask(name, 'keys to manage here', (provider) => provider.listKeys?.()),
    createKey: (name, key) => ask(name, 'keys to manage here', (provider) => provider.createKey?.(key)),
    revokeKey: (name, id) => ask(name, 'keys to manage here', (provider) => provider.revokeKey?.(id)),
  };
}

function offerOf({ name, config, provider, trouble }: Bridge): Offer {
  return {
    name,
    type: config.type,
    label: config.label,
    mode: provider.mode,
    enabled: config.enabled,
    merchants: config.merchants,
    currencies: provider.descriptor.currencies,
    trouble: trouble(),
  };
}

async function reportOf(db: Db, bridge: Bridge): Promise<ProviderReport> {
  const state = await findProviderState(db, bridge.name);
  return {
    ...offerOf(bridge),
    inboundUrl: bridge.inboundUrl,
    succeededAt: state?.succeededAt ?? null,
    failedAt: state?.failedAt ?? null,
    lastError: state?.lastError ?? null,
    rejectedWebhooks: state?.rejected ?? 0,
    sweptAt: state?.sweptAt ?? null,
    drift: state?.drift ?? null,
    unmatched: await countUnmatchedCharges(db, bridge.name),
    capabilities: bridge.provider.descriptor.capabilities,
  };
}
