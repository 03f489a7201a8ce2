import { describe, expect, test } from 'vitest';
import { type AlertName, alertNames } from '../../src/alerts/catalog.ts';
import { evaluate, type Facts } from '../../src/alerts/evaluate.ts';
import { createPaces } from '../../src/alerts/facts.ts';
import type { Network } from '../../src/core/networks.ts';

const now = Date.UTC(2026, 10, 29, 12);
const minute = 60_000;
const bsc = 'bsc' as Network;

const ready = {
  host: 'a.example',
  state: 'ready',
  lastError: null,
  requestsPerDay: 100_000,
  quotaPerDay: 100_000,
} as const;
const chain: Facts['chains'][number] = {
  network: bsc,
  unavailable: null,
  isStopped: false,
  behindSeconds: 3,
  skewMs: 400,
  nodes: [ready, { ...ready, host: 'b.example' }],
};
const pool: Facts['pools'][number] = {
  merchantId: 'mer_1',
  network: bsc,
  currency: null,
  level: 'ok',
  free: 9,
  total: 10,
  exhaustedInSeconds: null,
};
const endpoint: Facts['endpoints'][number] = {
  id: 'we_1',
  host: 'shop.example',
  active: true,
  disabledReason: null,
  failingSince: null,
  givenUp: 0,
};

/** A day on which nothing is wrong, though everything is close to it. */
const fine: Facts = {
  now,
  databaseTrouble: null,
  chains: [{ ...chain, behindSeconds: 120, skewMs: -5_000 }],
  unpriced: [],
  pools: [{ ...pool, exhaustedInSeconds: 4 * 3_600 }],
  hold: null,
  endpoints: [
    { ...endpoint, failingSince: now - 15 * minute + 1 },
    { ...endpoint, id: 'we_2', active: false, disabledReason: 'operator', failingSince: now - 60 * minute },
  ],
  oldestDueAt: now - 10 * minute,
  unmatched: 0,
  late: 0,
  reverted: [],
  providers: [{ name: 'card', trouble: null, unmatched: 0 }],
  backupAt: now - 26 * 60 * minute,
  diskFree: 0.1,
};

const lone = (changes: Partial<Facts['chains'][number]>): Partial<Facts> => ({
  chains: [{ ...chain, ...changes }],
});

const cases: readonly [AlertName, Partial<Facts>, string][] = [
  [
    'chain_stopped',
    lone({ unavailable: 'the chain is stopped: finality', isStopped: true }),
    'bsc: the chain is stopped: finality',
  ],
  ['chain_unread', lone({ unavailable: 'not read for 130 seconds' }), 'bsc: not read for 130 seconds'],
  ['chain_behind', lone({ behindSeconds: 121 }), 'bsc: what is read is 121 seconds behind the head'],
  [
    'node_failing',
    lone({ nodes: [ready, ready, { ...ready, host: 'c.example', state: 'backoff', lastError: 'HTTP 429' }] }),
    'bsc: the node c.example is not used (backoff: HTTP 429)',
  ],
  [
    'node_quota',
    lone({ nodes: [{ ...ready, requestsPerDay: 100_001 }] }),
    "bsc: at today's pace a.example is asked 100001 times a day, and its plan allows 100000",
  ],
  ['clock_skew', lone({ skewMs: -5_001 }), "bsc: our clock is 5 seconds behind the chain's time"],
  ['rate_stale', { unpriced: [{ coin: 'bnb', reason: 'silence' }] }, 'bnb has no trustworthy price: silence'],
  [
    'pool_exhausted',
    { pools: [{ ...pool, level: 'exhausted', free: 0, exhaustedInSeconds: 0 }] },
    'the pool of mer_1 on bsc has no free address: payments are refused',
  ],
  [
    'pool_running_out',
    { pools: [{ ...pool, level: 'low', exhaustedInSeconds: 1_800 }] },
    'the pool of mer_1 on bsc is dry in 30 minutes at the present pace',
  ],
  [
    'pool_low',
    { pools: [{ ...pool, currency: 'usdt' as NonNullable<typeof pool.currency>, level: 'low', free: 1 }] },
    'the pool of mer_1 on bsc for usdt has 1 of 10 addresses free',
  ],
  [
    'addresses_held',
    { hold: { until: now + 30 * minute, reason: 'a backup was restored' } },
    'a backup was restored: no address of before is given to a payment until 2026-11-29T12:30:00Z',
  ],
  ['payment_reverted', { reverted: ['PAY-1'] }, 'the chain took back what confirmed PAY-1'],
  ['unmatched_money', { unmatched: 1 }, '1 transfer of the last day came for no payment'],
  ['late_money', { late: 2 }, '2 transfers of the last day came after the end of the payment'],
  [
    'webhook_failing',
    { endpoints: [{ ...endpoint, failingSince: now - 15 * minute }] },
    'the endpoint we_1 (shop.example) takes nothing',
  ],
  [
    'webhook_disabled',
    { endpoints: [{ ...endpoint, active: false, disabledReason: 'gone', failingSince: now - 60 * minute }] },
    'the endpoint we_1 (shop.example) was disabled: it answered 410',
  ],
  [
    'delivery_given_up',
    { endpoints: [{ ...endpoint, givenUp: 411 }] },
    'given up and not sent again: 411 webhooks to we_1 (shop.example)',
  ],
  [
    'deliveries_late',
    { oldestDueAt: now - 11 * minute },
    'a webhook has been due for 11 minutes and was not sent',
  ],
  [
    'provider_down',
    { providers: [{ name: 'card', trouble: 'it refuses us', unmatched: 0 }] },
    'the provider card: it refuses us',
  ],
  [
    'provider_unmatched',
    { providers: [{ name: 'card', trouble: null, unmatched: 3 }] },
    'without a payment: 3 charges at the provider card',
  ],
  ['database_trouble', { databaseTrouble: 'its disk is full' }, 'the database: its disk is full'],
  ['backup_old', { backupAt: now - 27 * 60 * minute }, 'the last backup is 27 hours old'],
  ['disk_low', { diskFree: 0.099 }, '9 % of the disk with the data is free'],
];

describe('what is wrong', () => {
  test('is nothing on a good day', () => {
    expect(evaluate(fine)).toEqual([]);
  });

  test.each(cases)('%s is found where it is so, alone, and said in one sentence', (name, changes, text) => {
    expect(evaluate({ ...fine, ...changes })).toMatchObject([{ name, text }]);
  });

  test('of several nodes one is left, and of one alone nothing is said', () => {
    const down = { ...ready, host: 'b.example', state: 'backoff' } as const;
    const names = (nodes: Facts['chains'][number]['nodes']) =>
      evaluate({ ...fine, ...lone({ nodes }) }).map((found) => found.name);
    expect(names([ready, down])).toEqual(['last_node', 'node_failing']);
    expect(names([ready])).toEqual([]);
    expect(names([])).toEqual([]);
  });

  test('knows the pace of a node after an hour of the day, also over a restart of the process that counts', () => {
    const paceOf = createPaces();
    const hour = 60 * minute;
    expect(paceOf('a', 5_000, now)).toBeNull();
    expect(paceOf('a', 5_500, now + hour / 2)).toBeNull();
    expect(paceOf('a', 6_000, now + hour)).toBe(24_000);
    // Begun anew: what it has counted since is more, not less.
    expect(paceOf('a', 1_000, now + 2 * hour)).toBe(24_000);
    expect(paceOf('b', 1_000, now + 2 * hour)).toBeNull();
    // The next day begins at nothing.
    expect(paceOf('a', 9_000, now + 12 * hour)).toBeNull();
  });

  test('has a case here for each alert of the catalogue', () => {
    // `last_node` above; a finding of the second reading is noted by the process that made it.
    const known = [...cases.map(([name]) => name), 'last_node', 'recheck_finding'];
    expect(known.toSorted()).toEqual([...alertNames].toSorted());
  });
});
