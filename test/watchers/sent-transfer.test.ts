import { expect, test } from 'vitest';
import { writeAddress } from '../../src/core/address.ts';
import type { TxHash } from '../../src/core/chain.ts';
import { createSentTransfers, decideSent, type SentVote } from '../../src/watchers/sent-transfer.ts';
import { evmKey } from '../support/addresses.ts';
import { anvilForTest } from '../support/anvil.ts';
import { openWorld, type World } from '../support/chain-world.ts';
import { testChain } from '../support/config.ts';
import { describeDecisions, openTestSqlite } from '../support/databases.ts';
import { evmSourceForTest, testClock } from '../support/evm.ts';
import { faultProxyForTest } from '../support/fault-proxy.ts';
import { deployPayer } from '../support/payers.ts';
import { blockHash, setTestChain, tokenKey, txHash, usdt } from '../support/payments.ts';
import { createSimulatedTronChain } from '../support/tron/simulated-chain.ts';
import { simulatedNodeForTest, simulatedTron, tronSourceForTest } from '../support/tron/source.ts';

const customer = evmKey(4_000);

function open(world: World) {
  const { db, chainConfig: chain, clock } = world;
  const sent = createSentTransfers({ db, chain, clock, source: world.chain.source });
  const token = tokenKey(world.network, 'usdt');
  const send = (amount = usdt(20), more: { recipient?: typeof customer } = {}): TxHash =>
    world.chain.send({ token, currency: 'usdt', recipient: customer, amount, ...more });
  const verify = (tx: TxHash, amount = usdt(20)) =>
    sent.verify({ txHash: tx, token, recipient: customer, amount }, new AbortController().signal);
  return { send, verify, token };
}

const kinds = {
  y: { kind: 'has', time: 1 },
  z: { kind: 'has', time: 2 },
  n: { kind: 'denies', other: null },
  s: { kind: 'silent' },
} as const;

/** `yn`: one node has it, another denies it; `yz`: both have it, at different times. */
function votes(text: string): Map<string, SentVote> {
  return new Map([...text].map((letter, n) => [`node-${n}`, kinds[letter as keyof typeof kinds]]));
}

test.each([
  ['y', false, 'verified'],
  ['n', false, 'mismatch'],
  ['s', true, 'not yet'],
  ['yy', false, 'verified'],
  ['yn', false, 'not yet'],
  ['yn', true, 'not yet'],
  ['ys', false, 'not yet'],
  ['ys', true, 'verified'],
  ['ns', true, 'not yet'],
  ['nn', false, 'mismatch'],
  ['yyn', false, 'verified'],
  ['nny', false, 'not yet'],
  ['yz', true, 'not yet'],
  ['yyz', false, 'verified'],
  ['yzs', true, 'not yet'],
  ['', true, 'not yet'],
] as const)('nodes that say %s of a transfer, waited for: %s, make it %s', (text, waited, verdict) => {
  expect(decideSent(votes(text), waited)).toBe(verdict);
});

describeDecisions('a refund on the chain', (openTestDb) => {
  test('is verified by two nodes once it is as deep as a deposit must be, and not before', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const { send, verify } = open(world);
    const tx = send();
    expect(await verify(tx)).toEqual({ kind: 'not_found', why: 'the transaction is in no block yet' });
    world.mine();
    const at = world.chain.head();
    world.mine();
    await world.read();
    expect(await verify(tx)).toEqual({ kind: 'not_found', why: `block ${at.height} is not final yet` });
    world.mine();
    await world.read();
    expect(await verify(tx)).toEqual({ kind: 'verified', block: at });
    expect(await world.db.selectFrom('deposits').select('id').execute()).toEqual([]);
  });

  test('of another amount, to somebody else, or of another coin does not match', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const { send, verify } = open(world);
    const other = send(usdt(19));
    const elsewhere = send(usdt(20), { recipient: evmKey(4_001) });
    const native = world.chain.send({
      token: 'native',
      currency: 'native',
      recipient: customer,
      amount: usdt(20),
    });
    world.mine(4);
    await world.read();
    expect(await verify(other)).toEqual({
      kind: 'mismatch',
      why: 'the transaction sends this address another amount',
    });
    const nothing = { kind: 'mismatch', why: 'the transaction sends this address nothing in this coin' };
    expect([await verify(elsewhere), await verify(native)]).toEqual([nothing, nothing]);
    expect(await verify(txHash(77))).toMatchObject({ kind: 'not_found' });
  });

  test('is found among several transfers of one transaction to the same customer', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const { verify, token } = open(world);
    const part = { token, currency: 'usdt', recipient: customer } as const;
    const tx = world.chain.send({ ...part, amount: usdt(7) }, { ...part, amount: usdt(20) });
    world.mine(4);
    await world.read();
    expect(await verify(tx)).toMatchObject({ kind: 'verified' });
    expect(await verify(tx, usdt(27))).toMatchObject({ kind: 'mismatch' });
  });

  test('that one node of two invents, or hides, is not verified and not refused', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const { send, verify, token } = open(world);
    world.mine();
    const at = world.chain.head();
    const invented = txHash(99);
    const transfer = { network: world.network, token, currency: 'usdt', recipient: customer } as const;
    world.chain.nodes[1]?.invents.push({
      ...transfer,
      txHash: invented,
      ordinal: 0,
      amount: usdt(20),
      block: at,
      logIndex: 0,
    });
    const hidden = send();
    world.chain.nodes[0]?.denies.add(hidden);
    world.mine(4);
    await world.read();
    expect(await verify(invented)).toMatchObject({ kind: 'not_found' });
    expect(await verify(hidden)).toMatchObject({ kind: 'not_found' });
  });

  test('is dated by the time that two nodes give its block, whatever another one says', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 3 } });
    await world.read();
    const { send, verify } = open(world);
    const tx = send();
    world.mine();
    const at = world.chain.head();
    world.mine(4);
    await world.read();
    const [first, second] = world.chain.nodes;
    if (first === undefined || second === undefined) throw new Error('no nodes');
    const lastYear = at.time - 365 * 86_400;
    first.times.set(at.hash, lastYear);
    expect(await verify(tx)).toEqual({ kind: 'verified', block: at });
    second.times.set(at.hash, lastYear + 1);
    expect(await verify(tx)).toMatchObject({ kind: 'not_found' });
  });

  test('of which one node alone can tell is verified after the wait for a second, and none at all is found while all are down', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const { send, verify } = open(world);
    const tx = send();
    world.mine(4);
    await world.read();
    const [first, second] = world.chain.nodes;
    if (first === undefined || second === undefined) throw new Error('no nodes');
    second.up = false;
    expect(await verify(tx)).toMatchObject({ kind: 'not_found', why: expect.stringContaining('cannot say') });
    world.pass(world.chainConfig.secondNodeWaitSeconds - 1);
    expect(await verify(tx)).toMatchObject({ kind: 'not_found' });
    world.pass(2);
    expect(await verify(tx)).toMatchObject({ kind: 'verified' });
    first.up = false;
    expect(await verify(tx)).toMatchObject({
      kind: 'not_found',
      why: expect.stringContaining('could be asked'),
    });
  });
});

test('a refund by a contract that nobody traces is verified by a balance that gained it, and by none that gained more', async () => {
  const anvil = await anvilForTest();
  const payer = await deployPayer(anvil);
  const proxy = await faultProxyForTest(anvil.url);
  for (const method of ['debug_traceTransaction', 'trace_transaction'])
    proxy.inject(
      { kind: 'refuse', code: -32601, message: `the method ${method} does not exist` },
      { method },
    );
  const db = await openTestSqlite();
  const clock = testClock();
  const source = evmSourceForTest([proxy.url], { clock });
  const chain = testChain('bsc', { finality: 'depth', requiredConfirmations: 1 });
  const { verify } = createSentTransfers({ db, chain, clock, source });
  const txHash = (await anvil.send(payer.batch({ to: writeAddress('evm', customer), amount: 5n }))) as TxHash;
  await anvil.mine(2);
  const height = await anvil.height();
  const head = { height, hash: blockHash(height), time: 1 };
  await setTestChain(db, 'bsc', { cursor: head, head, finalizedHeight: null });
  const { signal } = new AbortController();
  const refund = { txHash, token: 'native', recipient: customer } as const;
  expect(await verify({ ...refund, amount: 1n }, signal)).toMatchObject({ kind: 'not_found' });
  expect(await verify({ ...refund, amount: 5n }, signal)).toMatchObject({ kind: 'verified' });
});

test.each(['usdt', 'native'] as const)(
  'a refund in %s on TRON is verified by two nodes, once its block is solid',
  async (currency) => {
    const db = await openTestSqlite();
    const clock = testClock();
    const chain = createSimulatedTronChain({ clock, finalityLag: 2, height: 20 });
    const nodes = [await simulatedNodeForTest(chain), await simulatedNodeForTest(chain)];
    const urls = nodes.map(({ url }) => url);
    const source = tronSourceForTest(chain, urls, { clock });
    const config = testChain('tron', { ...simulatedTron(chain), requiredConfirmations: 3 });
    const sent = createSentTransfers({ db, chain: config, clock, source });
    const token = tokenKey('tron', currency);
    const amount = 5_000_000n;
    const tx = chain.send({ token, currency, recipient: customer, amount });
    const { signal } = new AbortController();
    const verify = (wanted = amount) =>
      sent.verify({ txHash: tx, token, recipient: customer, amount: wanted }, signal);
    await setTestChain(db, 'tron', { cursor: chain.head(), head: chain.head(), finalizedHeight: 1 });
    chain.mine(1);
    const at = chain.head();
    chain.mine(1);
    expect(await verify()).toEqual({ kind: 'not_found', why: `block ${at.height} is not final yet` });
    // What the nodes call solid now counts, also where nobody has asked for a while.
    chain.mine(4);
    expect(await verify()).toEqual({ kind: 'verified', block: at });
    expect(await verify(amount + 1n)).toMatchObject({ kind: 'mismatch' });
  },
);
