import { expect, test } from 'vitest';
import { readChain } from '../../../src/storage/chains/chains.ts';
import { createCodeLook } from '../../../src/watchers/code-look.ts';
import { testChain, testConfig } from '../../support/config.ts';
import { openTestSqlite } from '../../support/databases.ts';
import { endpointOf, pollOf, testClock, watching } from '../../support/evm.ts';
import { openTronModel } from '../../support/tron/model.ts';
import { createSimulatedTronChain } from '../../support/tron/simulated-chain.ts';
import { chainIdOf, simulatedNodeForTest, tronSourceForTest } from '../../support/tron/source.ts';

/** Three nodes, of which six blocks below the head are solid; read to the head. */
async function open(finality: 'finalized' | 'depth' = 'finalized', { tiered = false } = {}) {
  const db = await openTestSqlite();
  const model = await openTronModel(db, { late: 'flag', finality, balanced: false, tiered });
  const { world } = model;
  const close = async () => {
    await model.close();
    await db.destroy();
  };
  return { ...model, db, world, chain: world.chain, close };
}

test('S6: a fork above the solid block is followed, and the deposits of the branch that lost go with it', async () => {
  const { world, chain, close } = await open();
  const payment = await world.create();
  const [stays, goes] = [chain.send(world.transferTo(payment, 4)), chain.send(world.transferTo(payment, 3))];
  world.mine(3);
  await world.read();
  expect((await world.deposits(payment)).map(({ txHash }) => txHash).sort()).toEqual([stays, goes].sort());
  chain.reorg({ depth: 3, blocks: 5, place: (tx) => (tx === stays ? 4 : null) });
  world.pass(10);
  await world.read();
  const live = (await world.deposits(payment)).filter(({ status }) => status !== 'orphaned');
  expect(live.map(({ txHash, height }) => [txHash, height])).toEqual([[stays, chain.head().height]]);
  await close();
});

test('S1: a small payment is confirmed before its block is solid, and told when a fork takes it back', async () => {
  const { world, chain, close } = await open('finalized', { tiered: true });
  const [small, large] = [await world.create('usdt', 2_000), await world.create('usdt', 9_000)];
  chain.send(world.transferTo(small));
  chain.send(world.transferTo(large));
  world.mine(3);
  await world.read();
  expect((await world.status(small)).status).toBe('confirmed');
  expect((await world.status(large)).status).toBe('pending');
  chain.reorg({ depth: 3, blocks: 5, place: () => null });
  world.pass(10);
  await world.read();
  expect(await world.status(small)).toEqual({ status: 'failed', reason: 'reorged' });
  expect((await world.events(small)).at(-1)).toBe('payment.reverted');
  await close();
});

test('a fork that begins below the first block ever read is found', async () => {
  const { world, chain, close } = await open('depth');
  const first = chain.head().height;
  chain.reorg({ depth: 5, blocks: 8, place: () => null });
  world.pass(10);
  await world.read();
  const state = await readChain(world.db, 'tron');
  expect(state?.cursor).toEqual(chain.head());
  expect(world.lines.find(({ msg }) => msg === 'chain reorganized')).toMatchObject({
    fork_point: expect.toSatisfy((height: number) => height < first - 4),
  });
  await close();
});

test('S4: a fork below the solid block stops the chain, loudly, and it goes on once the nodes agree again', async () => {
  const { world, chain, close } = await open();
  world.mine(4);
  await world.read();
  const before = chain.head();
  chain.reorg({ depth: 11, blocks: 13, place: () => null });
  world.pass(10);
  await world.read();
  expect(world.lines.filter(({ msg }) => msg === 'finality violated')).toHaveLength(1);
  expect((await readChain(world.db, 'tron'))?.stoppedReason).toContain('was final');
  chain.revive(before.hash);
  world.mine(2);
  await world.read();
  expect((await readChain(world.db, 'tron'))?.stoppedReason).toBeNull();
  expect(world.lines.some(({ msg }) => msg === 'chain resumed')).toBe(true);
  await close();
});

test('a node of one’s own serves its head on one port and its solid block on another', async () => {
  const clock = testClock();
  const chain = createSimulatedTronChain({ clock, finalityLag: 4, height: 30 });
  const [full, solid] = [await simulatedNodeForTest(chain), await simulatedNodeForTest(chain)];
  const only = (view: string) => (call: { view: string }, answer: never) =>
    call.view === view ? answer : ({ status: 405, headers: {}, text: '<html></html>' } as never);
  full.fault = only('wallet') as never;
  solid.fault = only('walletsolidity') as never;
  const node = endpointOf(full.url, { solidityUrl: `${solid.url}/` });
  const head = chain.head();
  const request = pollOf({ cursor: head, head, watch: watching() });
  const source = tronSourceForTest(chain, [node], { clock });
  expect(await source.poll(request)).toMatchObject({ span: { finalizedHeight: head.height - 4 } });
  const without = tronSourceForTest(chain, [full.url], { clock });
  expect(await without.poll(request)).toMatchObject({ kind: 'failed' });
});

test('contracts are told from accounts, by a node of the right chain', async () => {
  const clock = testClock();
  const chain = createSimulatedTronChain({ clock, height: 5 });
  const node = await simulatedNodeForTest(chain);
  const look = (chainId: number) => {
    const tron = testChain('tron', { rpc: [endpointOf(node.url)], chainId });
    return createCodeLook({ config: testConfig({ chains: { tron } }), clock });
  };
  const [account, contract] = [
    'TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC',
    'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t',
  ] as never[];
  const addresses = [account, contract] as never[];
  expect(await look(chainIdOf(chain))('tron', addresses)).toEqual({ withCode: new Set([contract]) });
  expect(await look(1)('tron', addresses)).toEqual({ unchecked: expect.stringMatching(/not 1$/) });
});
