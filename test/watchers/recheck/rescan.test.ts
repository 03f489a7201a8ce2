import { expect, test } from 'vitest';
import { CommandError } from '../../../src/errors.ts';
import { readCoverage } from '../../../src/storage/chains/recheck-marks.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { listDeposits } from '../../../src/storage/deposits/deposits.ts';
import { rescan } from '../../../src/watchers/recheck/rescan.ts';
import { createWatchlist } from '../../../src/watchers/watchlist.ts';
import { evmKey } from '../../support/addresses.ts';
import { openWorld, type World } from '../../support/chain-world.ts';
import { describeDecisions } from '../../support/databases.ts';
import { silentLog } from '../../support/log.ts';
import { addTestAddresses, tokenKey, usdt } from '../../support/payments.ts';

/** Reads a range again; by default everything from the first block on. */
function rescanOf(
  world: World,
  { from = 1, to, native = false }: Partial<Record<'from' | 'to', number>> & { native?: boolean } = {},
) {
  const {
    db,
    chainConfig: chain,
    chain: { source },
    clock,
    policy,
  } = world;
  const heights: number[] = [];
  const request = {
    from,
    to: to ?? world.chain.head().height,
    native,
    signal: new AbortController().signal,
    progress: (height: number) => heights.push(height),
  };
  const deps = {
    db,
    chain,
    source,
    watch: createWatchlist('evm'),
    latePolicy: policy.late,
    clock,
    log: silentLog,
  };
  return rescan(deps, request).then((report) => ({ ...report, heights }));
}

/** A payment that is confirmed, and everything read. */
async function openPaid(db: World['db'], nodes = 2) {
  const world = await openWorld(db, { scripted: { nodes } });
  await world.read();
  const payment = await world.create();
  const tx = world.pay(payment);
  world.mine(5);
  await world.read();
  expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  return { world, payment, tx };
}

describeDecisions('a rescan', (openTestDb) => {
  test('finds a deposit that was deleted behind our back, and its payment stays confirmed', async () => {
    const { world, payment, tx } = await openPaid(await openTestDb());
    const [before] = await world.deposits(payment);
    await inTransaction(world.db, (trx) => trx.deleteFrom('deposits').execute());
    const report = await rescanOf(world);
    expect(report).toMatchObject({ known: 0, found: [{ txHash: tx }], takenBack: [], payments: [] });
    const { id: _, seenAt: __, reportedBy: ___, ...rest } = before as NonNullable<typeof before>;
    expect(await world.deposits(payment)).toMatchObject([rest]);
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
    expect(await world.events(payment)).toEqual([
      'payment.detected',
      'payment.confirmed',
      'payment.detected',
    ]);
  });

  test('repeated finds nothing new and changes nothing', async () => {
    const { world, payment } = await openPaid(await openTestDb());
    await inTransaction(world.db, (trx) => trx.deleteFrom('deposits').execute());
    await rescanOf(world);
    const [deposits, events] = [await world.deposits(payment), await world.events(payment)];
    for (let n = 0; n < 2; n++) {
      expect(await rescanOf(world)).toMatchObject({ known: 1, found: [], takenBack: [], payments: [] });
    }
    expect(await world.deposits(payment)).toEqual(deposits);
    expect(await world.events(payment)).toEqual(events);
  });

  test('pays a payment that expired because its transfer was hidden, and says so', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const payment = await world.create();
    const tx = world.pay(payment);
    world.chain.nodes[0]?.hides.add(tx);
    world.mine(12);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'expired' });
    const report = await rescanOf(world);
    expect(report.payments).toMatchObject([
      { payment: { paymentNumber: payment.paymentNumber, status: 'confirmed' }, from: 'expired' },
    ]);
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    // From the node that had not read the blocks before, wherever one had.
    expect(report.ranges).toMatchObject([
      { host: 'node-0', to: 5 },
      { host: 'node-1', from: 6 },
    ]);
  });

  test('of a range that was reorganized finds what is there now, and nothing of what was', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const [payment, dropped] = [await world.create(), await world.create()];
    world.pay(payment);
    const gone = world.pay(dropped);
    world.mine(2);
    await world.read();
    world.chain.reorg({ depth: 2, blocks: 4, place: (tx) => (tx === gone ? null : 2) });
    await world.read();
    const before = (await listDeposits(world.db, { limit: 10 })).deposits;
    expect(await rescanOf(world)).toMatchObject({ known: 1, found: [], takenBack: [], payments: [] });
    expect((await listDeposits(world.db, { limit: 10 })).deposits).toEqual(before);
    expect(await world.deposits(dropped)).toMatchObject([{ status: 'orphaned' }]);
  });

  test('begins a range anew when a fork is found while it is read', async () => {
    const { world, payment } = await openPaid(await openTestDb());
    const { source } = world.chain;
    const { reread } = source;
    source.reread = async (request) => {
      const outcome = await reread(request);
      source.reread = reread;
      world.chain.reorg({ depth: 5, blocks: 9, place: () => null });
      await world.read();
      return outcome;
    };
    expect(await rescanOf(world)).toMatchObject({ known: 0, found: [], takenBack: [] });
    expect(await world.status(payment)).toEqual({ status: 'failed', reason: 'reorged' });
  });

  test('takes back what two nodes do not have', async () => {
    const { world, payment } = await openPaid(await openTestDb());
    await inTransaction(world.db, (trx) =>
      trx
        .updateTable('deposits')
        .set({ tx_hash: `0x${'66'.repeat(32)}` })
        .execute(),
    );
    const report = await rescanOf(world);
    expect(report).toMatchObject({ found: [{ role: 'counted' }], takenBack: [{ txHash: /66$/ }] });
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
  });

  test('reads before the first block read, which takes nothing from what is promised and makes no gap', async () => {
    const { world } = await openPaid(await openTestDb());
    const { height } = world.chain.head();
    await inTransaction(world.db, (trx) =>
      trx
        .updateTable('chain_scans')
        .set({ from_height: height - 1 })
        .execute(),
    );
    const first = { first_height: height - 1 };
    await inTransaction(world.db, (trx) => trx.updateTable('chain_cursors').set(first).execute());
    const before = await readCoverage(world.db, world.network);
    expect(before).toMatchObject({
      from: height - 1,
      completeTo: height,
      ranges: [{ from: height - 1, to: height }],
    });
    await rescanOf(world, { from: 2, to: height - 3 });
    expect(await readCoverage(world.db, world.network)).toEqual({
      ...before,
      ranges: [{ from: 2, to: height - 3 }, ...(before?.ranges ?? [])],
    });
    await rescanOf(world);
    expect(await readCoverage(world.db, world.network)).toEqual({
      ...before,
      ranges: [{ from: 1, to: height }],
    });
  });

  test('closes a gap above the first block read, and leaves the rest as it was read', async () => {
    const { world } = await openPaid(await openTestDb());
    const { height } = world.chain.head();
    const before = await readCoverage(world.db, world.network);
    await inTransaction(world.db, (trx) =>
      trx
        .updateTable('chain_scans')
        .set({ from_height: height - 1 })
        .execute(),
    );
    const from = before?.from ?? 0;
    expect(await readCoverage(world.db, world.network)).toMatchObject({
      from,
      completeTo: from - 1,
      gaps: [{ from, to: height - 2 }],
    });
    await rescanOf(world, { from, to: height - 3 });
    expect(await readCoverage(world.db, world.network)).toMatchObject({
      completeTo: height - 3,
      gaps: [{ from: height - 2, to: height - 2 }],
    });
    await rescanOf(world, { from });
    expect(await readCoverage(world.db, world.network)).toEqual(before);
  });

  test('finds what was paid to an address before it was listed', async () => {
    const { world } = await openPaid(await openTestDb());
    const token = tokenKey(world.network, 'usdt');
    world.chain.send({ token, currency: 'usdt', recipient: evmKey(50), amount: usdt(3) });
    world.mine(30);
    await world.read();
    await addTestAddresses(world.db, world.merchantId, { network: 'bsc', first: 50, count: 1 });
    await world.db.updateTable('addresses').set({ created_at: world.clock() }).execute();
    const report = await rescanOf(world);
    expect(report.found).toMatchObject([{ role: 'unmatched', amount: usdt(3) }]);
  });

  test('reads whole blocks when it is told to, though no payment in the coin was open', async () => {
    const { world } = await openPaid(await openTestDb());
    world.chain.send({ token: 'native', currency: 'native', recipient: evmKey(2), amount: 5n });
    world.mine(5);
    await world.read();
    expect((await rescanOf(world)).found).toEqual([]);
    expect((await rescanOf(world, { native: true })).found).toMatchObject([{ token: 'native', amount: 5n }]);
  });

  test('says nothing about the coin where blocks are not read whole', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const payment = await world.create('native');
    world.pay(payment);
    world.mine(5);
    await world.read();
    await world.db.updateTable('chain_scans').set({ native: 0 }).execute();
    expect(await rescanOf(world)).toMatchObject({ known: 0, found: [], takenBack: [], disputed: [] });
    expect(await rescanOf(world, { native: true })).toMatchObject({ known: 1, found: [], takenBack: [] });
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('tells how far it is, range by range, to the end', async () => {
    const { world } = await openPaid(await openTestDb());
    world.mine(25);
    await world.read();
    const { height } = world.chain.head();
    const { heights } = await rescanOf(world, { from: 3 });
    expect(heights.length).toBeGreaterThan(3);
    expect(heights).toEqual(heights.toSorted((a, b) => a - b));
    expect(heights.at(-1)).toBe(height);
  });

  test('asks again where a node fails, another in between, and gives up with a reason', async () => {
    const { world, tx } = await openPaid(await openTestDb());
    await inTransaction(world.db, (trx) => trx.deleteFrom('deposits').execute());
    const { source } = world.chain;
    const { reread } = source;
    let failures = 2;
    const failed = { kind: 'failed', reason: 'overloaded', retryAt: 0 } as const;
    source.reread = async (request) => (failures-- > 0 ? failed : reread(request));
    expect((await rescanOf(world)).found).toMatchObject([{ txHash: tx }]);
    // Nobody else can: then the first is asked again.
    source.reread = async (request) => (request.except.size > 0 ? failed : reread(request));
    expect(await rescanOf(world)).toMatchObject({ known: 1, found: [] });
    source.reread = async () => failed;
    await expect(rescanOf(world)).rejects.toThrow('no node shows the blocks from 1 on: overloaded');
  });

  test('refuses a range that was not read yet, and a chain that is stopped or was never begun', async () => {
    const world = await openWorld(await openTestDb());
    await expect(rescanOf(world, { to: 3 })).rejects.toThrow('has not been read yet');
    await world.read();
    world.mine(3);
    const { height } = world.chain.head();
    await expect(rescanOf(world)).rejects.toThrow(`is read to block ${height - 3} only, not to ${height}`);
    await world.read();
    await world.db.updateTable('chain_cursors').set({ stopped_reason: 'a fork' }).execute();
    await expect(rescanOf(world)).rejects.toThrow(CommandError);
  });
});
