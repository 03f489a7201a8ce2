/*
 * What the operator's API answers, as far as these pages show it.
 */

export type List<T> = { data: T[]; next_cursor: string | null };

export type Overview = {
  created: number;
  paid: number;
  received_usd_cents: number;
  median_seconds_to_paid: number | null;
  days: Day[];
};

export type Day = { day: string; network: string; currency: string; count: number; usd_cents: number };

export type PaymentRow = {
  payment_number: string;
  merchant_id: string;
  status: string;
  reason: string | null;
  network: string;
  currency: string;
  amount_usd_cents: number;
  expected_crypto_amount: string;
  actual_crypto_amount: string | null;
  assigned_address: string;
  tx_hash: string;
  confirmations: number;
  required_confirmations: number;
  external_order_id: string;
  customer_email: string;
  created_at: string;
  expires_at: string;
  confirmed_at: string | null;
  remaining: string | null;
  livemode: boolean;
};

export type TimelineEntry = {
  at: string;
  kind: string;
  title: string;
  detail: string;
  tx_hash: string | null;
  explorer_url: string | null;
  network: string | null;
  delivery_id: number | null;
  actor: string | null;
};

export type Alert = {
  alert: string;
  severity: 'page' | 'warn' | 'ticket';
  subject: string;
  text: string;
  action: string;
  runbook: string;
  began_at: string;
};

export type Pool = {
  merchant_id: string;
  network: string;
  currency: string | null;
  level: string;
  total: number;
  free: number;
  held: number;
  quarantined: number;
  retired: number;
  derivable: number;
  forecast: { busiest_hour: number; exhausted_in_seconds: number | null };
};

export type Address = {
  id: number;
  network: string;
  address: string;
  currency: string | null;
  label: string;
  source: string;
  state: string;
  active: boolean;
  created_at: string;
};

export type Node = {
  host: string;
  preferred: boolean;
  state: string;
  head: number | null;
  lag: number | null;
  last_hour: {
    p50_ms: number | null;
    p95_ms: number | null;
    failures: Record<'timeout' | 'rate_limited' | 'unavailable' | 'refused' | 'behind' | 'wrong', number>;
  };
  answered_at: string | null;
  lacks: string[];
  last_error: string | null;
  today: { calls: number; bytes: number; calls_allowed: number | null };
};

export type Chain = {
  network: string;
  chain: string;
  available: boolean;
  reason: string | null;
  confirmations: number;
  cursor: { height: number; time: string } | null;
  coverage: {
    from: number;
    complete_to: number;
    rechecked_to: number | null;
    gaps: { from: number; to: number }[];
  } | null;
  head: number | null;
  finalized: number | null;
  read_at: string | null;
  nodes: Node[];
  slowed: { host: string; every_seconds: number } | null;
};

export type Endpoint = {
  id: string;
  url: string;
  events: string[];
  description: string;
  active: boolean;
  disabled_reason: string | null;
  failing_since: string | null;
  previous_secret_until: string | null;
  kept: number;
  last_day: { succeeded: number; failed: number };
  oldest_pending_at: string | null;
};

export type Delivery = {
  id: number;
  endpoint_id: string;
  merchant_id: string;
  event: string;
  payment_number: string | null;
  status: string;
  attempts: number;
  next_attempt_at: string | null;
  last_status: number | null;
  last_error: string | null;
  created_at: string;
  finished_at: string | null;
};

export type Attempt = {
  attempt: number;
  started_at: string;
  duration_ms: number;
  status: number | null;
  error: string | null;
  detail: string;
  response: string;
};

export type Merchant = { id: string; name: string; created_at: string; removed_at: string | null };

export type Key = { id: string; prefix: string; created_at: string; revoked_at: string | null };

export type Deposit = {
  id: number;
  merchant_id: string;
  payment_number: string | null;
  network: string;
  currency: string;
  amount: string;
  address: string;
  tx_hash: string;
  block_time: string;
  status: string;
  reason: string | null;
  expected: { payment_number?: string; [key: string]: unknown } | null;
};

export type User = {
  id: string;
  name: string;
  role: string;
  merchant_id: string | null;
  has_password: boolean;
  second_factor: boolean;
  created_at: string;
  disabled_at: string | null;
};

export type Session = {
  id: string;
  current: boolean;
  address: string;
  agent: string;
  created_at: string;
  seen_at: string;
};

export type AuditEntry = {
  id: number;
  at: string;
  actor: string;
  action: string;
  subject: string;
  detail: Record<string, unknown>;
};

export type RefundRecord = {
  id: number;
  currency: string;
  amount: string;
  to: string;
  tx_hash: string;
  status: 'not_found' | 'mismatch' | 'verified';
  detail: string;
  reason: string;
  actor: string;
  created_at: string;
  block_height: number | null;
};

export type ReportRow = {
  from: string;
  merchant_id: string | null;
  network: string;
  currency: string;
  count: number;
  usd_cents: number;
  average_usd_cents: number;
  fees: string;
  refunds: number;
  refunded: string;
  late: string;
  over: string;
  under: string;
  unmatched: string;
};

export type Provider = {
  name: string;
  type: string;
  label: string;
  mode: string;
  enabled: boolean;
  merchants: string[] | null;
  currencies: string[];
  trouble: string | null;
  inbound_url: string;
  last_success_at: string | null;
  last_error_at: string | null;
  last_error: string | null;
  rejected_webhooks: number;
  swept_at: string | null;
  drift: string | null;
  unmatched: number;
};

export type OpenRefund = {
  id: string;
  status: string;
  amount: string;
  currency: string;
  payment_number: string;
  charge_id: string | null;
  created_at: string;
};

export type UnmatchedCharge = {
  charge_id: string;
  status: string;
  amount: string | null;
  currency: string | null;
  found_at: string;
};

export type RateReport = {
  sources: {
    name: string;
    host: string | null;
    answered_at: string | null;
    last_error: string | null;
    backoff_until: string | null;
  }[];
  coins: {
    coin: string;
    usd: string | null;
    sources: string[];
    outliers: string[];
    rejected: string | null;
    reason: string | null;
    fetched_at: string | null;
  }[];
};

export type SettingsReport = {
  version: string;
  database: string;
  backup_at: string | null;
  settings: { path: string; value: string; origin: string; variables: string[] }[];
};

export type Brand = {
  display_name: string;
  logo: string | null;
  accent: string | null;
  support_email: string;
  support_url: string;
};

export type PasskeyRow = { id: string; name: string; created_at: string; used_at: string | null };

export type Rescan = {
  id: number;
  from: number;
  to: number;
  status: string;
  waits_for: 'process' | 'plan' | 'chain' | null;
  reached: number | null;
  blocks_read: number;
  blocks: number;
  actor: string;
  cancelled_by: string | null;
  error: string | null;
  transfers: { found: number; new: number; taken_back: number };
  payments: { payment_number: string; was: string; status: string }[];
  ended_at: string | null;
};
