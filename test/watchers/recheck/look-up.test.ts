import { expect, test } from 'vitest';
import type { TxHash } from '../../../src/core/chain.ts';
import type { OnchainPayment } from '../../../src/core/payment.ts';
import { lookUpTransaction } from '../../../src/watchers/recheck/look-up.ts';
import { createWatchlist } from '../../../src/watchers/watchlist.ts';
import { evmKey } from '../../support/addresses.ts';
import { openWorld, type World } from '../../support/chain-world.ts';
import { describeDecisions } from '../../support/databases.ts';
import { captureLog } from '../../support/log.ts';
import { tokenKey, txHash, usdt } from '../../support/payments.ts';

/** What a payer of this payment is found to have sent; `woken`: how often that is to be told. */
function openLook(world: World) {
  const { db, chainConfig: chain, clock, policy } = world;
  const { log, lines } = captureLog();
  let woken = 0;
  const deps = {
    db,
    chain,
    source: world.chain.source,
    watch: createWatchlist('evm'),
    latePolicy: policy.late,
    clock,
    log,
    onEvents: () => {
      woken += 1;
    },
  };
  const look = (
    { lockChainTime: since }: OnchainPayment,
    tx: TxHash,
    signal = new AbortController().signal,
  ) => lookUpTransaction(deps, { txHash: tx, since, signal });
  return { look, lines, woken: () => woken };
}

describeDecisions('what a payer says he paid', (openTestDb) => {
  test.each(['usdt', 'native'] as const)(
    'in %s, and every reading missed, is recorded as any other, and confirmed by the rules for all',
    async (currency) => {
      const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
      await world.read();
      const payment = await world.create(currency);
      const tx = world.pay(payment);
      world.chain.nodes[0]?.hides.add(tx);
      world.mine(12);
      await world.read();
      expect(await world.status(payment)).toMatchObject({ status: 'expired' });
      const { look, woken } = openLook(world);
      expect(await look(payment, tx)).toMatchObject({
        kind: 'read',
        deposits: [{ txHash: tx, role: 'counted' }],
      });
      expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
      expect(woken()).toBe(1);
      expect(await look(payment, tx)).toMatchObject({ kind: 'read', deposits: [{ txHash: tx }] });
      expect(woken()).toBe(1);
      expect(await world.deposits(payment)).toHaveLength(1);
    },
  );

  test('and one node has invented confirms nothing', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const payment = await world.create();
    world.mine(2);
    const at = world.chain.head();
    world.mine(2);
    await world.read();
    const tx = txHash(99);
    const token = tokenKey(world.network, 'usdt');
    world.chain.nodes[1]?.invents.push({
      network: world.network,
      txHash: tx,
      token,
      currency: 'usdt',
      recipient: evmKey(1),
      ordinal: 0,
      amount: usdt(50),
      block: at,
      logIndex: 0,
    });
    await openLook(world).look(payment, tx);
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
  });

  test('and was mined before his payment is not read: the books stay as they are', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const token = tokenKey(world.network, 'usdt');
    const tx = world.chain.send({ token, currency: 'usdt', recipient: evmKey(1), amount: usdt(50) });
    for (const node of world.chain.nodes) node.hides.add(tx);
    world.mine(5);
    await world.read();
    for (const node of world.chain.nodes) node.hides.clear();
    const payment = await world.create();
    expect(await openLook(world).look(payment, tx)).toEqual({ kind: 'before' });
    expect(await world.db.selectFrom('deposits').selectAll().execute()).toEqual([]);
  });

  test('and is not there yet, failed, or cannot be asked for, is told apart, and nothing of it is logged', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const payment = await world.create();
    const { look, lines } = openLook(world);
    expect(await look(payment, txHash(1))).toEqual({ kind: 'unknown' });
    const tx = world.pay(payment);
    expect(await look(payment, tx)).toEqual({ kind: 'unmined' });
    world.mine(1);
    // In a block that the watcher has not read.
    expect(await look(payment, tx)).toEqual({ kind: 'unmined' });
    const { source } = world.chain;
    const { height, hash } = world.chain.head();
    source.locationsOfEach = async () => [
      { host: 'a', kind: 'answered', value: { kind: 'mined', block: { height, hash }, failed: true } },
    ];
    expect(await look(payment, txHash(2))).toEqual({ kind: 'failed' });
    source.locationsOfEach = async () => [{ host: 'a', kind: 'silent', reason: 'down' }];
    expect(await look(payment, txHash(3))).toEqual({ kind: 'unclear' });
    expect(JSON.stringify(lines)).not.toContain(txHash(3));
    expect(JSON.stringify(lines)).not.toContain(txHash(1));
  });
});
