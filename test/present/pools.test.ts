import { expect, test } from 'vitest';
import type { NodeStatus } from '../../src/core/node.ts';
import type { PoolStatus } from '../../src/core/pool.ts';
import { presentChain } from '../../src/present/chains.ts';
import { presentPool } from '../../src/present/pools.ts';
import { testChain } from '../support/config.ts';

test('a pool’s forecast and a node’s latency are shown with no more digits than anybody measured', () => {
  const pool = {
    meanLockSeconds: 612.3333333333334,
    forecast: { expectedHeld: 2.069611303592844, exhaustedInSeconds: null },
  } as PoolStatus;
  expect(presentPool(pool).forecast).toMatchObject({ mean_lock_seconds: 612, expected_held: 2.1 });
  const node = {
    latencyMs: 2.069611303592844,
    limits: null,
    answeredAt: null,
    backoffUntil: null,
  } as NodeStatus;
  const found = {
    state: null,
    coverage: null,
    reason: null,
    nodes: [node],
    usage: [],
    slowed: null,
    measured: [],
  };
  expect(presentChain(testChain('bsc'), found).nodes).toMatchObject([{ latency_ms: 2 }]);
});
