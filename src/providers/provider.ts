import type { z } from 'zod';
import type { ChargeStatus, Mode } from '../core/charge.ts';
import type { FiatCode } from '../core/fiat.ts';

/*
 * The contract of a fiat provider's adapter. An adapter is a descriptor and pure functions: it says what to ask and
 * reads what was answered. It stores nothing, waits for nothing and connects to nobody; whoever uses it owns HTTP,
 * time, repetition and storage, so that the rules about money are the same for all providers and stand in one place.
 *
 * Each operation is a `Call`: the request, and the reader of its answer. An operation that a provider does not have is
 * absent. A reader never throws: whatever is missing or strange becomes a result.
 */

/** Times in Unix ms, amounts in minor units of their currency. */
export type Descriptor = {
  /** `type` in the configuration. */
  type: string;
  displayName: string;
  /** Below which the paths of all requests lie; `baseUrl` of the configuration replaces it in tests. */
  baseUrl: string;
  /** Where a payer may be sent, and nowhere else. */
  checkoutHosts: readonly string[];
  currencies: readonly FiatCode[];
  requestsPerSecond: Readonly<Record<Mode, number>>;
  capabilities: Capabilities;
};

export type Capabilities = {
  /** How long the provider answers the same creation to the same idempotency key, ms; null: it has no such keys. */
  createKeptMs: number | null;
  /** The same of refunds. */
  refundKeptMs: number | null;
  /** Whether a creation's answer has the charge's id. Without it the charge is found by our reference. */
  createTellsId: boolean;
  /** Whether it shows our reference with a charge. */
  echoesReference: boolean;
  /** Whether it says of a charge whether it is a live or a test one. */
  statesMode: boolean;
  /** Whether it says itself that a charge has expired. Of others we say so once a fetch shows it unpaid past its end. */
  statesExpiry: boolean;
  /** Whether it can be told that money may be taken that was authorized. */
  capture: boolean;
  refund: 'none' | 'full' | 'partial';
  /** `timed`: signed with a time. `body`: signed bytes without a time. `in-body`: the signature stands in what it signs. */
  webhook: 'timed' | 'body' | 'in-body';
  /** Whether charges can be made and fetched at all. Where not, its webhooks are passed on and confirm nothing. */
  charges: boolean;
};

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** `path` is appended to the base URL, its query included. */
export type ProviderRequest = {
  method: Method;
  path: string;
  headers: Readonly<Record<string, string>>;
  body?: string;
};

/** Header names in lower case. */
export type ProviderAnswer = {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: Uint8Array;
};

export type Call<T> = { request: ProviderRequest; read(answer: ProviderAnswer): Result<T> };

/** `reason` and `message` are texts for people, of one line, without secrets. */
export type Result<T> =
  | { outcome: 'done'; value: T }
  /** The provider understood and says no: nothing happened, and the same again would be refused again. */
  | { outcome: 'declined'; reason: string }
  /** It does not know us, or does not let us: nothing happened, and the operator must look. */
  | { outcome: 'rejected'; reason: string }
  | { outcome: 'not_found' }
  /** Nothing happened; when to ask again, if it says so. */
  | { outcome: 'limited'; retryAfterMs: number | null }
  /** Never left this machine. */
  | { outcome: 'not_sent'; reason: string }
  /** It may have happened, or not: after a write nothing is repeated before a fetch, or under the same key. */
  | { outcome: 'unknown'; reason: string };

/** What a payer is to be charged. */
export type Intent = {
  /** Ours, unguessable, and new for each intent. */
  reference: string;
  /** The same for each repetition of one intent. */
  idempotencyKey: string;
  amount: bigint;
  currency: FiatCode;
  /** What the payer reads; may be empty, as everything below. */
  description: string;
  customerEmail: string;
  returnUrl: string;
  cancelUrl: string;
  /** Where the provider's webhooks of this charge go, where that is said with each. */
  notifyUrl: string;
};

/** What a creation answered. Amount and currency are null where it does not repeat them. */
export type Created = {
  id: string | null;
  checkoutUrl: string;
  expiresAt: number | null;
  amount: bigint | null;
  currency: FiatCode | null;
  mode: Mode | null;
};

/** A charge as its provider shows it. What it does not show is null. */
export type Charge = {
  id: string;
  reference: string | null;
  status: ChargeStatus;
  /** The provider's own word. */
  statusText: string;
  amount: bigint | null;
  currency: FiatCode | null;
  fee: bigint | null;
  net: bigint | null;
  refunded: bigint | null;
  mode: Mode | null;
  createdAt: number | null;
};

/** A page of a list; `next` continues it. */
export type Page = { charges: readonly Charge[]; next: string | null };

export type Refund = { id: string | null; status: 'pending' | 'succeeded' | 'failed' };

/** What an operation about a charge needs to know of it. */
export type ChargeRef = { id: string; amount: bigint; currency: FiatCode };

export type RefundIntent = { charge: ChargeRef; amount: bigint; reason: string; idempotencyKey: string };

/** Name and amount as shown by the provider; informational, never reckoned with. */
export type Balance = { currency: FiatCode; amounts: Readonly<Record<string, string>> };

export type ProviderMethod = { code: string; name: string; currency: string };

export type WebhookConfig = {
  url: string;
  secretSet: boolean;
  eventTypes: readonly string[] | null;
  active: boolean;
};

/** An answer of an operation about the provider's account, as JSON for the operator. */
export type Told = Readonly<Record<string, unknown>>;

export type ReceivedWebhook = {
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: Uint8Array;
};

/** Whether a webhook is the provider's. Whatever it says, only a fetch moves money. */
export type Verification =
  /** `reading` names the way to read the signature that fits, where the page leaves it open. */
  | { verdict: 'verified'; reading: string }
  /** The signature is right, its time is not near: sent again, or long under way. */
  | { verdict: 'stale' }
  /** It cannot be told: the scheme is open, or only one that we cannot check was used. */
  | { verdict: 'unverified'; reason: string }
  | { verdict: 'invalid'; reason: string };

/** What a webhook is about. Whatever it lacks is null. */
export type Hint = {
  /** The same for each repetition of one event. */
  dedupeKey: string;
  type: string;
  chargeId: string | null;
  reference: string | null;
  mode: Mode | null;
};

/** A provider with an account of ours: what the settings of one entry of the configuration open. */
export type Provider = {
  descriptor: Descriptor;
  mode: Mode;
  /** Whether what is authorized is captured by itself, or when the shop says so. */
  captureMode: 'automatic' | 'manual';
  /** Why this cannot be charged here, as a phrase; null when it can. */
  refuses(intent: Pick<Intent, 'amount' | 'currency'>): string | null;
  verifyWebhook(webhook: ReceivedWebhook, now: number): Verification;
  readWebhook(webhook: ReceivedWebhook): Hint;
  create?(intent: Intent): Call<Created>;
  fetch?(id: string): Call<Charge>;
  /** Charges made from `since` on, newest or oldest first; `cursor` is a page's `next`. */
  list?(since: number, cursor: string | null): Call<Page>;
  capture?(charge: ChargeRef, amount: bigint | null): Call<true>;
  refund?(intent: RefundIntent): Call<Refund>;
  balance?(): Call<Balance>;
  methods?(): Call<readonly ProviderMethod[]>;
  testWebhook?(): Call<Told>;
  readWebhookConfig?(): Call<WebhookConfig | 'none'>;
  writeWebhookConfig?(config: {
    url: string;
    eventTypes: readonly string[] | null;
    active: boolean;
  }): Call<WebhookConfig>;
  deleteWebhookConfig?(): Call<true>;
  createWebhookEndpoint?(endpoint: { url: string; events: readonly string[] }): Call<Told>;
  listKeys?(): Call<Told>;
  createKey?(key: { name: string; environment: Mode }): Call<Told>;
  revokeKey?(id: string): Call<true>;
};

/** One file of this folder for each type of provider, and one row of `adapters.ts`. */
export type Adapter = {
  type: string;
  displayName: string;
  /** What its entry in the configuration holds beside what every entry does. */
  settings: z.ZodRawShape;
  /** The settings that give access: never shown, logged or stored. */
  secrets: readonly string[];
  /** What is wrong with settings that are each right by themselves, as a phrase; null when nothing is. */
  fault(settings: Settings): string | null;
  open(settings: Settings): Provider;
};

/** As the adapter's own schema has read them. */
export type Settings = Readonly<Record<string, unknown>>;

/** An adapter whose functions see its settings as its schema types them. */
export function defineAdapter<const S extends z.ZodRawShape>(adapter: {
  type: string;
  displayName: string;
  settings: S;
  secrets: readonly (keyof S & string)[];
  fault(settings: z.output<z.ZodObject<S>>): string | null;
  open(settings: z.output<z.ZodObject<S>>): Provider;
}): Adapter {
  return adapter as unknown as Adapter;
}
