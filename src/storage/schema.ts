import type { Generated, Kysely, Transaction } from 'kysely';

/*
 * The tables, as SQL holds them. Amounts are digit strings in base units, times Unix milliseconds (block
 * times Unix seconds), booleans 0 or 1, JSON text. Rows become domain values in the query modules.
 */

export type Schema = {
  merchants: { id: string; name: string; created_at: number; removed_at: number | null };

  /** How merchants show themselves to their payers; one without a row by its name alone. */
  brands: {
    merchant_id: string;
    /** Empty: its name. */
    display_name: string;
    /** Base64, as it was checked. */
    logo: string | null;
    logo_type: string | null;
    /** SHA-256 in hex, its address. */
    logo_hash: string | null;
    accent: string | null;
    support_email: string;
    support_url: string;
  };

  api_keys: {
    id: string;
    merchant_id: string;
    /** SHA-256 of the key in hex: the key itself is never stored. */
    hash: string;
    /** The first characters, for people to recognise a key by. */
    prefix: string;
    created_at: number;
    revoked_at: number | null;
  };

  /** People who sign in at the dashboard. */
  users: {
    id: string;
    name: string;
    /** By which two names are the same. */
    name_key: string;
    role: 'operator' | 'merchant' | 'viewer';
    /** Whose objects alone are seen; null: everybody's. */
    merchant_id: string | null;
    /** Null until the first link was opened. */
    password: Generated<string | null>;
    /** The sealed secret of an authenticator app, and the time step of the last code that was taken. */
    totp: Generated<string | null>;
    totp_step: Generated<number>;
    created_at: number;
    disabled_at: Generated<number | null>;
  };

  recovery_codes: { user_id: string; hash: string };

  /** What sets a password once; without a user: the first operator's. */
  user_links: { hash: string; user_id: string | null; expires_at: number };

  /** Keys in users' devices: the public halves. */
  passkeys: {
    /** As the authenticator named it, base64url. */
    id: string;
    user_id: string;
    name: string;
    /** The host that it was made for. */
    rp_id: string;
    /** DER (SPKI), base64url. */
    public_key: string;
    counter: number;
    /** When the last challenge was made that it has answered. */
    challenge_at: number;
    created_at: number;
    used_at: number | null;
  };

  user_sessions: {
    id: string;
    /** SHA-256 of what the cookie holds. */
    hash: string;
    user_id: string;
    created_at: number;
    seen_at: number;
    address: string;
    agent: string;
  };

  derived_pools: {
    id: Generated<number>;
    merchant_id: string;
    network: string;
    /** Empty: for every currency of its network. */
    currency: string;
    label: string;
    /** The account's extended public key. */
    xpub: string;
    /** The index of the next address. */
    next_index: number;
    /** Indexes from this one on are never derived. */
    address_limit: number;
    /** 1: a hold has begun, and what lost payments may have had is derived before any payment gets another one. */
    derive_ahead: Generated<number>;
    created_at: number;
    removed_at: number | null;
  };

  addresses: {
    id: Generated<number>;
    merchant_id: string;
    network: string;
    address: string;
    address_key: string;
    /** Empty: for every currency of its network. */
    currency: string;
    label: string;
    source: 'static' | 'derived';
    /** Where a derived address comes from: `m/0/<derivation_index>` below its pool's key. */
    derived_pool_id: Generated<number | null>;
    derivation_index: Generated<number | null>;
    active: number;
    /** The pending payment that holds it. */
    locked_by: number | null;
    /** When a payment last let go of it; 0 before the first. */
    released_at: number;
    created_at: number;
  };

  /** What somebody was told about a pool that has not recovered since. */
  pool_levels: {
    merchant_id: string;
    network: string;
    currency: string;
    level: 'low' | 'exhausted';
    since: number;
  };

  /** Addresses put back into service, in order. */
  address_returns: { id: Generated<number>; address_id: number; at: number };

  /** While one lasts, no payment is given an address with an id up to its last: a payment that was lost may have it. */
  address_holds: {
    id: Generated<number>;
    at: number;
    /** 0 once an operator has said that nothing was lost. */
    until: number;
    last_address_id: number;
    /** The newest payment that was not lost. */
    last_payment_id: number;
    reason: string;
  };

  /** Checkouts in which the payer chooses how to pay. */
  checkout_sessions: {
    id: Generated<number>;
    /** What people and programs know it by: `cs_…`. */
    session_id: string;
    merchant_id: string;
    status: string;
    /** As in `payments`. */
    price_amount: number;
    price_currency: string;
    amount_usd_cents: number;
    /** JSON array of what may be chosen, each `{"network","currency"}`; empty for everything there is. */
    methods: string;
    external_order_id: string;
    customer_email: string;
    redirect_url: string;
    cancel_url: string;
    metadata: string;
    locale: string;
    token: string;
    /** SHA-256 of the token in hex: how it is looked up. */
    token_hash: string;
    /** As in `payments`. */
    livemode: number;
    created_at: number;
    expires_at: number;
    ended_at: number | null;
  };

  /** What every payment has, however it is paid. */
  payments: {
    id: Generated<number>;
    payment_number: string;
    merchant_id: string;
    /** Which table has the rest: `onchain` for onchain_payments, `provider` for provider_payments. */
    kind: string;
    status: string;
    reason: string | null;
    network: string;
    /** The name people read of the network when the payment was made. */
    chain: string;
    currency: string;
    decimals: number;
    expected_amount: string;
    /** As the shop gave it, in minor units of `price_currency` (ISO 4217). */
    price_amount: number;
    price_currency: string;
    amount_usd_cents: number;
    external_order_id: string;
    customer_email: string;
    redirect_url: string;
    metadata: string;
    /** The payer's language by its BCP 47 tag; empty where it is not known. */
    locale: Generated<string>;
    /** The `session_id` of the session in which it was chosen; null for none. */
    checkout_session: Generated<string | null>;
    /** Numbers of the payments whose fresh quote this is, and that is a fresh quote of this. */
    replaces: Generated<string | null>;
    replaced_by: Generated<string | null>;
    /** How many fresh quotes of the same order came before, this one included. */
    requotes: Generated<number>;
    /** 0: of a sandbox, whose money is worth nothing. */
    livemode: Generated<number>;
    payment_token: string;
    /** SHA-256 of it in hex, by which a page is found: how far two texts are alike, no answer's time tells. */
    token_hash: string;
    created_at: number;
    expires_at: number;
    confirmed_at: number | null;
    ended_at: number | null;
    accepted_at: number | null;
  };

  /** The quote and the lock of payments to an address on a chain. */
  onchain_payments: {
    payment_id: number;
    /** As in `payments`. */
    network: string;
    coin: string;
    token: string;
    usd_per_coin: string;
    required_amount: string;
    /** Less than this in all counts as nothing received. */
    dust_amount: string;
    /** How many its transfers need; with `tier_confirmations` fewer while no more than `tier_amount` has come. */
    required_confirmations: number;
    tier_confirmations: number | null;
    tier_amount: string | null;
    /** Whether more has come, as of when the payment was settled last. */
    exceeds_tier: number;
    /** What counted when the payment was settled last, and what the last payment.partially_paid told; 0 for nothing. */
    counted_amount: string;
    told_amount: string;
    completed_by: string | null;
    address_id: number;
    address: string;
    /** The head that the address was locked under. */
    lock_height: number;
    lock_hash: string;
    lock_time: number;
    /** The chain's own time at the lock, Unix ms. */
    lock_chain_time: number;
    /** The last block time, Unix seconds, at which money is in time. */
    block_time_limit: number;
    /** Whether it was reverted, holds its address again and can be paid anew until `block_time_limit`. */
    reopened: number;
    /** When the payment let go of its address; null while it holds it. */
    released_at: number | null;
  };

  /** Payments that a provider was asked for and that are none yet: its answer is awaited, or was lost. */
  provider_intents: {
    id: Generated<number>;
    merchant_id: string;
    provider: string;
    /** The app's; null without one. */
    idempotency_key: string | null;
    fingerprint: string;
    /** What the provider is told: the same each time. */
    reference: string;
    provider_key: string;
    amount: string;
    currency: string;
    created_at: number;
    /** While somebody awaits the answer: after this moment its process counts as dead. */
    claimed_until: number;
  };

  /** What a provider says of a payment. Amounts in minor units of the payment's currency. */
  provider_payments: {
    payment_id: number;
    /** As `network` in `payments`. */
    provider: string;
    type: string;
    mode: string;
    reference: string;
    charge_id: string | null;
    charge_status: string;
    status_text: string;
    checkout_url: string;
    fee: string | null;
    net: string | null;
    refunded: string;
    disputed: number;
    /** Whether a capture was asked for: `none`, `whole`, or `part` of the amount. */
    capture: string;
    /** Fetches since the payment was made or last heard of; they grow rarer with it. */
    fetches: number;
    /** Null: nothing more is expected, until a webhook or the sweep says otherwise. */
    next_fetch_at: number | null;
    fetched_at: number | null;
    /** When a webhook that could not be verified last led to a fetch. */
    unverified_at: number | null;
    /** Why the last answer was not taken; null when it was. */
    mismatch: string | null;
  };

  refunds: {
    id: string;
    payment_id: number;
    provider: string;
    amount: string;
    reason: string;
    status: string;
    provider_refund_id: string | null;
    /** The app's; null without one. */
    idempotency_key: string | null;
    provider_key: string;
    /** What had been refunded before, of the payment or of the account. */
    refunded_before: string | null;
    created_at: number;
    updated_at: number;
  };

  /** What operators say that they sent back from a wallet of theirs, and what the chain says of it. */
  refund_records: {
    id: Generated<number>;
    payment_id: number;
    network: string;
    token: string;
    /** Key of the address, and the address as people write it. */
    recipient: string;
    address: string;
    tx_hash: string;
    amount: string;
    /** Its value at the payment's quote. */
    usd_cents: number;
    reason: string;
    actor: string;
    created_at: number;
    status: string;
    /** What the chain says, for people. */
    detail: string;
    checks: number;
    checked_at: number | null;
    /** Null: it is not looked for any more. */
    next_check_at: number | null;
    block_height: number | null;
    /** Unix ms, for reports. */
    block_time: number | null;
  };

  /** Webhooks of providers, with nothing in them that gives access. */
  inbound_events: {
    id: Generated<number>;
    provider: string;
    /** The same for each repetition of one event. */
    dedupe_key: string;
    verdict: string;
    reading: string;
    type: string;
    charge_id: string | null;
    reference: string | null;
    body: string;
    received_at: number;
    /** Null until somebody has looked at it. */
    handled_at: number | null;
    outcome: string | null;
  };

  /** How each provider does. */
  providers: {
    name: string;
    /** The unguessable part of the path of its webhooks, sealed. */
    inbound_path: string;
    succeeded_at: number | null;
    failed_at: number | null;
    last_error: string | null;
    /** Webhooks that were refused. */
    rejected: number;
    swept_at: number | null;
    /** Why what was configured at the provider is not what we configured; null when it is. */
    drift: string | null;
  };

  /** Charges of a provider's list that no payment of ours explains. */
  provider_unmatched: {
    provider: string;
    charge_id: string;
    status: string;
    amount: string | null;
    currency: string | null;
    found_at: number;
  };

  deposits: {
    id: Generated<number>;
    network: string;
    tx_hash: string;
    token: string;
    currency: string;
    decimals: number;
    recipient: string;
    ordinal: number;
    amount: string;
    height: number;
    block_hash: string;
    block_time: number;
    log_index: number | null;
    status: string;
    role: string;
    unmatched_reason: string | null;
    merchant_id: string;
    address_id: number;
    payment_id: number | null;
    seen_at: number;
    reported_by: string | null;
    /** When an operator said that an unmatched one needs nobody; null while nobody has. */
    ignored_at: number | null;
  };

  /** What was confirmed on a day (UTC), added up by triggers. What is no more leaves a row of none. */
  received_sums: {
    /** Days since 1970. */
    day: number;
    merchant_id: string;
    network: string;
    currency: string;
    total: number;
    usd_cents: number;
  };

  /** Deposits of payments that are alike, added up by triggers. What is no more leaves a row of none. */
  deposit_sums: {
    payment_id: number;
    network: string;
    token: string;
    status: string;
    role: string;
    total: number;
    amount: string;
    /** Of all that were ever among them, Unix seconds. */
    latest_block_time: number;
  };

  /** What payments' addresses held of the native coin at their beginning. */
  balance_marks: {
    payment_id: number;
    network: string;
    height: number;
    block_hash: string;
    balance: string;
    /** The block at which the balance was compared after the payment's end. */
    compared_height: number | null;
  };

  chain_cursors: {
    network: string;
    /** The block from which everything is read; a fork or an operator can lower it. */
    first_height: number;
    height: number;
    hash: string;
    time: number;
    /** The head of the chain as last seen. A reorg can lower it. */
    head_height: number;
    head_hash: string;
    head_time: number;
    /**
     * The head by which the chain's own time is told, when it was first shown and since when new blocks were watched
     * appearing: by the database's time on PostgreSQL, else by a clock of the process that reads.
     */
    time_height: number;
    time_hash: string;
    time_block: number;
    time_shown_at: number;
    time_watched_since: number | null;
    /** The highest finalized height seen; null where the chain's nodes do not tell. */
    finalized_height: number | null;
    /** When a node last proved its answer, by the database's time on PostgreSQL, else by our clock. */
    read_at: number;
    /** Why this chain is stopped; null when it is not. */
    stopped_reason: string | null;
  };

  chain_anchors: { network: string; height: number; hash: string; time: number };

  /** Blocks that were read, and who showed them; heights are both included. */
  chain_scans: {
    network: string;
    from_height: number;
    to_height: number;
    /** Host names, separated by spaces. */
    hosts: string;
    /** Whether the blocks were read whole. */
    native: number;
    since_at: number;
    until_at: number;
  };

  /** How the nodes of each chain looked to the process that reads it. */
  chain_nodes: {
    network: string;
    rank: number;
    host: string;
    state: string;
    head: number | null;
    finalized: number | null;
    lag: number | null;
    answered_at: number | null;
    /** What it refuses to serve, separated by spaces. */
    lacks: string;
    blocks_per_query: number | null;
    calls_per_request: number | null;
    recipient_filter: number | null;
    latency_ms: number | null;
    backoff_until: number | null;
    last_error: string | null;
    asked: number;
    failed: number;
    noted_at: number;
  };

  /** How far each chain has been read a second time. */
  chain_rechecks: {
    network: string;
    height: number;
    hash: string;
    time: number;
    /** Forks found so far. */
    forks: number;
    rechecked_at: number;
  };

  /** What operators have had read again, see core/rescan.ts. */
  rescans: {
    id: Generated<number>;
    network: string;
    from_height: number;
    to_height: number;
    native: number;
    status: string;
    reached: number;
    actor: string;
    cancelled_by: string | null;
    error: string | null;
    /** JSON object. */
    findings: string;
    created_at: number;
    started_at: number | null;
    ended_at: number | null;
  };

  /** What nodes were asked by day, see storage/chains/usage.ts. */
  node_usage: {
    network: string;
    host: string;
    day: number;
    method: string;
    calls: number;
    bytes: number;
  };

  /** How nodes answered in each interval, see core/measurement.ts. */
  node_measurements: {
    network: string;
    at: number;
    host: string;
    /** JSON array, see core/histogram.ts. */
    latency: string;
    /** JSON object: how often it failed, by class. */
    failures: string;
  };

  /** How each pool stood in each interval. Empty `currency`: as in `addresses`. */
  pool_measurements: {
    merchant_id: string;
    at: number;
    network: string;
    currency: string;
    free: number;
    held: number;
    quarantined: number;
    retired: number;
  };

  /** Webhook attempts that ended in each interval, and how old the oldest delivery became that had not arrived. */
  endpoint_measurements: {
    endpoint_id: string;
    at: number;
    succeeded: number;
    failed: number;
    oldest_pending_ms: number;
  };

  /** Chains that are read more slowly for the sake of a quota, see storage/chains/usage.ts. */
  slowed_chains: {
    network: string;
    host: string;
    every_ms: number;
    noted_at: number;
  };

  /** The processes that serve this database, see storage/operators/daemons.ts. */
  daemons: {
    id: string;
    version: string;
    started_at: number;
    seen_at: number;
    stopped_at: number | null;
    prices: string;
    host: string;
    pid: number;
    roles: string;
    configuration: string;
  };

  /** Which of several processes does a job, see storage/chains/leases.ts. */
  /** What operators are called for; see alerts/catalog.ts. */
  alerts: {
    name: string;
    subject: string;
    text: string;
    began_at: number;
    seen_at: number;
    ended_at: number | null;
    told: string;
  };

  leases: { name: string; holder: string; until: number };

  events: {
    /** Grows in commit order. */
    sequence: Generated<number>;
    id: string;
    merchant_id: string;
    type: string;
    payment_id: number | null;
    /** The frozen webhook body: the exact text that is signed and sent, each time. */
    body: string;
    created_at: number;
  };

  /** The last of a merchant's events that was deleted. */
  pruned_events: { merchant_id: string; sequence: number };

  webhook_endpoints: {
    id: string;
    merchant_id: string;
    url: string;
    /** JSON array of event types. */
    events: string;
    description: string;
    /** Sealed, see notify/secrets.ts. */
    secret: string;
    /** While a rotation's overlap lasts: the old secret, sealed, and when it stops signing. */
    previous_secret: string | null;
    previous_secret_until: number | null;
    rotated_at: number | null;
    /** Which of the two has to sign last, as the receiver has shown. */
    last_signer: string | null;
    /** Headers of the operator's for this endpoint, as JSON and sealed. */
    headers: string | null;
    /** Their names, as a JSON array. */
    header_names: Generated<string>;
    active: number;
    disabled_reason: string | null;
    /** First failure since the last success. */
    failing_since: number | null;
    /** Whether what was given up is to be sent again, see storage/webhooks/recovery.ts. */
    recovery: 'awaited' | 'due' | null;
    created_at: number;
    deleted_at: number | null;
  };

  deliveries: {
    id: Generated<number>;
    endpoint_id: string;
    merchant_id: string;
    event_sequence: number;
    event_type: string;
    state: string;
    /** `fresh` until the first attempt; retries and replays are `backlog` and never delay a fresh one. */
    lane: 'fresh' | 'backlog';
    /** Attempts begun, counted when one is claimed. */
    attempts: Generated<number>;
    /** When the series began. */
    first_attempt_at: number | null;
    next_attempt_at: number;
    /** While an attempt runs: after this moment its process counts as dead. */
    lease_until: number | null;
    /** The delivery that this one repeats; it may be pruned by now. */
    replay_of: number | null;
    /** Whether another delivery repeats this one. */
    repeated: Generated<number>;
    /** How often recovery sent the event again before this delivery, itself included. */
    recoveries: Generated<number>;
    last_status: number | null;
    last_error: string | null;
    created_at: number;
    finished_at: number | null;
  };

  delivery_attempts: {
    delivery_id: number;
    attempt: number;
    started_at: number;
    duration_ms: number;
    status: number | null;
    error: string | null;
    /** One phrase for people about the error. */
    detail: Generated<string>;
    /** The first bytes of the answer: text from a stranger. */
    response: Generated<string>;
  };

  idempotency_keys: {
    merchant_id: string;
    key: string;
    fingerprint: string;
    /** What the request made: one of the two. */
    payment_id: number | null;
    checkout_session: string | null;
    created_at: number;
  };

  audit_log: {
    id: Generated<number>;
    at: number;
    actor: string;
    action: string;
    subject: string;
    detail: string;
  };
};

/** Reads take a `Db`, which a transaction also is. */
export type Db = Kysely<Schema>;

/** Writes take a `Trx`: a write outside a transaction does not compile. */
export type Trx = Transaction<Schema>;
