import { type Kysely, PostgresAdapter, sql } from 'kysely';

/*
 * The first tables. Frozen once released: a later change is a later migration.
 * Runs on SQLite and PostgreSQL; only generated keys and 64-bit integers are spelled differently.
 */

export async function up(db: Kysely<unknown>): Promise<void> {
  const postgres = db.getExecutor().adapter instanceof PostgresAdapter;
  const id = sql.raw(postgres ? 'bigserial primary key' : 'integer primary key autoincrement');
  const int = sql.raw(postgres ? 'bigint' : 'integer');

  const statements = [
    sql`create table merchants (
      id text primary key,
      name text not null,
      created_at ${int} not null,
      removed_at ${int}
    )`,
    sql`create index merchants_created on merchants (created_at, id)`,

    // How merchants show themselves to their payers. The logo is base64, found by its hash, and last: what comes after
    // something long is read through it.
    sql`create table brands (
      merchant_id text primary key references merchants (id),
      display_name text not null default '',
      logo_type text,
      logo_hash text,
      accent text,
      support_email text not null default '',
      support_url text not null default '',
      logo text
    )`,
    sql`create index brands_logo on brands (logo_hash) where logo_hash is not null`,

    sql`create table api_keys (
      id text primary key,
      merchant_id text not null references merchants (id),
      hash text not null unique,
      prefix text not null,
      created_at ${int} not null,
      revoked_at ${int}
    )`,
    sql`create index api_keys_merchant on api_keys (merchant_id)`,

    // People who sign in at the dashboard. Links, sessions and recovery codes are found by their SHA-256.
    sql`create table users (
      id text primary key,
      name text not null,
      name_key text not null unique,
      role text not null check (role in ('operator', 'merchant', 'viewer')),
      merchant_id text references merchants (id),
      password text,
      totp text,
      totp_step ${int} not null default 0,
      created_at ${int} not null,
      disabled_at ${int},
      check (role <> 'merchant' or merchant_id is not null),
      check (role <> 'operator' or merchant_id is null)
    )`,
    sql`create index users_created on users (created_at, id)`,
    sql`create table recovery_codes (
      user_id text not null references users (id),
      hash text not null,
      primary key (user_id, hash)
    )`,
    sql`create table user_links (
      hash text primary key,
      user_id text references users (id),
      expires_at ${int} not null
    )`,
    sql`create table user_sessions (
      id text primary key,
      hash text not null unique,
      user_id text not null references users (id),
      created_at ${int} not null,
      seen_at ${int} not null,
      address text not null,
      agent text not null
    )`,
    sql`create index user_sessions_user on user_sessions (user_id, seen_at)`,
    sql`create index user_sessions_seen on user_sessions (seen_at)`,

    // Keys in users' devices: the public halves.
    sql`create table passkeys (
      id text primary key,
      user_id text not null references users (id),
      name text not null,
      rp_id text not null,
      public_key text not null,
      counter ${int} not null,
      challenge_at ${int} not null,
      created_at ${int} not null,
      used_at ${int}
    )`,
    sql`create index passkeys_user on passkeys (user_id)`,

    // Accounts from whose public key addresses are derived when none is free.
    sql`create table derived_pools (
      id ${id},
      merchant_id text not null references merchants (id),
      network text not null,
      currency text not null default '',
      label text not null default '',
      xpub text not null,
      next_index ${int} not null default 0,
      address_limit ${int} not null,
      derive_ahead ${int} not null default 0 check (derive_ahead in (0, 1)),
      created_at ${int} not null,
      removed_at ${int},
      unique (network, xpub)
    )`,
    sql`create index derived_pools_merchant on derived_pools (merchant_id, network, currency)`,

    sql`create table addresses (
      id ${id},
      merchant_id text not null references merchants (id),
      network text not null,
      address text not null,
      address_key text not null,
      currency text not null default '',
      label text not null default '',
      source text not null check (source in ('static', 'derived')),
      derived_pool_id ${int} references derived_pools (id),
      derivation_index ${int},
      active ${int} not null default 1 check (active in (0, 1)),
      locked_by ${int},
      released_at ${int} not null default 0,
      created_at ${int} not null,
      unique (network, address_key)
    )`,
    sql`create index addresses_derived on addresses (derived_pool_id, derivation_index)
      where derived_pool_id is not null`,
    sql`create index addresses_key on addresses (address_key)`,
    sql`create index addresses_pool on addresses (merchant_id, network, currency, active)`,
    // Serves "the least recently used free address" from its first row, however large the pool.
    sql`create index addresses_free on addresses (merchant_id, network, currency, released_at, id)
      where active = 1 and locked_by is null`,
    sql`create index addresses_locked on addresses (merchant_id, network, currency, active)
      where locked_by is not null`,

    sql`create index addresses_retired on addresses (id) where active = 0`,
    // What a transfer may matter to now, however many addresses there are.
    sql`create index addresses_held on addresses (locked_by, address_key, address) where locked_by is not null`,
    sql`create index addresses_released on addresses (released_at, address_key, address) where released_at > 0`,

    // Pools that somebody was told about, until they have recovered: each is told once.
    sql`create table pool_levels (
      merchant_id text not null references merchants (id),
      network text not null,
      currency text not null,
      level text not null check (level in ('low', 'exhausted')),
      since ${int} not null,
      primary key (merchant_id, network, currency, level)
    )`,

    // Addresses that became active again: what had stopped watching them takes them in again.
    sql`create table address_returns (
      id ${id},
      address_id ${int} not null references addresses (id),
      at ${int} not null
    )`,

    // Payments that the database has lost may hold any address up to this one: until then none of these is given away.
    sql`create table address_holds (
      id ${id},
      at ${int} not null,
      until ${int} not null,
      last_address_id ${int} not null,
      last_payment_id ${int} not null,
      reason text not null
    )`,
    sql`create index address_holds_until on address_holds (until, last_address_id)`,

    // Checkouts in which the payer chooses how to pay. The token opens the page and is looked up by its SHA-256.
    sql`create table checkout_sessions (
      id ${id},
      session_id text not null unique,
      merchant_id text not null references merchants (id),
      status text not null check (status in ('open', 'completed', 'expired', 'cancelled')),
      price_amount ${int} not null,
      price_currency text not null,
      amount_usd_cents ${int} not null,
      methods text not null,
      external_order_id text not null,
      customer_email text not null,
      redirect_url text not null,
      cancel_url text not null,
      metadata text not null,
      locale text not null,
      token text not null,
      token_hash text not null unique,
      livemode ${int} not null default 1 check (livemode in (0, 1)),
      created_at ${int} not null,
      expires_at ${int} not null,
      ended_at ${int}
    )`,
    sql`create index checkout_sessions_merchant on checkout_sessions (merchant_id, created_at, id)`,
    sql`create index checkout_sessions_merchant_status on checkout_sessions (merchant_id, status, created_at, id)`,
    sql`create index checkout_sessions_order on checkout_sessions (merchant_id, external_order_id, created_at, id)`,
    sql`create index checkout_sessions_open on checkout_sessions (expires_at) where status = 'open'`,

    // What every payment has, however it is paid; the rest is in a table for its kind. No lists of kinds and reasons
    // here: SQLite would have to copy the table for each new one.
    sql`create table payments (
      id ${id},
      payment_number text not null unique,
      merchant_id text not null references merchants (id),
      kind text not null,
      status text not null check (status in ('pending', 'confirmed', 'expired', 'cancelled', 'failed')),
      reason text,
      network text not null,
      chain text not null,
      currency text not null,
      decimals ${int} not null,
      expected_amount text not null,
      price_amount ${int} not null,
      price_currency text not null,
      amount_usd_cents ${int} not null,
      external_order_id text not null,
      customer_email text not null,
      redirect_url text not null,
      metadata text not null,
      locale text not null default '',
      checkout_session text references checkout_sessions (session_id),
      replaces text,
      replaced_by text,
      requotes ${int} not null default 0,
      livemode ${int} not null default 1 check (livemode in (0, 1)),
      payment_token text not null,
      token_hash text not null unique,
      created_at ${int} not null,
      expires_at ${int} not null,
      confirmed_at ${int},
      ended_at ${int},
      accepted_at ${int}
    )`,
    // Each serves one list, newest first: a filter that fits few must not search through all the others.
    sql`create index payments_created on payments (created_at, id)`,
    // What was received, and when: sums are read from here alone.
    sql`create index payments_confirmed on payments
      (confirmed_at, status, merchant_id, network, currency, amount_usd_cents, created_at) where confirmed_at is not null`,
    // What ended late, with too much or with too little, for reports.
    sql`create index payments_unusual on payments (ended_at, id) where reason is not null`,
    sql`create index payments_reason on payments (reason, created_at, id) where reason is not null`,
    sql`create index payments_status on payments (status, created_at, id)`,
    sql`create index payments_merchant on payments (merchant_id, created_at, id)`,
    sql`create index payments_merchant_status on payments (merchant_id, status, created_at, id)`,
    sql`create index payments_merchant_network on payments (merchant_id, network, created_at, id)`,
    sql`create index payments_merchant_currency on payments (merchant_id, currency, created_at, id)`,
    sql`create index payments_order on payments (merchant_id, external_order_id, created_at, id)`,
    // Of an amount in dollars or in a coin, for who looks for it: merchant by merchant, since each index makes every payment dearer.
    sql`create index payments_usd on payments (amount_usd_cents, merchant_id, created_at, id)`,
    sql`create index payments_amount on payments (currency, expected_amount, merchant_id, created_at, id)`,
    sql`create index payments_pending on payments (network, expires_at) where status = 'pending'`,
    sql`create index payments_session on payments (checkout_session, id) where checkout_session is not null`,
    // A payer has one payment at a time, and a payment one fresh quote.
    sql`create unique index payments_session_open on payments (checkout_session)
      where checkout_session is not null and status = 'pending'`,
    sql`create index payments_sandbox on payments (id) where livemode = 0`,
    sql`create unique index payments_replaces on payments (replaces) where replaces is not null`,
    sql`create index payments_native_ended on payments (network, ended_at) where currency = 'native'`,

    // Of payments to an address on a chain: the quote and the lock. The network stands here again for the index.
    sql`create table onchain_payments (
      payment_id ${int} primary key references payments (id),
      network text not null,
      coin text not null,
      token text not null,
      usd_per_coin text not null,
      required_amount text not null,
      dust_amount text not null,
      required_confirmations ${int} not null,
      tier_confirmations ${int},
      tier_amount text,
      exceeds_tier ${int} not null default 0 check (exceeds_tier in (0, 1)),
      counted_amount text not null,
      told_amount text not null,
      completed_by text,
      address_id ${int} not null references addresses (id),
      address text not null,
      lock_height ${int} not null,
      lock_hash text not null,
      lock_time ${int} not null,
      lock_chain_time ${int} not null,
      block_time_limit ${int} not null,
      reopened ${int} not null default 0 check (reopened in (0, 1)),
      released_at ${int}
    )`,
    // One address, one live payment: the lock itself.
    sql`create unique index onchain_payments_lock on onchain_payments (address_id) where released_at is null`,
    sql`create index onchain_payments_reopened on onchain_payments (network, block_time_limit) where reopened = 1`,
    sql`create index onchain_payments_address on onchain_payments (address_id, payment_id)`,
    // Whoever may be complete.
    sql`create index onchain_payments_received on onchain_payments (network, payment_id)
      where released_at is null and counted_amount <> '0'`,
    // What open payments are in.
    sql`create index onchain_payments_open on onchain_payments (network, token, lock_height) where released_at is null`,

    // Payments that a provider was asked for and that are none yet.
    sql`create table provider_intents (
      id ${id},
      merchant_id text not null references merchants (id),
      provider text not null,
      idempotency_key text,
      fingerprint text not null,
      reference text not null unique,
      provider_key text not null,
      amount text not null,
      currency text not null,
      created_at ${int} not null,
      claimed_until ${int} not null
    )`,
    sql`create unique index provider_intents_key on provider_intents (merchant_id, idempotency_key)
      where idempotency_key is not null`,
    sql`create index provider_intents_created on provider_intents (created_at)`,

    sql`create table provider_payments (
      payment_id ${int} primary key references payments (id),
      provider text not null,
      type text not null,
      mode text not null check (mode in ('live', 'test')),
      reference text not null unique,
      charge_id text,
      charge_status text not null,
      status_text text not null,
      checkout_url text not null,
      fee text,
      net text,
      refunded text not null,
      disputed ${int} not null default 0 check (disputed in (0, 1)),
      capture text not null default 'none' check (capture in ('none', 'whole', 'part')),
      fetches ${int} not null default 0,
      next_fetch_at ${int},
      fetched_at ${int},
      unverified_at ${int},
      mismatch text
    )`,
    // One charge, one payment.
    sql`create unique index provider_payments_charge on provider_payments (provider, charge_id)
      where charge_id is not null`,
    sql`create index provider_payments_due on provider_payments (provider, next_fetch_at)
      where next_fetch_at is not null`,

    sql`create table refunds (
      id text primary key,
      payment_id ${int} not null references payments (id),
      provider text not null,
      amount text not null,
      reason text not null,
      status text not null check (status in ('sending', 'unknown', 'pending', 'succeeded', 'failed')),
      provider_refund_id text,
      idempotency_key text,
      provider_key text not null,
      refunded_before text,
      created_at ${int} not null,
      updated_at ${int} not null
    )`,
    sql`create index refunds_payment on refunds (payment_id, created_at)`,
    // While it is not known what became of one, there is no other.
    sql`create unique index refunds_open on refunds (payment_id) where status in ('sending', 'unknown')`,
    sql`create unique index refunds_key on refunds (payment_id, idempotency_key) where idempotency_key is not null`,
    sql`create index refunds_provider on refunds (provider, updated_at) where status in ('sending', 'unknown')`,

    // What operators say that they sent back from a wallet of theirs, and what the chain says of it.
    sql`create table refund_records (
      id ${id},
      payment_id ${int} not null references payments (id),
      network text not null,
      token text not null,
      recipient text not null,
      address text not null,
      tx_hash text not null,
      amount text not null,
      usd_cents ${int} not null,
      reason text not null,
      actor text not null,
      created_at ${int} not null,
      status text not null check (status in ('not_found', 'mismatch', 'verified')),
      detail text not null default '',
      checks ${int} not null default 0,
      checked_at ${int},
      next_check_at ${int},
      block_height ${int},
      block_time ${int}
    )`,
    // One transfer is one refund.
    sql`create unique index refund_records_transfer on refund_records (network, tx_hash, token, recipient)`,
    sql`create index refund_records_payment on refund_records (payment_id, id)`,
    sql`create index refund_records_due on refund_records (next_check_at) where next_check_at is not null`,
    sql`create index refund_records_verified on refund_records (block_time) where status = 'verified'`,

    sql`create table inbound_events (
      id ${id},
      provider text not null,
      dedupe_key text not null,
      verdict text not null,
      reading text not null,
      type text not null,
      charge_id text,
      reference text,
      body text not null,
      received_at ${int} not null,
      handled_at ${int},
      outcome text,
      unique (provider, dedupe_key)
    )`,
    sql`create index inbound_events_waiting on inbound_events (provider, id) where handled_at is null`,
    sql`create index inbound_events_age on inbound_events (received_at)`,

    sql`create table providers (
      name text primary key,
      inbound_path text not null,
      succeeded_at ${int},
      failed_at ${int},
      last_error text,
      rejected ${int} not null default 0,
      swept_at ${int},
      drift text
    )`,

    sql`create table provider_unmatched (
      provider text not null,
      charge_id text not null,
      status text not null,
      amount text,
      currency text,
      found_at ${int} not null,
      primary key (provider, charge_id)
    )`,

    sql`create table deposits (
      id ${id},
      network text not null,
      tx_hash text not null,
      token text not null,
      currency text not null,
      decimals ${int} not null,
      recipient text not null,
      ordinal ${int} not null,
      amount text not null,
      height ${int} not null,
      block_hash text not null,
      block_time ${int} not null,
      log_index ${int},
      status text not null check (status in ('seen', 'confirmed', 'orphaned')),
      role text not null check (role in ('counted', 'late', 'accepted', 'unmatched')),
      unmatched_reason text,
      merchant_id text not null references merchants (id),
      address_id ${int} not null references addresses (id),
      payment_id ${int} references payments (id),
      seen_at ${int} not null,
      reported_by text,
      ignored_at ${int},
      unique (network, tx_hash, token, recipient, ordinal)
    )`,
    // In chain order.
    sql`create index deposits_payment on deposits (payment_id, status, height, coalesce(log_index, -1), id)
      where payment_id is not null`,
    // The largest of a payment, however much dust there is beside them.
    sql`create index deposits_size on deposits
      (payment_id, status, (length(amount) - decimals) desc, amount desc, id) where payment_id is not null`,
    sql`create index deposits_height on deposits (network, height, id)`,
    sql`create index deposits_seen on deposits (network, height, id) where status = 'seen'`,
    sql`create index deposits_seen_paid on deposits (network, height)
      where status = 'seen' and payment_id is not null`,
    sql`create index deposits_orphaned on deposits (network, seen_at) where status = 'orphaned'`,
    sql`create index deposits_role on deposits (role, id)`,
    sql`create index deposits_merchant on deposits (merchant_id, role, id)`,
    sql`create index deposits_amount on deposits (currency, amount, merchant_id, id) where payment_id is not null`,
    // What waits for an operator, and what an operator will not hear of.
    sql`create index deposits_inbox on deposits (id) where role = 'unmatched' and ignored_at is null`,
    sql`create index deposits_ignored on deposits (id) where role = 'unmatched' and ignored_at is not null`,
    sql`create index deposits_merchant_inbox on deposits (merchant_id, id)
      where role = 'unmatched' and ignored_at is null`,
    // What reached an address and is nobody's: the payer who sent it looks for it.
    sql`create index deposits_unmatched on deposits (recipient, id) where role = 'unmatched'`,

    // What a payment's deposits add up to is kept with every change of them: nobody reads all of them for the next one.
    sql`create table deposit_sums (
      payment_id ${int} not null,
      network text not null,
      token text not null,
      status text not null,
      role text not null,
      total ${int} not null,
      amount ${sql.raw(postgres ? 'numeric' : 'text')} not null,
      latest_block_time ${int} not null,
      primary key (payment_id, network, token, status, role)
    )`,

    // What a payment's address held of the native coin when it was locked, and whether that was compared at the end.
    sql`create table balance_marks (
      payment_id ${int} primary key references payments (id),
      network text not null,
      height ${int} not null,
      block_hash text not null,
      balance text not null,
      compared_height ${int}
    )`,
    sql`create index balance_marks_height on balance_marks (network, height)`,
    sql`create index balance_marks_compared on balance_marks (network, compared_height)
      where compared_height is not null`,

    // What was confirmed on a day (UTC) is kept with every change of a payment: a page that shows a month counts none of them.
    sql`create table received_sums (
      day ${int} not null,
      merchant_id text not null,
      network text not null,
      currency text not null,
      total ${int} not null,
      usd_cents ${int} not null,
      primary key (day, merchant_id, network, currency)
    )`,

    sql`create table chain_cursors (
      network text primary key,
      first_height ${int} not null,
      height ${int} not null,
      hash text not null,
      time ${int} not null,
      head_height ${int} not null,
      head_hash text not null,
      head_time ${int} not null,
      time_height ${int} not null,
      time_hash text not null,
      time_block ${int} not null,
      time_shown_at ${int} not null,
      time_watched_since ${int},
      finalized_height ${int},
      read_at ${int} not null,
      stopped_reason text
    )`,

    sql`create table chain_anchors (
      network text not null,
      height ${int} not null,
      hash text not null,
      time ${int} not null,
      primary key (network, height)
    )`,

    // Which blocks were read, who showed them and when: what was not read shows as a gap.
    sql`create table chain_scans (
      network text not null,
      from_height ${int} not null,
      to_height ${int} not null check (to_height >= from_height),
      hosts text not null,
      native ${int} not null check (native in (0, 1)),
      since_at ${int} not null,
      until_at ${int} not null,
      primary key (network, from_height)
    )`,
    sql`create index chain_scans_end on chain_scans (network, to_height)`,

    sql`create table chain_rechecks (
      network text primary key,
      height ${int} not null,
      hash text not null,
      time ${int} not null,
      forks ${int} not null,
      rechecked_at ${int} not null
    )`,

    // What operators have had read again. One at a time for each chain.
    sql`create table rescans (
      id ${id},
      network text not null,
      from_height ${int} not null,
      to_height ${int} not null check (to_height >= from_height),
      native ${int} not null check (native in (0, 1)),
      status text not null check (status in ('waiting', 'running', 'done', 'failed', 'cancelled')),
      reached ${int} not null,
      actor text not null,
      cancelled_by text,
      error text,
      findings text not null,
      created_at ${int} not null,
      started_at ${int},
      ended_at ${int}
    )`,
    sql`create index rescans_network on rescans (network, id)`,
    sql`create unique index rescans_open on rescans (network) where status in ('waiting', 'running')`,

    // For whoever cannot ask the process that reads the chain; not a record of anything.
    sql`create table chain_nodes (
      network text not null,
      rank ${int} not null,
      host text not null,
      state text not null,
      head ${int},
      finalized ${int},
      lag ${int},
      answered_at ${int},
      lacks text not null,
      blocks_per_query ${int},
      calls_per_request ${int},
      recipient_filter ${int},
      latency_ms ${int},
      backoff_until ${int},
      last_error text,
      asked ${int} not null,
      failed ${int} not null,
      noted_at ${int} not null,
      primary key (network, rank)
    )`,

    sql`create table node_usage (
      network text not null,
      host text not null,
      day ${int} not null,
      method text not null,
      calls ${int} not null,
      bytes ${int} not null,
      primary key (day, network, host, method)
    )`,

    // How it went, by interval, for whoever looks back some days.
    sql`create table node_measurements (
      network text not null,
      at ${int} not null,
      host text not null,
      latency text not null,
      failures text not null,
      primary key (network, at, host)
    )`,
    sql`create index node_measurements_at on node_measurements (at)`,
    sql`create table pool_measurements (
      merchant_id text not null,
      at ${int} not null,
      network text not null,
      currency text not null,
      free ${int} not null,
      held ${int} not null,
      quarantined ${int} not null,
      retired ${int} not null,
      primary key (merchant_id, at, network, currency)
    )`,
    sql`create index pool_measurements_at on pool_measurements (at)`,
    sql`create table endpoint_measurements (
      endpoint_id text not null,
      at ${int} not null,
      succeeded ${int} not null,
      failed ${int} not null,
      oldest_pending_ms ${int} not null,
      primary key (endpoint_id, at)
    )`,
    sql`create index endpoint_measurements_at on endpoint_measurements (at)`,

    sql`create table slowed_chains (
      network text primary key,
      host text not null,
      every_ms ${int} not null,
      noted_at ${int} not null
    )`,

    sql`create table daemons (
      id text primary key,
      version text not null,
      started_at ${int} not null,
      seen_at ${int} not null,
      stopped_at ${int},
      prices text not null,
      host text not null,
      pid ${int} not null,
      roles text not null,
      configuration text not null
    )`,

    sql`create table alerts (
      name text not null,
      subject text not null,
      text text not null,
      began_at ${int} not null,
      seen_at ${int} not null,
      ended_at ${int},
      told text not null,
      primary key (name, subject)
    )`,
    sql`create index alerts_ended on alerts (ended_at)`,
    sql`create index alerts_open on alerts (began_at, name, subject) where told <> 'end'`,

    sql`create table leases (
      name text primary key,
      holder text not null,
      until ${int} not null
    )`,

    sql`create table events (
      sequence ${id},
      id text not null unique,
      merchant_id text not null references merchants (id),
      type text not null,
      payment_id ${int} references payments (id),
      body text not null,
      created_at ${int} not null
    )`,
    sql`create index events_merchant on events (merchant_id, sequence)`,
    sql`create index events_created on events (merchant_id, created_at)`,
    sql`create index events_age on events (created_at)`,
    sql`create index events_payment on events (payment_id) where payment_id is not null`,

    // Up to which of its events a merchant's were deleted.
    sql`create table pruned_events (
      merchant_id text primary key references merchants (id),
      sequence ${int} not null
    )`,

    sql`create table webhook_endpoints (
      id text primary key,
      merchant_id text not null references merchants (id),
      url text not null,
      events text not null,
      description text not null default '',
      secret text not null,
      previous_secret text,
      previous_secret_until ${int},
      rotated_at ${int},
      last_signer text check (last_signer in ('current', 'previous')),
      headers text,
      header_names text not null default '[]',
      active ${int} not null default 1 check (active in (0, 1)),
      disabled_reason text,
      failing_since ${int},
      recovery text check (recovery in ('awaited', 'due')),
      created_at ${int} not null,
      deleted_at ${int}
    )`,
    sql`create index webhook_endpoints_merchant on webhook_endpoints (merchant_id)`,
    sql`create index webhook_endpoints_recovery on webhook_endpoints (recovery, id) where recovery is not null`,

    sql`create table deliveries (
      id ${id},
      endpoint_id text not null references webhook_endpoints (id),
      merchant_id text not null references merchants (id),
      event_sequence ${int} not null references events (sequence),
      event_type text not null,
      state text not null check (state in ('pending', 'sending', 'delivered', 'failed', 'cancelled')),
      lane text not null check (lane in ('fresh', 'backlog')),
      attempts ${int} not null default 0,
      first_attempt_at ${int},
      next_attempt_at ${int} not null,
      lease_until ${int},
      replay_of ${int},
      repeated ${int} not null default 0 check (repeated in (0, 1)),
      recoveries ${int} not null default 0,
      last_status ${int},
      last_error text,
      created_at ${int} not null,
      finished_at ${int}
    )`,
    sql`create index deliveries_due on deliveries (next_attempt_at, id) where state = 'pending'`,
    // Serves "what is due at this endpoint" and the list of endpoints with work, however long each one's queue is.
    sql`create index deliveries_due_endpoint on deliveries (endpoint_id, lane, next_attempt_at, id)
      where state = 'pending'`,
    sql`create index deliveries_leased on deliveries (lease_until) where state = 'sending'`,
    sql`create index deliveries_merchant on deliveries (merchant_id, id)`,
    sql`create index deliveries_endpoint on deliveries (endpoint_id, id)`,
    sql`create index deliveries_created on deliveries (endpoint_id, created_at)`,
    sql`create index deliveries_failed on deliveries (endpoint_id, id) where state = 'failed'`,
    sql`create index deliveries_failed_merchant on deliveries (merchant_id, id) where state = 'failed'`,
    // What may still be sent again, oldest first.
    sql`create index deliveries_undelivered on deliveries (endpoint_id, repeated, id, finished_at)
      where state in ('failed', 'cancelled')`,
    sql`create index deliveries_event on deliveries (event_sequence)`,
    sql`create index deliveries_finished on deliveries (finished_at) where finished_at is not null`,

    sql`create table delivery_attempts (
      delivery_id ${int} not null references deliveries (id) on delete cascade,
      attempt ${int} not null,
      started_at ${int} not null,
      duration_ms ${int} not null,
      status ${int},
      error text,
      detail text not null default '',
      response text not null default '',
      primary key (delivery_id, attempt)
    )`,

    sql`create table idempotency_keys (
      merchant_id text not null references merchants (id),
      key text not null,
      fingerprint text not null,
      payment_id ${int} references payments (id),
      checkout_session text references checkout_sessions (session_id),
      created_at ${int} not null,
      primary key (merchant_id, key)
    )`,
    sql`create index idempotency_keys_created on idempotency_keys (created_at)`,

    sql`create table audit_log (
      id ${id},
      at ${int} not null,
      actor text not null,
      action text not null,
      subject text not null,
      detail text not null
    )`,
    sql`create index audit_log_subject on audit_log (subject, id)`,
    ...(postgres ? frozenOnPostgres : frozenOnSqlite),
    ...(postgres ? sumsOnPostgres : sumsOnSqlite),
    ...(postgres ? receivedOnPostgres : receivedOnSqlite),
  ];

  for (const statement of statements) await statement.execute(db);
}

// Whoever may write the audit log may not rewrite it, be it by a mistake in a program.
const frozenOnSqlite = ['update', 'delete'].map(
  (change) => sql`create trigger ${sql.raw(`audit_log_no_${change}`)} before ${sql.raw(change)} on audit_log
    begin select raise(abort, 'the audit log is append only'); end`,
);

const frozenOnPostgres = [
  sql`create function audit_log_is_append_only() returns trigger language plpgsql as
    $$ begin raise exception 'the audit log is append only'; end $$`,
  sql`create trigger audit_log_frozen before update or delete or truncate on audit_log
    for each statement execute function audit_log_is_append_only()`,
];

const alike = 'payment_id, network, token, status, role';

// SQLite adds up 64 bits, or a float: add_amounts is ours, see storage/sqlite.ts.
const addToSums = `insert into deposit_sums (${alike}, total, amount, latest_block_time)
    select new.payment_id, new.network, new.token, new.status, new.role, 1, new.amount, new.block_time
    where new.payment_id is not null
    on conflict (${alike}) do update set total = total + 1, amount = add_amounts(amount, new.amount),
      latest_block_time = max(latest_block_time, new.block_time);`;

const takeFromSums = `update deposit_sums set total = total - 1, amount = add_amounts(amount, '-' || old.amount)
    where (${alike}) = (old.payment_id, old.network, old.token, old.status, old.role);`;

const sumsOnSqlite = [
  sql`create trigger deposit_sums_insert after insert on deposits begin ${sql.raw(addToSums)} end`,
  sql`create trigger deposit_sums_update
    after update of payment_id, status, role, amount, block_time on deposits
    begin ${sql.raw(takeFromSums)} ${sql.raw(addToSums)} end`,
  sql`create trigger deposit_sums_delete after delete on deposits begin ${sql.raw(takeFromSums)} end`,
];

/**
 * Once for each statement: a row that is updated ten thousand times in a transaction grows slower with each. `changed` are
 * the rows that come, with a plus, and go, with a minus.
 */
function changeSums(name: string, changed: string) {
  return sql`create function ${sql.raw(name)}() returns trigger language plpgsql as $$
    begin
      insert into deposit_sums as sums (${sql.raw(alike)}, total, amount, latest_block_time)
        select ${sql.raw(alike)}, sum(n), sum(n * amount::numeric), max(block_time) from (${sql.raw(changed)}) as changed
        where payment_id is not null group by ${sql.raw(alike)} order by ${sql.raw(alike)}
        on conflict (${sql.raw(alike)}) do update set total = sums.total + excluded.total,
          amount = sums.amount + excluded.amount,
          latest_block_time = greatest(sums.latest_block_time, excluded.latest_block_time);
      return null;
    end $$`;
}

const [coming, going] = ['select 1 as n, * from added', 'select -1 as n, * from taken'];

const sumsOnPostgres = [
  changeSums('deposits_inserted', coming),
  changeSums('deposits_updated', `${coming} union all ${going}`),
  changeSums('deposits_deleted', going),
  sql`create trigger deposit_sums_insert after insert on deposits referencing new table as added
    for each statement execute function deposits_inserted()`,
  sql`create trigger deposit_sums_update after update on deposits referencing old table as taken new table as added
    for each statement execute function deposits_updated()`,
  sql`create trigger deposit_sums_delete after delete on deposits referencing old table as taken
    for each statement execute function deposits_deleted()`,
];

const ofDay = 'day, merchant_id, network, currency';
const dayOf = (row: string) =>
  `${row}.confirmed_at / 86400000, ${row}.merchant_id, ${row}.network, ${row}.currency`;

const addToReceived = `insert into received_sums (${ofDay}, total, usd_cents)
    select ${dayOf('new')}, 1, new.amount_usd_cents
    where new.status = 'confirmed' and new.confirmed_at is not null
    on conflict (${ofDay}) do update set total = received_sums.total + 1,
      usd_cents = received_sums.usd_cents + excluded.usd_cents;`;

const takeFromReceived = `update received_sums set total = total - 1, usd_cents = usd_cents - old.amount_usd_cents
    where old.status = 'confirmed' and old.confirmed_at is not null and (${ofDay}) = (${dayOf('old')});`;

const becameAnother = `(old.status = 'confirmed' or new.status = 'confirmed')
    and (old.status <> new.status or old.confirmed_at is distinct from new.confirmed_at)`;

const receivedOnSqlite = [
  sql`create trigger received_sums_insert after insert on payments when new.status = 'confirmed'
    begin ${sql.raw(addToReceived)} end`,
  sql`create trigger received_sums_update after update of status, confirmed_at on payments
    when ${sql.raw(becameAnother)} begin ${sql.raw(takeFromReceived)} ${sql.raw(addToReceived)} end`,
];

// At the commit: whoever holds the row of a day waits for nothing any more, so that nobody waits for each other.
const receivedOnPostgres = [
  sql`create function payment_received() returns trigger language plpgsql as
    $$ begin ${sql.raw(addToReceived)} return null; end $$`,
  sql`create function payment_received_otherwise() returns trigger language plpgsql as
    $$ begin ${sql.raw(takeFromReceived)} ${sql.raw(addToReceived)} return null; end $$`,
  sql`create constraint trigger received_sums_insert after insert on payments deferrable initially deferred
    for each row when (new.status = 'confirmed') execute function payment_received()`,
  sql`create constraint trigger received_sums_update after update of status, confirmed_at on payments
    deferrable initially deferred for each row when (${sql.raw(becameAnother)}) execute function payment_received_otherwise()`,
];
