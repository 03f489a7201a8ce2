import type { Network } from '../core/networks.ts';
import type { NodeState } from '../core/node.ts';
import { counted } from '../core/plural.ts';
import { isoTime } from '../present/values.ts';
import type { AlertName } from './catalog.ts';

/** What the loops of all processes have found out, as the database and this process know it. */
export type Facts = {
  /** Unix ms. */
  now: number;
  /** Why nothing can be written; null when something can. */
  databaseTrouble: string | null;
  chains: readonly {
    network: Network;
    /** Why no payment can be made; null when one can. */
    unavailable: string | null;
    isStopped: boolean;
    /** Between the newest block and the last one read, in the chain's time. */
    behindSeconds: number | null;
    /** How far our clock is ahead. */
    skewMs: number | null;
    nodes: readonly {
      host: string;
      state: NodeState;
      lastError: string | null;
      /** At the pace of today; null while that is not known. */
      requestsPerDay: number | null;
      /** What its plan allows; null: nobody said. */
      quotaPerDay: number | null;
    }[];
  }[];
  /** Coins that can be paid with and have no price, each with the reason. */
  unpriced: readonly { coin: string; reason: string }[];
  pools: readonly {
    merchantId: string;
    network: Network;
    currency: string | null;
    level: 'ok' | 'low' | 'exhausted';
    free: number;
    total: number;
    exhaustedInSeconds: number | null;
  }[];
  /** Addresses are held back, because payments may have been lost; `until` Unix ms. Null: none are. */
  hold: { until: number; reason: string } | null;
  /** Endpoints that something is wrong with. */
  endpoints: readonly {
    id: string;
    host: string;
    active: boolean;
    disabledReason: 'operator' | 'gone' | 'failing' | null;
    failingSince: number | null;
    givenUp: number;
  }[];
  oldestDueAt: number | null;
  /** Of the last day. */
  unmatched: number;
  late: number;
  /** Payments whose confirmation was taken back since the last look. */
  reverted: readonly string[];
  /** `trouble`: null when a provider is well. */
  providers: readonly { name: string; trouble: string | null; unmatched: number }[];
  /** When `depositd backup` last made one; null: never, or it is not used here. */
  backupAt: number | null;
  /** The free part of the disk that the data is on; null where nobody can tell. */
  diskFree: number | null;
};

/** Something to be called for, as it looks now. */
export type Finding = { name: AlertName; subject: string; text: string };

/** A block read so long after the newest is late, seconds. */
const behindLimit = 120;
/** A pool that is dry within this time at the pace of the busiest hour, seconds. */
const soonSeconds = 4 * 3600;
const failingLimitMs = 15 * 60_000;
const dueLimitMs = 10 * 60_000;
const skewLimitMs = 5_000;
const backupLimitMs = 26 * 3_600_000;
const lowestFree = 0.1;

/** Everything that is wrong, each once. */
export function evaluate(facts: Facts): Finding[] {
  return [
    ...ofDatabase(facts),
    ...facts.chains.flatMap(ofChain),
    ...facts.unpriced.map(({ coin, reason }): Finding => {
      return { name: 'rate_stale', subject: coin, text: `${coin} has no trustworthy price: ${reason}` };
    }),
    ...facts.pools.flatMap(ofPool),
    ...ofHold(facts.hold),
    ...facts.endpoints.flatMap((endpoint) => ofEndpoint(endpoint, facts.now)),
    ...ofMoney(facts),
    ...facts.providers.flatMap(ofProvider),
  ];
}

function ofDatabase({ now, databaseTrouble, backupAt, diskFree, oldestDueAt }: Facts): Finding[] {
  const found: Finding[] = [];
  if (databaseTrouble !== null)
    found.push({ name: 'database_trouble', subject: '', text: `the database: ${databaseTrouble}` });
  if (backupAt !== null && now - backupAt > backupLimitMs) {
    const hours = Math.floor((now - backupAt) / 3_600_000);
    found.push({ name: 'backup_old', subject: '', text: `the last backup is ${counted(hours, 'hour')} old` });
  }
  if (diskFree !== null && diskFree < lowestFree) {
    const percent = Math.floor(diskFree * 100);
    found.push({ name: 'disk_low', subject: '', text: `${percent} % of the disk with the data is free` });
  }
  if (oldestDueAt !== null && now - oldestDueAt > dueLimitMs) {
    const minutes = Math.floor((now - oldestDueAt) / 60_000);
    const text = `a webhook has been due for ${counted(minutes, 'minute')} and was not sent`;
    found.push({ name: 'deliveries_late', subject: '', text });
  }
  return found;
}

function ofChain(chain: Facts['chains'][number]): Finding[] {
  const { network, unavailable, isStopped, behindSeconds, skewMs, nodes } = chain;
  const found: Finding[] = [];
  const add = (name: AlertName, text: string, subject: string = network) =>
    found.push({ name, subject, text: `${network}: ${text}` });
  if (unavailable !== null) add(isStopped ? 'chain_stopped' : 'chain_unread', unavailable);
  else if (behindSeconds !== null && behindSeconds > behindLimit)
    add('chain_behind', `what is read is ${counted(Math.floor(behindSeconds), 'second')} behind the head`);
  const usable = nodes.filter(({ state }) => state === 'ready' || state === 'limited');
  const [only] = usable;
  if (nodes.length > 1 && usable.length === 1 && only !== undefined)
    add('last_node', `of ${counted(nodes.length, 'node')} only ${only.host} is left`);
  for (const { host, requestsPerDay: pace, quotaPerDay: quota } of nodes) {
    if (pace === null || quota === null || pace <= quota) continue;
    const text = `at today's pace ${host} is asked ${pace} times a day, and its plan allows ${quota}`;
    add('node_quota', text, `${network} ${host}`);
  }
  for (const { host, state, lastError } of nodes) {
    if (state === 'ready' || state === 'limited') continue;
    const reason = lastError === null ? state : `${state}: ${lastError}`;
    add('node_failing', `the node ${host} is not used (${reason})`, `${network} ${host}`);
  }
  if (skewMs !== null && Math.abs(skewMs) > skewLimitMs) {
    const seconds = counted(Math.round(Math.abs(skewMs) / 1000), 'second');
    add('clock_skew', `our clock is ${seconds} ${skewMs > 0 ? 'ahead of' : 'behind'} the chain's time`);
  }
  return found;
}

function ofPool(pool: Facts['pools'][number]): Finding[] {
  const { merchantId, network, currency, level, free, total, exhaustedInSeconds } = pool;
  const subject = `${merchantId} ${network} ${currency ?? 'all'}`;
  const name = `the pool of ${merchantId} on ${network}${currency === null ? '' : ` for ${currency}`}`;
  if (level === 'exhausted') {
    return [{ name: 'pool_exhausted', subject, text: `${name} has no free address: payments are refused` }];
  }
  if (exhaustedInSeconds !== null && exhaustedInSeconds < soonSeconds) {
    const minutes = counted(Math.max(1, Math.round(exhaustedInSeconds / 60)), 'minute');
    return [{ name: 'pool_running_out', subject, text: `${name} is dry in ${minutes} at the present pace` }];
  }
  if (level === 'ok') return [];
  return [{ name: 'pool_low', subject, text: `${name} has ${free} of ${counted(total, 'address')} free` }];
}

function ofHold(hold: Facts['hold']): Finding[] {
  if (hold === null) return [];
  const text = `${hold.reason}: no address of before is given to a payment until ${isoTime(hold.until)}`;
  return [{ name: 'addresses_held', subject: '', text }];
}

function ofEndpoint(endpoint: Facts['endpoints'][number], now: number): Finding[] {
  const { id, host, active, disabledReason, failingSince, givenUp } = endpoint;
  const found: Finding[] = [];
  const add = (name: AlertName, text: string) => found.push({ name, subject: id, text });
  if (!active && disabledReason !== null && disabledReason !== 'operator') {
    const why = disabledReason === 'gone' ? 'it answered 410' : 'it took nothing for five days';
    add('webhook_disabled', `the endpoint ${id} (${host}) was disabled: ${why}`);
  } else if (active && failingSince !== null && now - failingSince >= failingLimitMs) {
    add('webhook_failing', `the endpoint ${id} (${host}) takes nothing`);
  }
  if (givenUp > 0)
    add(
      'delivery_given_up',
      `given up and not sent again: ${counted(givenUp, 'webhook')} to ${id} (${host})`,
    );
  return found;
}

function ofMoney({ unmatched, late, reverted }: Facts): Finding[] {
  const found: Finding[] = reverted.map((number) => ({
    name: 'payment_reverted',
    subject: number,
    text: `the chain took back what confirmed ${number}`,
  }));
  if (unmatched > 0) {
    const text = `${counted(unmatched, 'transfer')} of the last day came for no payment`;
    found.push({ name: 'unmatched_money', subject: '', text });
  }
  if (late > 0) {
    const text = `${counted(late, 'transfer')} of the last day came after the end of the payment`;
    found.push({ name: 'late_money', subject: '', text });
  }
  return found;
}

function ofProvider({ name, trouble, unmatched }: Facts['providers'][number]): Finding[] {
  const found: Finding[] = [];
  if (trouble !== null)
    found.push({ name: 'provider_down', subject: name, text: `the provider ${name}: ${trouble}` });
  if (unmatched > 0) {
    const text = `without a payment: ${counted(unmatched, 'charge')} at the provider ${name}`;
    found.push({ name: 'provider_unmatched', subject: name, text });
  }
  return found;
}
