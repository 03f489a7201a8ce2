import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BlockHash, BlockRef } from '../../../src/core/chain.ts';
import type { Span } from '../../../src/watchers/source.ts';
import { anvilForTest, type TestAnvil } from '../../support/anvil.ts';
import { evmSourceForTest, keyOf, pollOf, testClock, watching } from '../../support/evm.ts';
import { startStubNode } from '../../support/stub-node.ts';
import { placeTokens, transferToken } from '../../support/tokens.ts';

/*
 * S6: answers that come from several chains at once, as from a gateway before nodes of which some sit on a fork, or
 * which does not know what a batch is.
 */

const customer = '0x1111111111111111111111111111111111111abc';

type Answer = (method: string, params: unknown[]) => unknown;

type Fork = { answer: Answer; blocks: Map<string, number>; transfers: { hash: string; height: number }[] };

type RawBlock = { number: string; hash: string; timestamp: string };
type RawLog = { blockNumber: string; blockHash: string; address: string; transactionHash: string };

/** What a node shows now, for good: what it becomes afterwards does not matter. */
async function preserve(anvil: TestAnvil): Promise<Fork> {
  const height = await anvil.height();
  const finalized = (await anvil.block('finalized')).number;
  const blocks: { bare: RawBlock; full: RawBlock }[] = [];
  for (let at = 0; at <= height; at++) {
    const hex = `0x${at.toString(16)}`;
    const bare = (await anvil.rpc('eth_getBlockByNumber', [hex, false])) as RawBlock;
    blocks.push({ bare, full: (await anvil.rpc('eth_getBlockByNumber', [hex, true])) as RawBlock });
  }
  const chainId = await anvil.rpc('eth_chainId', []);
  const heightOf = (tag: unknown) =>
    tag === 'latest' ? height : tag === 'finalized' ? finalized : Number(tag as string);
  const filter = { fromBlock: '0x0', toBlock: 'latest' };
  const all = (await anvil.rpc('eth_getLogs', [filter])) as RawLog[];
  const toCustomer = keyOf(customer).padStart(64, '0');
  const ours = all.filter((log) => JSON.stringify(log).includes(toCustomer));
  const receipts = new Map<unknown, unknown>();
  for (const { transactionHash: hash } of ours)
    receipts.set(hash, await anvil.rpc('eth_getTransactionReceipt', [hash]));
  const answer: Answer = (method, [first, second]) => {
    switch (method) {
      case 'eth_chainId':
        return chainId;
      case 'eth_getBlockByNumber':
        return blocks[heightOf(first)]?.[second === true ? 'full' : 'bare'] ?? null;
      case 'eth_getLogs': {
        const { fromBlock, toBlock } = first as { fromBlock: string; toBlock: string };
        const within = ({ blockNumber }: RawLog) =>
          Number(blockNumber) >= Number(fromBlock) && Number(blockNumber) <= Number(toBlock);
        return ours.filter(within);
      }
      case 'eth_getTransactionReceipt':
        return receipts.get(first) ?? null;
      default:
        throw new Error(`nobody asks for ${method}`);
    }
  };
  return {
    answer,
    blocks: new Map(blocks.map(({ bare }) => [bare.hash, Number(bare.timestamp)])),
    transfers: ours.map((log) => ({ hash: log.transactionHash, height: Number(log.blockNumber) })),
  };
}

/** Blocks of which each may hold a payment, from where a chain splits. */
async function grow(anvil: TestAnvil, usdt: string, paid: readonly boolean[]): Promise<void> {
  for (const [i, pays] of paid.entries()) {
    if (pays) await transferToken(anvil, usdt, customer, BigInt(i + 1));
    await anvil.mine();
  }
}

/** Two forks of one chain, one longer than the other, and another chain with as many blocks. */
async function openForks() {
  const anvil = await anvilForTest();
  const { usdt } = await placeTokens(anvil, 'bsc');
  await grow(anvil, usdt, [true, false, true]);
  const { number, hash, timestamp } = await anvil.block('latest');
  const common: BlockRef = { height: number, hash: hash as BlockHash, time: timestamp };
  const snapshot = await anvil.snapshot();
  await grow(anvil, usdt, [true, true, false, true, false, true]);
  const first = await preserve(anvil);
  await anvil.revert(snapshot);
  // Other times make other blocks of the same transactions.
  await anvil.increaseTime(7);
  await grow(anvil, usdt, [false, true, true, false, true, true, true, false]);
  const second = await preserve(anvil);
  const stranger = await anvilForTest();
  const tokens = await placeTokens(stranger, 'bsc');
  await stranger.increaseTime(99);
  await grow(stranger, tokens.usdt, [true, true, true, true, true, true, true, true, true, true]);
  return { common, chains: [first, second, await preserve(stranger)] as const };
}

const split = fc.record({
  /** Which chain answers which call, in turn. */
  answering: fc.array(fc.nat(2), { minLength: 1, maxLength: 9 }),
  /** Whole tokens, instead of named recipients. */
  whole: fc.boolean(),
  /** The block to read to, as an earlier poll showed it: of which chain, and how far above what they share. */
  head: fc.record({ of: fc.nat(1), above: fc.integer({ min: 0, max: 6 }) }),
});

type Split = typeof split extends fc.Arbitrary<infer T> ? T : never;

/** Polls a gateway before all three chains as often as there are ways to split what is asked; tells what came of it. */
async function pollSplit(
  { common, chains }: Awaited<ReturnType<typeof openForks>>,
  native: boolean,
  judge: (span: Span, head: BlockRef) => void,
): Promise<Set<string>> {
  let answering = [0];
  let turn = 0;
  const node = await startStubNode((method, params) => {
    const chain = chains[answering[turn++ % answering.length] ?? 0] ?? chains[0];
    return chain.answer(method, params);
  });
  const many = { ...watching(customer), size: 5_000 };
  const kinds = new Set<string>();
  const poll = async ({ answering: each, whole, head }: Split) => {
    turn = 0;
    answering = each;
    const source = evmSourceForTest([node.url], { clock: testClock() });
    const of = chains[head.of] ?? chains[0];
    const height = common.height + head.above;
    const block = of.answer('eth_getBlockByNumber', [`0x${height.toString(16)}`, false]);
    const { hash, timestamp } = block as { hash: BlockHash; timestamp: string };
    const shown = { height, hash, time: Number(timestamp) };
    const watch = whole ? many : watching(customer);
    const outcome = await source.poll(pollOf({ cursor: common, head: shown, watch, native }));
    kinds.add(outcome.kind);
    if (outcome.kind === 'span') judge(outcome.span, shown);
  };
  await fc.assert(fc.asyncProperty(split, poll), { numRuns: Number(process.env.SPLIT_RUNS ?? 150) });
  return kinds;
}

/** The chains of which all these blocks are, and whose payments in the range are just those that were told. */
function chainsOf({ common, chains }: Awaited<ReturnType<typeof openForks>>, span: Span, blocks: BlockRef[]) {
  const told = span.transfers.map(({ txHash }) => txHash).join(' ');
  return chains.filter((chain) => {
    const { height } = span.to;
    const held = chain.transfers.filter((one) => one.height > common.height && one.height <= height);
    const hasAll = blocks.every(({ hash, time }) => chain.blocks.get(hash) === time);
    return hasAll && held.map(({ hash }) => hash).join(' ') === told;
  });
}

const all = new Set(['span', 'reorg', 'failed']);

test('S6: the blocks that a poll of whole blocks shows are all of one chain, whoever answers which call of it', async () => {
  const forks = await openForks();
  const kinds = await pollSplit(forks, true, (span) => {
    const blocks = [span.to, ...span.anchors, ...span.transfers.map(({ block }) => block)];
    const ofOne = forks.chains.some((chain) =>
      blocks.every(({ hash, time }) => chain.blocks.get(hash) === time),
    );
    expect(ofOne, 'one chain that has all of them').toBe(true);
  });
  expect(kinds).toEqual(all);
});

/*
 * A list of logs does not say of which fork the blocks are of which it names none: a gateway that asks one machine for a
 * block and another for the logs cannot be seen through in one answer. What it hides is found by the second reading
 * (L2), what it shows of a fork that is given up is never confirmed (S1).
 */
test('S6: the transfers of a poll are all of one chain, and all that this one has in the range', async () => {
  const forks = await openForks();
  const kinds = await pollSplit(forks, false, (span) => {
    const blocks = span.transfers.map(({ block }) => block);
    expect(chainsOf(forks, span, blocks).length, 'chains that have them, and no more').toBeGreaterThan(0);
  });
  expect(kinds).toEqual(all);
});
