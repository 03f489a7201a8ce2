import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BlockHash, noTransaction } from '../../../src/core/chain.ts';
import type { Deposit } from '../../../src/core/payment.ts';
import {
  type DepositFacts,
  type DepositVote,
  decideDeposit,
  isSettled,
  type Statement,
} from '../../../src/watchers/agreement/deposit.ts';
import { evmKey } from '../../support/addresses.ts';
import { txHash } from '../../support/payments.ts';

/*
 * The table of agreement/deposit.ts, row by row. `a` is the node that reported the deposit.
 */

const recorded: Statement = { hash: `0x${'a'.repeat(64)}` as BlockHash, time: 1_000, amount: 50n };
const later: Statement = { ...recorded, time: 1_060 };
const less: Statement = { ...recorded, amount: 5n };

const deposit: Deposit = {
  id: 1,
  network: 'bsc',
  txHash: txHash(1),
  token: 'native',
  currency: 'native',
  decimals: 18,
  recipient: evmKey(1),
  ordinal: 0,
  amount: recorded.amount,
  height: 100,
  blockHash: recorded.hash,
  blockTime: recorded.time,
  logIndex: null,
  status: 'seen',
  role: 'counted',
  unmatchedReason: null,
  merchantId: 'm',
  addressId: 1,
  paymentId: 1,
  seenAt: 0,
  reportedBy: 'a',
};

const has: DepositVote = { kind: 'has', statement: recorded, deep: true };
const shallow: DepositVote = { kind: 'has', statement: recorded, deep: false };
const denies: DepositVote = { kind: 'denies', weak: false };
const doubts: DepositVote = { kind: 'denies', weak: true };
const silent: DepositVote = { kind: 'silent' };
const says = (statement: Statement): DepositVote => ({ kind: 'has', statement, deep: true });

type Row = [votes: Record<string, DepositVote>, more?: Partial<DepositFacts>, of?: Partial<Deposit>];

function decide([votes, more, of]: Row) {
  const facts = {
    votes: new Map(Object.entries(votes)),
    deniedBy: new Set<string>(),
    waited: false,
    ...more,
  };
  return decideDeposit({ ...deposit, ...of }, facts);
}

function verdictOf(row: Row): string {
  const verdict = decide(row);
  return verdict.kind === 'confirm' && verdict.alone ? 'confirm alone' : verdict.kind;
}

const waited = { waited: true };
const before = { deniedBy: new Set(['b']) };
const removed = { reportedBy: 'gone' };

describe('a deposit', () => {
  test.each<[string, Row]>([
    ['one other has it', [{ a: has, b: has }]],
    ['one other has it, and the reporting node is silent', [{ a: silent, b: has }]],
    ['one other has it, and the reporting node denies it', [{ a: denies, b: has }]],
    ['one other has it, another denies it', [{ a: has, b: has, c: denies }]],
    ['one other has it that denied it before', [{ a: has, b: has }, before]],
    ['one other has it, and the reporting node is not configured any more', [{ b: has }, {}, removed]],
    ['there is no other, and the reporting node has it', [{ a: has }]],
    ['there is one node, which did not report it and has it', [{ b: says(later) }, {}, removed]],
    ['two others say another time', [{ a: has, b: says(later), c: says(later) }]],
    [
      'one other says another time, and so does the reporting node by now',
      [{ a: says(later), b: says(later) }],
    ],
    ['two others say another amount', [{ a: has, b: says(less), c: says(less) }]],
    ['one other has it, one says another time', [{ a: has, b: has, c: says(later) }]],
  ])('is confirmed when %s', (_, row) => {
    expect(verdictOf(row)).toBe('confirm');
  });

  test('is confirmed with what the nodes agree on', () => {
    const statementOf = (row: Row) => {
      const verdict = decide(row);
      return verdict.kind === 'confirm' ? verdict.agreed.statement : null;
    };
    expect(statementOf([{ a: has, b: has, c: says(later) }])).toEqual(recorded);
    expect(statementOf([{ a: has, b: says(later), c: says(later) }])).toEqual(later);
    expect(statementOf([{ a: has, b: says(less), c: says(less) }])).toEqual(less);
    expect(statementOf([{ a: says(later), b: says(later) }])).toEqual(later);
    expect(statementOf([{ a: says(later) }])).toEqual(later);
  });

  test.each<[string, Row]>([
    ['one other denies it, and so does the reporting node', [{ a: denies, b: denies }]],
    [
      'one other denies it and so does the reporting node, a third is silent',
      [{ a: denies, b: denies, c: silent }],
    ],
    [
      'two others deny it, the reporting node is not configured any more',
      [{ b: denies, c: denies }, {}, removed],
    ],
    [
      'two others deny it, nobody knows who reported it',
      [{ b: denies, c: denies }, {}, { reportedBy: null }],
    ],
    ['one other denies it, who is all there is', [{ b: denies }, {}, removed]],
    ['the reporting node denies it, and there is no other', [{ a: denies }]],
  ])('is gone when %s', (_, row) => {
    expect(verdictOf(row)).toBe('gone');
  });

  test.each<[string, Row]>([
    ['one other denies it', [{ a: has, b: denies }]],
    ['all others deny it', [{ a: has, b: denies, c: denies }]],
    ['one other denies it and the reporting node is silent', [{ a: silent, b: denies }]],
    [
      'one other denies it, one is silent, the reporting node is gone',
      [{ b: denies, c: silent }, {}, removed],
    ],
    [
      'one other has denied it before, and is silent now',
      [
        { a: has, b: silent },
        { ...before, ...waited },
      ],
    ],
    ['everybody denies it but one, that has it though not deep', [{ a: denies, b: denies, c: shallow }]],
    ['one other says another time', [{ a: has, b: says(later) }, waited]],
    ['one other says another amount', [{ a: has, b: says(less) }, waited]],
    ['others say two different times', [{ a: has, b: has, c: says(later), d: says(later) }]],
    ['only balances speak against it', [{ a: doubts, b: doubts }]],
    ['the reporting node denies it, and another by a balance alone', [{ a: denies, b: doubts }]],
    ['another denies it, and the reporting node by a balance alone', [{ a: doubts, b: denies, c: denies }]],
    [
      'money without a transaction is denied',
      [{ b: denies, c: denies }, {}, { reportedBy: null, txHash: noTransaction }],
    ],
  ])('is disputed when %s', (_, row) => {
    expect(verdictOf(row)).toBe('disputed');
  });

  test('is confirmed alone when all others have been silent for long enough', () => {
    expect(verdictOf([{ a: has, b: silent }, waited])).toBe('confirm alone');
    expect(verdictOf([{ a: has, b: silent, c: shallow }, waited])).toBe('confirm alone');
  });

  test.each<[string, Row]>([
    ['all others are silent, not for long', [{ a: has, b: silent }]],
    ['everybody is silent for long', [{ a: silent, b: silent }, waited]],
    ['the only node is silent', [{ a: silent }, waited]],
    ['nobody has it deep enough', [{ a: shallow, b: shallow }, waited]],
    ['one other has it, not deep enough yet', [{ a: has, b: shallow }]],
    ['the only node has it, not deep enough yet', [{ a: shallow }, waited]],
    ['the reporting node alone denies it, the others are silent', [{ a: denies, b: silent }, waited]],
    ['there is no node', [{}, waited]],
  ])('waits when %s', (_, row) => {
    expect(verdictOf(row)).toBe('wait');
  });

  const hosts = ['a', 'b', 'c', 'd'];
  const anyStatement = fc.constantFrom(recorded, later, less);
  const anyVote = fc.oneof(
    fc.record({ kind: fc.constant('has' as const), statement: anyStatement, deep: fc.boolean() }),
    fc.record({ kind: fc.constant('denies' as const), weak: fc.boolean() }),
    fc.constant<DepositVote>({ kind: 'silent' }),
  );

  test('is neither confirmed otherwise than it is, nor taken back, by one node that lies', () => {
    const histories = fc.record({
      nodes: fc.integer({ min: 2, max: 4 }),
      /** What the chain has; null: nothing. */
      truth: fc.option(anyStatement),
      liar: fc.integer({ min: 0, max: 3 }),
      lie: anyVote,
      mute: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      shallow: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      denied: fc.boolean(),
    });
    fc.assert(
      fc.property(histories, ({ nodes, truth, liar, lie, mute, shallow, denied }) => {
        const voting = hosts.slice(0, nodes);
        const liarHost = hosts[liar % nodes] as string;
        // An honest node reports only what is so.
        const honest = truth !== null && truth === recorded;
        fc.pre(honest || liarHost === 'a');
        const votes = voting.map((host, i): [string, DepositVote] => {
          if (host === liarHost) return [host, lie];
          if (mute[i]) return [host, silent];
          if (truth === null) return [host, denies];
          return [host, { kind: 'has', statement: truth, deep: !shallow[i] }];
        });
        const deniedBy = new Set(denied ? [liarHost] : []);
        const verdict = decideDeposit(deposit, { votes: new Map(votes), deniedBy, waited: false });
        if (verdict.kind === 'confirm')
          expect([verdict.alone, verdict.agreed.statement]).toEqual([false, truth]);
        if (verdict.kind === 'gone') expect(truth).toBeNull();
      }),
      { numRuns: 2_000 },
    );
  });

  test.each<[string, Record<string, DepositVote>, number, boolean]>([
    ['two have it and one is missing', { a: has, b: has }, 1, true],
    ['another has it and the reporting node is missing', { b: has }, 1, true],
    ['another has it, and the reporting node and a third are missing', { b: has }, 2, false],
    ['two have it and two are missing, who may agree on another time', { a: has, b: has }, 2, false],
    ['one denies it and a third is missing', { a: has, b: denies }, 1, false],
    ['one has it, not deep enough, and a third is missing', { a: has, b: shallow }, 1, false],
    ['two agree on another time and one is missing', { b: says(later), c: says(later) }, 1, false],
    ['nobody is missing and one denies it', { a: has, b: denies }, 0, false],
  ])('needs no further vote when %s: %s %s %s', (_, votes, missing, settled) => {
    expect(isSettled(deposit, new Map(Object.entries(votes)), missing)).toBe(settled);
  });

  test('is confirmed with the same by all votes, whatever they are, once it needs no further one', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom(...hosts), anyVote, { minKeys: 1 }),
        fc.subarray(hosts),
        fc.constantFrom<Partial<Deposit>>({}, removed),
        (votes, heard, of) => {
          const all = Object.entries(votes);
          const some = new Map(all.filter(([host]) => heard.includes(host)));
          fc.pre(isSettled({ ...deposit, ...of }, some, all.length - some.size));
          const agreed = (facts: Map<string, DepositVote>) => {
            const verdict = decide([Object.fromEntries(facts), {}, of]);
            return verdict.kind === 'confirm' && !verdict.alone ? verdict.agreed.statement : verdict.kind;
          };
          const early = new Map(all.map(([host]) => [host, some.get(host) ?? silent]));
          expect(agreed(early)).toBeTypeOf('object');
          expect(agreed(new Map(all))).toEqual(agreed(early));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('is confirmed whoever lies, once two honest nodes have it deep enough', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 }), anyVote, anyStatement, (liar, lie, truth) => {
        const reporting = { ...deposit, blockTime: truth.time, amount: truth.amount };
        const reported = hosts[liar] === 'a' ? deposit : reporting;
        const votes = hosts
          .slice(0, 3)
          .map((host, i): [string, DepositVote] => [host, i === liar ? lie : says(truth)]);
        const facts = { votes: new Map(votes), deniedBy: new Set<string>(), waited: false };
        expect(decideDeposit(reported, facts)).toMatchObject({
          kind: 'confirm',
          agreed: { statement: truth },
        });
      }),
    );
  });

  test('is decided for every mix of votes, and never waits for ever where all speak', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...hosts), anyVote), fc.boolean(), (votes, late) => {
        const verdict = verdictOf([votes, { waited: late }]);
        expect(['confirm', 'confirm alone', 'gone', 'disputed', 'wait']).toContain(verdict);
        const all = Object.values(votes);
        const speak = all.length > 1 && all.every((vote) => vote.kind === 'denies');
        if (speak) expect(['gone', 'disputed']).toContain(verdict);
      }),
    );
  });
});
