/*
 * Everything that an operator is called for. docs/alerts.md has a section of the same name for each.
 */

/** `page`: now, money waits or is lost. `warn`: today. `ticket`: somebody has to decide something. */
export type Severity = 'page' | 'warn' | 'ticket';

export const alertNames = [
  'chain_stopped',
  'chain_unread',
  'chain_behind',
  'last_node',
  'node_failing',
  'node_quota',
  'clock_skew',
  'rate_stale',
  'pool_exhausted',
  'pool_running_out',
  'pool_low',
  'addresses_held',
  'payment_reverted',
  'recheck_finding',
  'unmatched_money',
  'late_money',
  'webhook_failing',
  'webhook_disabled',
  'delivery_given_up',
  'deliveries_late',
  'provider_down',
  'provider_unmatched',
  'database_trouble',
  'backup_old',
  'disk_low',
] as const;

export type AlertName = (typeof alertNames)[number];

export type AlertKind = {
  severity: Severity;
  /** What to do first. */
  action: string;
  /** The line of the log that tells of the same; null: none does. */
  log: string | null;
  /** The metric by which a monitoring of your own can see it; null: none does. */
  metric: string | null;
  /** For how long it has to be so before anybody is called, seconds. */
  afterSeconds: number;
  /** Whether it is something that happened: it is shown for a day, and has no end of its own. */
  happened?: true;
};

const minute = 60;

export const alertCatalog: Readonly<Record<AlertName, AlertKind>> = {
  chain_stopped: {
    severity: 'page',
    action: 'Compare the nodes, then depositd chain accept-fork or set-cursor.',
    log: 'finality violated',
    metric: 'depositd_chain_available',
    afterSeconds: 0,
  },
  chain_unread: {
    severity: 'page',
    action: 'depositd status shows what its nodes answer; add a node.',
    log: 'chain poll failing',
    metric: 'depositd_chain_read_timestamp_seconds',
    afterSeconds: minute,
  },
  chain_behind: {
    severity: 'page',
    action: 'depositd status shows the nodes; use a faster one.',
    log: 'chain behind',
    metric: 'depositd_chain_cursor_timestamp_seconds',
    afterSeconds: 5 * minute,
  },
  last_node: {
    severity: 'warn',
    action: 'Mend or replace the others: with one node nothing can be compared.',
    log: 'rpc endpoint failed',
    metric: 'depositd_rpc_backoff',
    afterSeconds: 15 * minute,
  },
  node_failing: {
    severity: 'warn',
    action: 'depositd status says what it answers; replace it if it stays so.',
    log: 'rpc endpoint failed',
    metric: 'depositd_rpc_backoff',
    afterSeconds: 15 * minute,
  },
  node_quota: {
    severity: 'warn',
    action: 'Take a larger plan, add a node, or raise pollSeconds: its chain is read more slowly now.',
    log: null,
    metric: 'depositd_rpc_calls_today',
    afterSeconds: 10 * minute,
  },
  clock_skew: {
    severity: 'warn',
    action: "Set this machine's clock by NTP.",
    log: 'clock skew',
    metric: 'depositd_clock_skew_seconds',
    afterSeconds: 5 * minute,
  },
  rate_stale: {
    severity: 'page',
    action: 'depositd check-config --online asks the sources.',
    log: 'rate unavailable',
    metric: 'depositd_rate_available',
    afterSeconds: 2 * minute,
  },
  pool_exhausted: {
    severity: 'page',
    action: 'depositd address import, or address add.',
    log: 'pool exhausted',
    metric: 'depositd_pool_addresses',
    afterSeconds: minute,
  },
  pool_running_out: {
    severity: 'warn',
    action: 'depositd address import, or address add.',
    log: null,
    metric: 'depositd_pool_exhausted_in_seconds',
    afterSeconds: 10 * minute,
  },
  pool_low: {
    severity: 'warn',
    action: 'depositd address import, or address add.',
    log: 'pool low',
    metric: 'depositd_pool_addresses',
    afterSeconds: 10 * minute,
  },
  addresses_held: {
    severity: 'page',
    action: 'depositd address import new ones; find out what the database has lost.',
    log: 'database lost payments',
    metric: null,
    afterSeconds: 0,
  },
  payment_reverted: {
    severity: 'page',
    action: 'Stop what was shipped for it.',
    log: 'confirmed payment reverted',
    metric: 'depositd_payments_total',
    afterSeconds: 0,
    happened: true,
  },
  recheck_finding: {
    severity: 'page',
    action: 'Replace the node that had answered wrongly.',
    log: 'missed transfer found',
    metric: 'depositd_recheck_findings_total',
    afterSeconds: 0,
    happened: true,
  },
  unmatched_money: {
    severity: 'ticket',
    action: 'depositd deposit list --status unmatched, then deposit attach.',
    log: null,
    metric: 'depositd_deposits_total',
    afterSeconds: 0,
  },
  late_money: {
    severity: 'ticket',
    action: 'depositd deposit list --status late, then payment accept.',
    log: null,
    metric: 'depositd_deposits_total',
    afterSeconds: 0,
  },
  webhook_failing: {
    severity: 'warn',
    action: 'depositd delivery list shows what the receiver answers.',
    log: null,
    metric: 'depositd_webhook_endpoints_failing',
    afterSeconds: 15 * minute,
  },
  webhook_disabled: {
    severity: 'page',
    action: 'Mend the receiver, then depositd webhook enable.',
    log: null,
    metric: 'depositd_webhook_endpoints_disabled',
    afterSeconds: 0,
  },
  delivery_given_up: {
    severity: 'warn',
    action: 'depositd delivery list --status failed, then delivery replay.',
    log: null,
    metric: 'depositd_deliveries_given_up_total',
    afterSeconds: 0,
  },
  deliveries_late: {
    severity: 'warn',
    action: 'depositd status; a machine that is too slow or a database that is locked holds them up.',
    log: null,
    metric: 'depositd_deliveries_oldest_due_seconds',
    afterSeconds: 0,
  },
  provider_down: {
    severity: 'warn',
    action: 'depositd status says what it answers.',
    log: 'provider failed',
    metric: 'depositd_provider_failing',
    afterSeconds: 10 * minute,
  },
  provider_unmatched: {
    severity: 'ticket',
    action: "Look at it in the provider's own pages.",
    log: null,
    metric: 'depositd_provider_unmatched_charges',
    afterSeconds: 0,
  },
  database_trouble: {
    severity: 'page',
    action: 'Look at the database server, its disk and its certificate.',
    log: 'loop step failed',
    metric: 'depositd_database_up',
    afterSeconds: minute,
  },
  backup_old: {
    severity: 'warn',
    action: 'See why the daily depositd backup does not run.',
    log: null,
    metric: null,
    afterSeconds: 0,
  },
  disk_low: {
    severity: 'warn',
    action: 'Make room before it is full: no payment can be made then.',
    log: null,
    metric: null,
    afterSeconds: 5 * minute,
  },
};

const order: readonly Severity[] = ['page', 'warn', 'ticket'];

/** The most urgent first. */
export function byUrgency(a: AlertName, b: AlertName): number {
  return order.indexOf(alertCatalog[a].severity) - order.indexOf(alertCatalog[b].severity);
}

export function runbookOf(name: AlertName): string {
  return `docs/alerts.md#${name}`;
}
