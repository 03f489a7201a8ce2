import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { createEvmSource } from '../../src/watchers/evm/source.ts';
import { openWorld, type World } from '../../test/support/chain-world.ts';
import { type Life, liveIn } from '../../test/support/living-chain.ts';
import { addTestAddresses, addTestMerchant } from '../../test/support/payments.ts';
import { startScriptedNode } from '../../test/support/scripted-node.ts';
import { fillPool } from './database.ts';
import { type Recording, startRecorder } from './recorder.ts';

/*
 * What reading costs on a chain that lives, counted before the node: its blocks come by their own clock. The clock jumps
 * from one thing that happens to the next, so that a thousand blocks take seconds.
 */

type Setting = { blockMs: number; pool: number; currency: 'usdt' | 'native' };

/** Requests and calls for 1,000 blocks, and megabytes both ways; null: nobody has named one. */
type Target = { requests: number; calls: number; megabytes: number } | null;

const open = 10;
const warmUp = 350;
const blocks = 1_000;
/** One of the payments is paid, and replaced by another, every so many blocks. */
const paidEvery = 100;
/** Addresses that payments use; the rest of a pool is watched and never used. */
const used = 20;
const restSeconds = 2 * 3_600;

const atOnce = { requests: 1_050, calls: 2_300, megabytes: 12 };
const likeBsc = { requests: 500, calls: 1_600, megabytes: 12 };

const settings: readonly (Setting & { target: Target })[] = [
  { blockMs: 450, pool: 20, currency: 'usdt', target: likeBsc },
  { blockMs: 450, pool: 1_000, currency: 'usdt', target: likeBsc },
  { blockMs: 450, pool: 1_000_000, currency: 'usdt', target: likeBsc },
  { blockMs: 1_000, pool: 60, currency: 'usdt', target: atOnce },
  { blockMs: 1_000, pool: 900, currency: 'usdt', target: atOnce },
  { blockMs: 1_000, pool: 60, currency: 'native', target: null },
];

/** Two tables of what was counted. */
export async function countLiving(folder: string): Promise<string[]> {
  const lines = [
    `A living chain, polled every second, ${open} open payments, one paid and replaced every ${paidEvery} blocks; everything counted, the second reading too. Per 1,000 blocks:`,
    '',
    '| blocks every | addresses in the pool | paid in | requests | target | calls | target | MB both ways | target |',
    '|---|---|---|---|---|---|---|---|---|',
  ];
  for (const { target, ...setting } of settings) {
    const { blockMs, pool, currency } = setting;
    console.log(`${blocks} blocks of ${blockMs} ms, ${pool} addresses, ${currency}…`);
    const { requests, calls, megabytes } = await withLife(folder, setting, countPaid);
    lines.push(
      `| ${blockMs / 1000} s | ${pool.toLocaleString('en')} | ${currency} | ${requests} | ${target?.requests ?? ''} | ${calls} | ${target?.calls ?? ''} | ${megabytes.toFixed(1)} | ${target?.megabytes ?? ''} |`,
    );
  }
  lines.push(
    '',
    `The same chain at rest, without open payments, for ${restSeconds / 3_600} hours. A day:`,
    '',
    '| addresses in the pool | requests | calls | target |',
    '|---|---|---|---|',
  );
  for (const pool of [20, 1_000, 1_000_000]) {
    console.log(`at rest, ${pool} addresses…`);
    const { requests, calls } = await withLife(folder, { blockMs: 450, pool, currency: 'usdt' }, countRest);
    lines.push(`| ${pool.toLocaleString('en')} | ${requests} | ${calls} | 6000 |`);
  }
  return lines;
}

type Living = { world: World; life: Life; setting: Setting; recording: Recording };

async function withLife<T>(
  folder: string,
  setting: Setting,
  count: (living: Living) => Promise<T>,
): Promise<T> {
  const { blockMs, pool } = setting;
  const path = join(mkdtempSync(join(folder, 'living-')), 'depositd.db');
  const before = await openDatabase(`sqlite:${path}`);
  const merchantId = await addTestMerchant(before);
  await addTestAddresses(before, merchantId, { count: used });
  await before.destroy();
  fillPool(path, { merchantId, addresses: pool - used, network: 'bsc' });
  const db = await openDatabase(`sqlite:${path}`);
  const urls: string[] = [];
  const world = await openWorld(db, {
    beside: { merchantId },
    policy: { lifetimeSeconds: 7_200 },
    chain: { finality: 'finalized', requiredConfirmations: 15 },
    scripted: { finalityLag: 2 },
    openSource: (_, { chain, clock, log }) => {
      const rpc = urls.map((url) => ({ ...noLimits, url }));
      return createEvmSource({ chain: { ...chain, rpc }, clock, log });
    },
  });
  const node = await startScriptedNode(world.chain);
  const recorder = await startRecorder(node.url);
  urls.push(recorder.url);
  world.restart();
  try {
    await world.read();
    return await count({ world, life: liveIn(world, { blockMs }), setting, recording: recorder.recording });
  } finally {
    await world.close();
    await recorder.close();
    await node.close();
    await db.destroy();
  }
}

async function countPaid({ world, life, setting: { currency }, recording }: Living) {
  const payments: OnchainPayment[] = [];
  const paid: OnchainPayment[] = [];
  for (let n = 0; n < open; n++) payments.push(await world.create(currency));
  await life.live(warmUp);
  const before = { ...recording };
  for (let made = 0; made < blocks; made += paidEvery) {
    const [next] = payments.splice(0, 1);
    if (next !== undefined) {
      world.pay(next);
      paid.push(next);
    }
    payments.push(await world.create(currency));
    await life.live(paidEvery);
  }
  for (const payment of paid) {
    const { status } = await world.status(payment);
    if (status !== 'confirmed') throw new Error(`a payment that was paid is ${status}`);
  }
  const per1000 = (total: number) => Math.round((total * 1_000) / blocks);
  return {
    requests: per1000(recording.requests - before.requests),
    calls: per1000(recording.calls - before.calls),
    megabytes: per1000(recording.bytes + recording.bytesAsked - before.bytes - before.bytesAsked) / 1e6,
  };
}

async function countRest({ life, setting: { blockMs }, recording }: Living) {
  await life.live(warmUp);
  const before = { ...recording };
  await life.live((restSeconds * 1_000) / blockMs);
  const perDay = (total: number) => Math.round((total * 86_400) / restSeconds);
  return {
    requests: perDay(recording.requests - before.requests),
    calls: perDay(recording.calls - before.calls),
  };
}

const noLimits = {
  headers: {},
  requestsPerSecond: null,
  requestsPerDay: null,
  maxLogRange: null,
  wsUrl: null,
  solidityUrl: null,
};
