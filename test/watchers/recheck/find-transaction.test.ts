import { expect, test } from 'vitest';
import type { BlockHash, TxHash } from '../../../src/core/chain.ts';
import type { NodeAnswer } from '../../../src/core/node.ts';
import { readCoverage } from '../../../src/storage/chains/recheck-marks.ts';
import { agreeOnLocation, rescanTransaction } from '../../../src/watchers/recheck/find-transaction.ts';
import type { TxLocation } from '../../../src/watchers/source.ts';
import { createWatchlist } from '../../../src/watchers/watchlist.ts';
import { evmKey } from '../../support/addresses.ts';
import { openWorld, type World } from '../../support/chain-world.ts';
import { describeDecisions } from '../../support/databases.ts';
import { silentLog } from '../../support/log.ts';
import { tokenKey, txHash, usdt } from '../../support/payments.ts';

const block = (height: number, fork = 'a') => ({ height, hash: `0x${fork.repeat(64)}` as BlockHash });
const inBlock = (height: number, fork?: string): TxLocation => ({
  kind: 'mined',
  block: block(height, fork),
  failed: false,
});
const answers = (...values: (TxLocation | null)[]): NodeAnswer<TxLocation>[] =>
  values.map((value, i) =>
    value === null
      ? { host: `node-${i}`, kind: 'silent', reason: 'down' }
      : { host: `node-${i}`, kind: 'answered', value },
  );

test('a transaction is in the block that most nodes name, and failed only if all of these say so', () => {
  const failed: TxLocation = { kind: 'mined', block: block(7), failed: true };
  const pending: TxLocation = { kind: 'pending' };
  const unknown: TxLocation = { kind: 'unknown' };
  const cases: [NodeAnswer<TxLocation>[], object][] = [
    [answers(inBlock(7), unknown, null), { kind: 'mined', block: block(7), failed: false }],
    [answers(inBlock(8), inBlock(7), inBlock(7)), { kind: 'mined', block: block(7), failed: false }],
    [answers(inBlock(7, 'b'), inBlock(7), pending), { kind: 'disputed', said: 'node-0: 7, node-1: 7' }],
    [answers(failed, failed), { kind: 'mined', block: block(7), failed: true }],
    [answers(failed, inBlock(7)), { kind: 'mined', block: block(7), failed: false }],
    [answers(unknown, pending), { kind: 'pending' }],
    [answers(unknown, null), { kind: 'unknown' }],
    [answers(null, null), { kind: 'silent', reason: 'node-0: down; node-1: down' }],
  ];
  for (const [given, expected] of cases) expect(agreeOnLocation(given)).toEqual(expected);
});

function rescanOf(world: World, tx: TxHash) {
  const { db, chainConfig: chain, clock, policy } = world;
  const { source } = world.chain;
  const deps = {
    db,
    chain,
    source,
    watch: createWatchlist('evm'),
    latePolicy: policy.late,
    clock,
    log: silentLog,
  };
  return rescanTransaction(deps, { txHash: tx, signal: new AbortController().signal });
}

/** Everything read of a chain with a payment whose transfer the node that reads has hidden. */
async function openHidden(db: World['db'], currency: 'usdt' | 'native' = 'usdt') {
  const world = await openWorld(db, { scripted: { nodes: 2 } });
  await world.read();
  const payment = await world.create(currency);
  const tx = world.pay(payment);
  world.chain.nodes[0]?.hides.add(tx);
  world.mine(12);
  await world.read();
  expect(await world.status(payment)).toMatchObject({ status: 'expired' });
  return { world, payment, tx };
}

describeDecisions('a rescan of one transaction', (openTestDb) => {
  test.each(['usdt', 'native'] as const)(
    'finds what it pays in %s, and confirms that by the rules for all',
    async (currency) => {
      const { world, payment, tx } = await openHidden(await openTestDb(), currency);
      const found = await rescanOf(world, tx);
      expect(found).toMatchObject({
        report: { found: [{ txHash: tx }] },
        deposits: [{ txHash: tx, role: 'counted' }],
      });
      expect(world.chain.at(found.height)?.hash).toBe(found.deposits[0]?.blockHash);
      expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
      expect(await rescanOf(world, tx)).toMatchObject({
        report: { known: 1, found: [] },
        deposits: [{ txHash: tx }],
      });
    },
  );

  test('confirms nothing that one node has invented', async () => {
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
    await rescanOf(world, tx);
    expect(await world.deposits(payment)).toMatchObject([{ status: 'seen' }]);
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
  });

  test('of a block before the first one read leaves no gap', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    const token = tokenKey(world.network, 'usdt');
    const tx = world.chain.send({ token, currency: 'usdt', recipient: evmKey(1), amount: usdt(3) });
    world.mine(1);
    const { height } = world.chain.head();
    world.mine(30);
    await world.read();
    world.mine(3);
    await world.read();
    const before = await readCoverage(world.db, world.network);
    expect((await rescanOf(world, tx)).deposits).toMatchObject([{ role: 'unmatched' }]);
    expect(await readCoverage(world.db, world.network)).toEqual({
      ...before,
      ranges: [{ from: height, to: height }, ...(before?.ranges ?? [])],
    });
  });

  test('says in a sentence what else became of it, and changes nothing', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const token = tokenKey(world.network, 'usdt');
    const send = (recipient = evmKey(1)) =>
      world.chain.send({ token, currency: 'usdt', recipient, amount: usdt(3) });
    const refused = (tx: TxHash) =>
      rescanOf(world, tx).then(
        () => 'done',
        (error: Error) => error.message,
      );

    expect(await refused(txHash(1))).toBe(
      `no node of bsc knows ${txHash(1)}: it is on another network, or was never mined. A block explorer tells`,
    );
    const stranger = send(evmKey(70));
    expect(await refused(stranger)).toBe(
      `${stranger} is in no block yet; once it is, it is found without your help`,
    );
    world.mine(1);
    const { height } = world.chain.head();
    expect(await refused(stranger)).toBe(
      `${stranger} is in block ${height}; bsc is read to ${height - 1} so far, and finds it when it gets there`,
    );
    await world.read();
    expect(await refused(stranger)).toBe(
      `${stranger}, in block ${height}, pays none of your addresses in what is watched on bsc (usdt, usdc, busd, native)`,
    );

    const { source } = world.chain;
    const { locationsOfEach } = source;
    const told = (...values: (TxLocation | null)[]) => {
      source.locationsOfEach = async () => answers(...values);
    };
    const { hash } = world.chain.at(height) ?? block(0);
    told({ kind: 'mined', block: { height, hash }, failed: true });
    expect(await refused(stranger)).toBe(`${stranger} failed in block ${height}: it has paid nobody`);
    told(inBlock(height, 'e'));
    expect(await refused(stranger)).toBe(
      `the block ${height} that has ${stranger} is on a fork, or was replaced just now; try again later`,
    );
    told(inBlock(3), inBlock(4));
    expect(await refused(stranger)).toBe(
      `the nodes of bsc differ in the block of ${stranger} (node-0: 3, node-1: 4); try again later`,
    );
    told(null, null);
    expect(await refused(stranger)).toBe(
      `no node of bsc could be asked for ${stranger}: node-0: down; node-1: down`,
    );
    delete source.locationsOfEach;
    expect(await refused(stranger)).toBe(
      'the nodes of bsc cannot be asked for a transaction; use --from and --to',
    );
    if (locationsOfEach !== undefined) source.locationsOfEach = locationsOfEach;
    expect(await world.db.selectFrom('deposits').selectAll().execute()).toEqual([]);
  });
});
