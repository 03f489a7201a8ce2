import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createFinalizedAgreement,
  decideFinalized,
  type FinalizedVote,
} from '../../../src/watchers/agreement/finalized.ts';
import { captureLog } from '../../support/log.ts';
import { blockHash, createdAt, testBlock } from '../../support/payments.ts';
import { createScriptedChain, type ScriptedChain } from '../../support/scripted-chain.ts';

/** A node of a chain on which every block has the hash of its height; on another fork above `fork`. */
function vote(
  host: string,
  finalized: number,
  { latest = 100, fork = Number.POSITIVE_INFINITY } = {},
): FinalizedVote {
  const blockAt = (height: number) =>
    height > fork ? testBlock(height, { hash: blockHash(`${host}${height}`) }) : testBlock(height);
  const heights = Array.from({ length: 60 }, (_, i) => 50 + i).filter((height) => height <= latest);
  return { host, latest, finalized, blocks: new Map(heights.map((height) => [height, blockAt(height)])) };
}

const decide = (votes: FinalizedVote[], { configured = votes.length, upTo = 100, waited = false } = {}) =>
  decideFinalized({ configured, votes, upTo, waited });

describe('the agreed finalized block', () => {
  test('is what the only configured node calls final', () => {
    expect(decide([vote('a', 90)])).toEqual({ block: testBlock(90), alone: null, distrusted: [] });
    expect(decide([vote('a', 100)])).toMatchObject({ block: testBlock(100), distrusted: [] });
  });

  test('is the highest that two nodes have reached with the same hash', () => {
    expect(decide([vote('a', 95), vote('b', 90), vote('c', 80)])).toMatchObject({ block: testBlock(90) });
    expect(decide([vote('a', 95), vote('b', 90)])).toMatchObject({ block: testBlock(90) });
  });

  test('is none where the two have other blocks there, and lower where a third has the same', () => {
    expect(decide([vote('a', 95), vote('b', 90, { fork: 85 })])).toMatchObject({ block: null });
    expect(decide([vote('a', 95), vote('b', 90, { fork: 85 }), vote('c', 88)])).toMatchObject({
      block: testBlock(88),
    });
  });

  test('is not the word of one of several before the wait is over', () => {
    expect(decide([vote('a', 95)], { configured: 2 })).toMatchObject({ block: null });
    expect(decide([vote('a', 95), vote('b', 60)])).toMatchObject({ block: testBlock(60) });
  });

  test('is the word of one node alone when all others were silent for the wait, or have not got so far', () => {
    const expected = { block: testBlock(95), alone: 'a' };
    expect(decide([vote('a', 95)], { configured: 3, waited: true })).toMatchObject(expected);
    expect(decide([vote('a', 95)], { configured: 3 })).toMatchObject({ block: null });
    const stuck = vote('b', 60, { latest: 94 });
    expect(decide([vote('a', 95), stuck], { waited: true })).toMatchObject(expected);
    expect(decide([vote('a', 95), stuck])).toMatchObject({ block: testBlock(60), alone: null });
  });

  test('is never the word of one alone where another has got so far and does not say so, however long', () => {
    for (const other of [vote('b', 60), vote('b', 60, { fork: 85 }), vote('b', 94, { latest: 95 })])
      expect(decide([vote('a', 95), other], { waited: true })).toMatchObject({ alone: null });
  });

  test('is none above what was read', () => {
    expect(decide([vote('a', 95), vote('b', 92)], { upTo: 70 })).toMatchObject({ block: testBlock(70) });
  });

  test('is not that of a node whose finalized block is its latest, where two others keep a distance', () => {
    const liar = vote('a', 100);
    expect(decide([liar, vote('b', 90), vote('c', 89)])).toEqual({
      block: testBlock(89),
      alone: null,
      distrusted: ['a'],
    });
    expect(decide([liar, vote('b', 90)])).toMatchObject({ block: testBlock(90), distrusted: [] });
  });

  test('is not that of a node which calls final what two others have not reached', () => {
    const liar = vote('a', 105, { latest: 109 });
    expect(decide([liar, vote('b', 90), vote('c', 89)], { upTo: 109 })).toMatchObject({
      block: testBlock(89),
      distrusted: ['a'],
    });
  });

  test('distrusts nobody on a chain where each block is final at once', () => {
    const votes = [vote('a', 100), vote('b', 100), vote('c', 99, { latest: 99 })];
    expect(decide(votes)).toMatchObject({ block: testBlock(100), distrusted: [] });
  });

  const votes = fc
    .array(
      fc.record({ finalized: fc.integer({ min: 50, max: 99 }), fork: fc.integer({ min: 60, max: 110 }) }),
      {
        minLength: 1,
        maxLength: 5,
      },
    )
    .map((nodes) => nodes.map(({ finalized, fork }, i) => vote(`node-${i}`, finalized, { fork })));

  test('is always a block that as many nodes as are needed call final, whatever the others say', () => {
    fc.assert(
      fc.property(votes, fc.boolean(), (all, waited) => {
        const { block, alone } = decide(all, { waited });
        if (block === null) return;
        const upheld = all.filter(
          ({ finalized, blocks }) =>
            finalized >= block.height && blocks.get(block.height)?.hash === block.hash,
        );
        expect(upheld.length).toBeGreaterThanOrEqual(all.length === 1 || alone !== null ? 1 : 2);
      }),
    );
  });

  test('one more node, whatever it says, takes back nothing that two agree on', () => {
    fc.assert(
      fc.property(votes, fc.integer({ min: 50, max: 99 }), (all, finalized) => {
        fc.pre(all.length >= 2);
        const before = decide(all).block?.height ?? 0;
        expect(
          decide([...all, vote('another', finalized, { fork: 0 })]).block?.height ?? 0,
        ).toBeGreaterThanOrEqual(before);
      }),
    );
  });
});

describe('asking the nodes what is final', () => {
  const { signal } = new AbortController();

  /** Three nodes, the last of which is slow. */
  function open() {
    const clock = () => createdAt;
    const chain = createScriptedChain({ network: 'bsc', clock, nodes: 3, height: 30, finalityLag: 4 });
    Object.assign(chain.nodes[2] ?? {}, { slow: true });
    const { log } = captureLog();
    const { agree } = createFinalizedAgreement({ waitMs: 60_000, source: chain.source, clock, log });
    return { chain, agree, late: lateIn(chain) };
  }

  /** Who was late, whenever nodes are asked. */
  function lateIn({ source }: ScriptedChain): string[] {
    const late: string[] = [];
    const { headsOfEach } = source;
    source.headsOfEach = async (...asked) => {
      const heads = await headsOfEach(...asked);
      for (const head of heads) if (head.kind === 'silent' && head.late) late.push(head.host);
      return heads;
    };
    return late;
  }

  test('waits for no third one once two agree on what is wanted', async () => {
    const { chain, agree, late } = open();
    expect(await agree({ upTo: 30, wanted: 20 }, signal)).toEqual(chain.at(26));
    expect([late, chain.calls.headsOfEach]).toEqual([['node-2'], 1]);
  });

  test('hears the third one where the other two have not got so far', async () => {
    const { chain, agree, late } = open();
    Object.assign(chain.nodes[1] ?? {}, { view: { behind: 3 } });
    expect(await agree({ upTo: 30, wanted: 26 }, signal)).toEqual(chain.at(26));
    expect(late).toEqual([]);
  });

  test('hears the third one where the first that answer are on two forks', async () => {
    const { chain, agree } = open();
    Object.assign(chain.nodes[0] ?? {}, { view: { stuckAt: chain.head().hash } });
    chain.reorg({ depth: 6, blocks: 6 });
    expect(await agree({ upTo: 30, wanted: 26 }, signal)).toEqual(chain.at(26));
    expect(chain.calls.headsOfEach).toBe(2);
  });
});
