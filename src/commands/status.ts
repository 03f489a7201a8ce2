import { byUrgency } from '../alerts/catalog.ts';
import { differingSections, fingerprintOf } from '../config/fingerprint.ts';
import { dayOf } from '../core/day.ts';
import { everyRole } from '../core/roles.ts';
import { CommandError } from '../errors.ts';
import { describePools } from '../pool/status.ts';
import { presentAlert } from '../present/alerts.ts';
import { presentChain } from '../present/chains.ts';
import { presentPool } from '../present/pools.ts';
import { timeOrNull } from '../present/values.ts';
import { chainUnavailable, readChains } from '../storage/chains/chains.ts';
import { listChainLeaders } from '../storage/chains/leases.ts';
import { readLastHour } from '../storage/chains/node-measurements.ts';
import { listNodes } from '../storage/chains/nodes.ts';
import { readCoverages } from '../storage/chains/recheck-marks.ts';
import { listNodeUsage, listSlowedChains } from '../storage/chains/usage.ts';
import { databaseTime } from '../storage/database.ts';
import { listOpenAlerts } from '../storage/operators/alerts.ts';
import { isAlive, listDaemons } from '../storage/operators/daemons.ts';
import { oldestAnswerAt } from '../storage/providers/fetches.ts';
import { countUnmatchedCharges, findProviderState, providerTrouble } from '../storage/providers/providers.ts';
import type { Db } from '../storage/schema.ts';
import { countPendingPayments } from '../storage/statistics.ts';
import { countUndelivered } from '../storage/webhooks/counts.ts';
import { listTroubledEndpoints } from '../storage/webhooks/endpoints.ts';
import { getDeliveryBacklog } from '../storage/webhooks/upkeep.ts';
import { showAlerts } from './alert.ts';
import { print, printJson, printTable } from './output.ts';
import { showNodes, shown } from './status-nodes.ts';
import { endpointState } from './webhook.ts';
import { atWork, type CommandOptions, type Workplace } from './workplace.ts';

/** What the database tells of the daemon's work, whether one runs or not. */
export async function status(options: CommandOptions): Promise<void> {
  await atWork(options, async (workplace) => {
    const found = await readStatus(workplace);
    if (options.json) printJson(found);
    else show(found);
    const { running, last_seen_at } = found.daemon;
    if (running) return;
    throw new CommandError(
      last_seen_at === null
        ? 'no daemon has run on this database yet: depositd serve'
        : `no daemon is running since ${last_seen_at}; what is shown is what it left`,
    );
  });
}

type Status = Awaited<ReturnType<typeof readStatus>>;

async function readStatus({ config, db, clock }: Workplace) {
  const now = await databaseTime(db, clock);
  const states = await readChains(db);
  const pending = await countPendingPayments(db);
  const backlog = await getDeliveryBacklog(db, now);
  const webhooks = await readWebhooks(db);
  const providers = await readProviders(db, Object.keys(config.providers), clock());
  const pools = await describePools(db, null, config.payments, now);
  const configured = Object.values(config.chains);
  const coverages = await readCoverages(
    db,
    configured.map(({ network }) => network),
  );
  const nodes = await listNodes(db);
  const usage = await listNodeUsage(db, dayOf(now));
  const slowed = await listSlowedChains(db, now);
  const measured = await readLastHour(db, configured, now);
  const daemons = await listDaemons(db);
  const [last] = daemons;
  const running = daemons.filter((daemon) => isAlive(daemon, now));
  const priced = running.find(({ roles }) => roles.includes('api')) ?? running[0] ?? null;
  const configuration = fingerprintOf(config);
  const leaders = await listChainLeaders(db);
  const alerts = (await listOpenAlerts(db)).filter(({ endedAt }) => endedAt === null);
  return {
    alerts: alerts.toSorted((a, b) => byUrgency(a.name, b.name)).map(presentAlert),
    daemon: {
      running: running.length > 0,
      processes: running.length,
      version: priced?.version ?? null,
      last_seen_at: timeOrNull(last?.seenAt ?? null),
      unserved_roles: everyRole.filter((role) => !running.some(({ roles }) => roles.includes(role))),
      list: running.map((one) => ({
        id: one.id,
        host: one.host,
        pid: one.pid,
        version: one.version,
        roles: one.roles,
        started_at: timeOrNull(one.startedAt),
        leads: leaders.filter(({ holder }) => holder === one.id).map(({ network }) => network),
        // From the configuration that this command has read.
        differing_configuration: differingSections(configuration, one.configuration),
      })),
    },
    chains: configured.map((chain) => {
      const { network } = chain;
      const coverage = coverages.get(network) ?? null;
      const state = states.find((one) => one.network === network) ?? null;
      const reason = running.length === 0 ? 'no daemon reads it' : chainUnavailable(state, now);
      const found = {
        state,
        coverage,
        reason,
        nodes: nodes.filter((node) => node.network === network),
        usage,
        measured: measured.get(network) ?? [],
        slowed: slowed.find((one) => one.network === network) ?? null,
      };
      return {
        ...presentChain(chain, found),
        pending_payments: pending.find((one) => one.network === network)?.pending ?? 0,
      };
    }),
    pools: pools.map(presentPool),
    // Old ones are no prices.
    prices: priced?.prices ?? [],
    deliveries: {
      due: backlog.due,
      oldest_due_at: timeOrNull(backlog.oldestDueAt),
    },
    webhooks,
    providers,
  };
}

/** As the daemon left them. */
async function readProviders(db: Db, names: readonly string[], now: number) {
  return Promise.all(
    names.map(async (name) => {
      const state = await findProviderState(db, name);
      const oldest = await oldestAnswerAt(db, name);
      return {
        name,
        last_success_at: timeOrNull(state?.succeededAt ?? null),
        last_error: state?.lastError ?? null,
        drift: state?.drift ?? null,
        oldest_answer_at: timeOrNull(oldest),
        swept_at: timeOrNull(state?.sweptAt ?? null),
        trouble: state === null ? null : providerTrouble(state, oldest, now),
        unmatched: await countUnmatchedCharges(db, name),
      };
    }),
  );
}

/** The endpoints that something is wrong with: failing, disabled, or not given everything. */
async function readWebhooks(db: Db) {
  const undelivered = await countUndelivered(db);
  const ids = undelivered.map(({ endpointId }) => endpointId);
  return (await listTroubledEndpoints(db, ids)).map((endpoint) => {
    const counts = undelivered.find(({ endpointId }) => endpointId === endpoint.id);
    return {
      endpoint_id: endpoint.id,
      merchant_id: endpoint.merchantId,
      // Paths and queries of webhook URLs may hold secrets.
      host: new URL(endpoint.url).host,
      active: endpoint.active,
      disabled_reason: endpoint.disabledReason,
      failing_since: timeOrNull(endpoint.failingSince),
      given_up: counts?.givenUp ?? 0,
      kept: counts?.kept ?? 0,
    };
  });
}

function show(found: Status): void {
  const { daemon, alerts, chains, pools, prices, deliveries, webhooks, providers } = found;
  if (alerts.length > 0) {
    showAlerts(alerts);
    print('');
  }
  showProcesses(daemon);
  printTable(
    ['CHAIN', 'COMPLETE TO', 'RECHECKED TO', 'HEAD', 'PENDING PAYMENTS', 'STATE'],
    chains.map((chain) => [
      chain.network,
      shown(chain.coverage?.complete_to ?? chain.cursor?.height),
      shown(chain.coverage?.rechecked_to),
      shown(chain.head),
      String(chain.pending_payments),
      chain.reason ?? 'ready',
    ]),
  );
  for (const { network, coverage } of chains) {
    for (const { from, to } of coverage?.gaps ?? []) {
      print(`never read: depositd rescan --network ${network} --from ${from} --to ${to}`);
    }
    if (coverage === null) continue;
    const before = coverage.ranges.filter(({ from }) => from < coverage.from);
    if (before.length > 0) {
      const ranges = before.map(showRange).join(', ');
      print(`${network} is read from block ${coverage.from} on; before it by rescan: ${ranges}`);
    }
  }
  print('');
  showNodes(chains);
  if (pools.length === 0) print('no receive addresses yet: depositd address add');
  else
    printTable(
      ['POOL OF', 'NETWORK', 'FOR', 'FREE', 'HELD', 'QUARANTINED', 'DERIVABLE', 'RETIRED', 'STATE'],
      pools.map((pool) => [
        pool.merchant_id,
        pool.network,
        pool.currency ?? 'all',
        String(pool.free),
        String(pool.held),
        String(pool.quarantined),
        String(pool.derivable),
        String(pool.retired),
        poolState(pool),
      ]),
    );
  print('');
  if (prices.length > 0) {
    printTable(
      ['PRICE OF', 'USD', 'FROM'],
      prices.map(({ coin, usd, sources, reason }) => [
        coin,
        usd ?? '–',
        usd === null ? (reason ?? '') : sources.join(', '),
      ]),
    );
    print('');
  }
  print(
    deliveries.oldest_due_at === null
      ? 'no webhook is due'
      : `webhooks due: ${deliveries.due}, the oldest since ${deliveries.oldest_due_at}`,
  );
  showWebhooks(webhooks);
  if (providers.length === 0) return;
  print('');
  printTable(
    ['PROVIDER', 'ANSWERED', 'UNMATCHED', 'STATE'],
    providers.map((one) => [
      one.name,
      one.last_success_at ?? 'never',
      String(one.unmatched),
      one.last_error ?? one.trouble ?? 'ready',
    ]),
  );
}

/** One that does everything, by this configuration, is no news. */
function showProcesses({ list, unserved_roles: unserved }: Status['daemon']): void {
  const differing = list.filter(({ differing_configuration: sections }) => sections.length > 0);
  if (list.length === 0 || (list.length === 1 && unserved.length + differing.length === 0)) return;
  printTable(
    ['PROCESS', 'ROLES', 'READS', 'VERSION', 'SINCE', 'CONFIGURATION'],
    list.map(({ host, pid, roles, leads, version, started_at, differing_configuration: sections }) => [
      `${pid} on ${host}`,
      roles.join(', '),
      leads.length === 0 ? '–' : leads.join(', '),
      version,
      started_at ?? '',
      sections.length === 0 ? 'as here' : `differs in ${sections.join(', ')}`,
    ]),
  );
  if (unserved.length > 0)
    print(`no process has the role ${unserved.join(', nor ')}: depositd serve --roles`);
  print('');
}

function showWebhooks(webhooks: Status['webhooks']): void {
  if (webhooks.length === 0) return;
  print('');
  printTable(
    ['WEBHOOKS TO', 'HOST', 'GIVEN UP', 'KEPT', 'STATE'],
    webhooks.map((one) => [
      one.endpoint_id,
      one.host,
      String(one.given_up),
      String(one.kept),
      endpointState(one),
    ]),
  );
  if (webhooks.some((one) => one.given_up + one.kept > 0)) {
    print('what was given up or kept: depositd delivery list, and delivery replay to send it again');
  }
}

function showRange({ from, to }: { from: number; to: number }): string {
  return from === to ? String(from) : `${from} to ${to}`;
}

function poolState({ level, forecast }: Status['pools'][number]): string {
  const seconds = forecast.exhausted_in_seconds;
  if (level === 'exhausted' || seconds === null) return level;
  return `${level}, dry in ${Math.max(1, Math.round(seconds / 60))} min at the pace of the busiest hour`;
}
