import { expect } from 'vitest';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { readChain } from '../../src/storage/chains/chains.ts';
import type { Db } from '../../src/storage/schema.ts';
import { createEvmSource } from '../../src/watchers/evm/source.ts';
import { evmAddress } from './addresses.ts';
import type { TestAnvil } from './anvil.ts';
import { openWorld } from './chain-world.ts';
import { endpointOf } from './evm.ts';
import { type FaultProxy, type Injection, startFaultProxy } from './fault-proxy.ts';
import type { Elsewhere, Illness } from './illnesses.ts';
import { allDeposits, followEvents } from './model-checks.ts';
import { createdAt } from './payments.ts';
import { batchTokens, type TestTokens, transferToken } from './tokens.ts';

/** A merchant on a real node that is reached through fault proxies; the first of them can be made ill. */
export type FaultShop = {
  /** Sells, is paid and reads the chain while the node is ill, until everything is as it should be again. */
  survive(illness: Illness): Promise<Survival>;
  close(): Promise<void>;
};

export type Survival = { hits: number; ticks: number };

/** One block every ten seconds: the longest rest of a node is ten minutes. */
const mostTicks = 70;

export type FaultShopOptions = { anvil: TestAnvil; tokens: TestTokens; honest: boolean };

export async function openFaultShop(db: Db, { anvil, tokens, honest }: FaultShopOptions): Promise<FaultShop> {
  const proxy = await startFaultProxy(anvil.url);
  const other = await startFaultProxy(anvil.url);
  const behind = await startFaultProxy(anvil.url);
  behind.inject({ kind: 'lag', by: 2 });
  const fork = await startFaultProxy(anvil.url);
  const urls = honest ? [proxy.url, other.url] : [proxy.url];
  const world = await openWorld(db, {
    addresses: 60,
    policy: { lifetimeSeconds: 7_200 },
    openSource: (_, { chain, clock, log }) => {
      const rpc = urls.map((url) => endpointOf(url));
      return createEvmSource({ chain: { ...chain, rpc }, clock, log, timeoutMs: 2_000 });
    },
  });
  const { timestamp } = await anvil.block('latest');
  world.pass(timestamp - createdAt / 1000);
  await world.read();
  /** `transaction ordinal amount` of everything that was paid. */
  const paid: string[] = [];
  let recheckAt = 0;

  async function tick(): Promise<void> {
    world.pass(10);
    await anvil.setNextBlockTime(world.clock() / 1000);
    await anvil.mine();
    await world.read();
    if (world.clock() >= recheckAt) recheckAt = (await world.recheckStep()).nextAt;
  }

  /** In one block: two equal transfers in one transaction, the chain's own coin, and what strangers do. */
  async function sell(): Promise<OnchainPayment[]> {
    const inTokens = await world.create('usdt');
    const inCoin = await world.create('native');
    const half = inTokens.expectedAmount / 2n;
    const halves = [half, half].map((amount) => ({ to: inTokens.address, amount }));
    await transferToken(anvil, tokens.usdt, evmAddress(9_999), 7n);
    const batch = await batchTokens(anvil, tokens.usdt, halves);
    const sent = await anvil.send({ to: inCoin.address, value: inCoin.expectedAmount });
    paid.push(`${batch} 0 ${half}`, `${batch} 1 ${half}`, `${sent} 0 ${inCoin.expectedAmount}`);
    return [inTokens, inCoin];
  }

  async function arm({ fault, when }: Illness): Promise<Injection> {
    fork.clear();
    const above = await anvil.height();
    fork.inject({ kind: 'rewrite', rewrite: (result) => onFork(result, above) });
    const elsewhere: Elsewhere = { own: anvil.url, behind: behind.url, fork: fork.url };
    return proxy.inject(fault(elsewhere), when);
  }

  async function recorded(): Promise<string[]> {
    const live = (await allDeposits(world)).filter(({ status }) => status !== 'orphaned');
    return live.map(({ txHash, ordinal, amount }) => `${txHash} ${ordinal} ${amount}`);
  }

  /** Deposits that are as they should be, with their payments; a sentence where they are not. */
  async function fault(payments: readonly OnchainPayment[]): Promise<string | null> {
    const { cursor, stoppedReason } = (await readChain(db, world.network)) ?? {};
    const head = await anvil.block('latest');
    if (cursor?.hash !== head.hash || stoppedReason != null)
      return `read to ${cursor?.height} of ${head.number}`;
    const live = (await allDeposits(world)).filter(({ status }) => status !== 'orphaned');
    const found = await recorded();
    if (found.toSorted().join() !== paid.toSorted().join()) return `found ${found}, not ${paid}`;
    for (const { height, blockHash, blockTime } of live) {
      const { hash, timestamp } = await anvil.block(height);
      if (hash !== blockHash || timestamp !== blockTime) return `a deposit in ${height} is of another block`;
    }
    for (const payment of payments) {
      const { status, reason } = await world.status(payment);
      if (status !== 'confirmed' || reason !== null) return `${payment.currency}: ${status}, ${reason}`;
    }
    return null;
  }

  return {
    async survive(illness) {
      // As after a restart: a node proves who it is before anything else.
      world.restart();
      const armed = await arm(illness);
      const payments = await sell();
      for (let ill = 0; ill < 3; ill++) {
        await tick();
        // What an answer shows to be wrong is never recorded, not even for a while.
        const made = (await recorded()).filter((deposit) => !paid.includes(deposit));
        if (illness.lies !== true) expect(made).toEqual([]);
      }
      armed.remove();
      proxy.clear();
      for (let ticks = 1; ; ticks++) {
        await tick();
        const wrong = await fault(payments);
        if (wrong !== null && ticks < mostTicks) continue;
        expect(wrong).toBeNull();
        for (const payment of payments)
          expect(followEvents(await world.events(payment), world.policy.late)).toBe('confirmed');
        return { hits: armed.hits, ticks };
      }
    },
    async close() {
      await world.close();
      await Promise.all([proxy, other, behind, fork].map((each: FaultProxy) => each.close()));
    },
  };
}

type Placed = {
  number?: string;
  blockNumber?: string;
  hash?: string;
  parentHash?: string;
  blockHash?: string;
};

/** What a node says whose blocks above a height are others with the same content. */
function onFork(result: unknown, above: number): unknown {
  if (Array.isArray(result)) return result.map((item) => onFork(item, above));
  if (typeof result !== 'object' || result === null) return result;
  const placed = result as Placed & Record<string, unknown>;
  const height = Number(placed.number ?? placed.blockNumber ?? -1);
  const changed: Record<string, unknown> = { ...placed };
  for (const list of ['logs', 'transactions']) {
    if (Array.isArray(placed[list])) changed[list] = onFork(placed[list], above);
  }
  if (height > above && placed.blockHash !== undefined) changed.blockHash = forked(placed.blockHash);
  if (height > above && placed.number !== undefined) changed.hash = forked(placed.hash);
  if (height > above + 1 && placed.parentHash !== undefined) changed.parentHash = forked(placed.parentHash);
  return changed;
}

function forked(hash = ''): string {
  return `${hash.slice(0, -8)}f0f0f0f0`;
}
