import fc from 'fast-check';
import { expect, test } from 'vitest';
import { gapsIn, type HeightRange, uncovered } from '../../../src/core/coverage.ts';
import {
  insertRecheckMark,
  readCoverage,
  readRecheckMark,
  rewindRecheck,
} from '../../../src/storage/chains/recheck-marks.ts';
import {
  cutScans,
  findScanFrom,
  joinOldScans,
  listScans,
  type NewScan,
  recordMissingScan,
  recordScan,
} from '../../../src/storage/chains/scans.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { describeDatabases } from '../../support/databases.ts';
import { createdAt, setTestChain, testBlock } from '../../support/payments.ts';

const network = 'bsc' as const;

function scan(from: number, to: number, more: Partial<NewScan> = {}): NewScan {
  return { network, from, to, host: 'a.example', native: false, at: createdAt, ...more };
}

async function record(db: Db, ...scans: NewScan[]): Promise<void> {
  await inTransaction(db, async (trx) => {
    for (const each of scans) await recordScan(trx, each);
  });
}

async function ranges(db: Db): Promise<[number, number, string, boolean][]> {
  const scans = await listScans(db, network);
  return scans.map(({ from, to, hosts, native }) => [from, to, hosts.join(' '), native]);
}

describeDatabases('the record of what was read', (openTestDb) => {
  test('joins what follows on by the same node in the same way, and keeps the rest apart', async () => {
    const db = await openTestDb();
    await record(
      db,
      scan(10, 19, { at: createdAt }),
      scan(20, 24, { at: createdAt + 5 }),
      scan(25, 29, { host: 'b.example' }),
      scan(30, 34, { host: 'b.example', native: true }),
      scan(35, 35, { host: 'b.example', native: true }),
      scan(10, 99, { network: 'ethereum' }),
    );
    expect(await ranges(db)).toEqual([
      [10, 24, 'a.example', false],
      [25, 29, 'b.example', false],
      [30, 35, 'b.example', true],
    ]);
    expect((await listScans(db, network))[0]).toMatchObject({ since: createdAt, until: createdAt + 5 });
  });

  test('stays one row for a node that serves for years', async () => {
    const db = await openTestDb();
    for (let n = 0; n < 50; n++) await record(db, scan(n * 3, n * 3 + 2));
    expect(await ranges(db)).toEqual([[0, 149, 'a.example', false]]);
  });

  test('forgets what a fork took back, and what is read anew follows on', async () => {
    const db = await openTestDb();
    await record(db, scan(10, 19), scan(20, 29, { host: 'b.example' }), scan(30, 39));
    await inTransaction(db, (trx) => cutScans(trx, network, 24));
    await record(db, scan(25, 26, { host: 'b.example' }));
    expect(await ranges(db)).toEqual([
      [10, 19, 'a.example', false],
      [20, 26, 'b.example', false],
    ]);
  });

  test('names the scan that a block lies in, or the next one', async () => {
    const db = await openTestDb();
    await record(db, scan(10, 19), scan(30, 39, { host: 'b.example' }));
    for (const [height, from] of [
      [9, 10],
      [19, 10],
      [20, 30],
      [39, 30],
      [40, undefined],
    ] as const) {
      expect((await findScanFrom(db, network, height))?.from, String(height)).toBe(from);
    }
  });

  test('fills gaps with what is read later, and leaves who read the rest', async () => {
    const db = await openTestDb();
    await record(db, scan(10, 19), scan(30, 39), scan(45, 49));
    await inTransaction(db, (trx) => recordMissingScan(trx, scan(5, 42, { host: 'b.example' })));
    expect(await ranges(db)).toEqual([
      [5, 9, 'b.example', false],
      [10, 19, 'a.example', false],
      [20, 29, 'b.example', false],
      [30, 39, 'a.example', false],
      [40, 42, 'b.example', false],
      [45, 49, 'a.example', false],
    ]);
  });

  test('joins old scans once there are many, but none that was not read twice, and none over a gap', async () => {
    const db = await openTestDb();
    // Two nodes in turn; one block between the scans 99 and 100 was never read.
    const scans = Array.from({ length: 1_002 }, (_, n) => {
      const from = n * 10 + (n >= 100 ? 1 : 0);
      return scan(from, from + 9, { host: `${n % 2 === 0 ? 'a' : 'b'}.example`, native: n > 500 });
    });
    await record(db, ...scans);
    await inTransaction(db, (trx) => joinOldScans(trx, network, 3_000));
    const joined = await ranges(db);
    expect(joined.slice(0, 3)).toEqual([
      [0, 999, 'a.example b.example', false],
      [1001, 3000, 'a.example b.example', false],
      [3001, 3010, 'a.example', false],
    ]);
    expect(joined.at(-1)).toEqual([10_011, 10_020, 'b.example', true]);
    expect(gapsIn((await listScans(db, network)) as HeightRange[])).toEqual([{ from: 1000, to: 1000 }]);
  });

  test('says what is complete, what was read twice and what is missing', async () => {
    const db = await openTestDb();
    expect(await readCoverage(db, network)).toBeNull();
    await setTestChain(db, network);
    expect(await readCoverage(db, network)).toBeNull();
    await record(db, scan(101, 150));
    const position = testBlock(100);
    await inTransaction(db, (trx) =>
      insertRecheckMark(trx, { network, position, forks: 0, recheckedAt: createdAt }),
    );
    expect(await readCoverage(db, network)).toEqual({
      ranges: [{ from: 101, to: 150 }],
      from: 101,
      completeTo: 150,
      recheckedTo: null,
      gaps: [],
    });
    await record(db, scan(160, 170));
    expect(await readCoverage(db, network)).toMatchObject({
      completeTo: 150,
      gaps: [{ from: 151, to: 159 }],
    });
  });

  test('promises nothing below the block from which everything is read: what was read there is a range, and leaves no gap', async () => {
    const db = await openTestDb();
    await setTestChain(db, network);
    await record(db, scan(20, 40));
    expect(await readCoverage(db, network)).toBeNull();
    await record(db, scan(41, 50), scan(101, 150), scan(60, 100));
    const ranges = [
      { from: 20, to: 50 },
      { from: 60, to: 150 },
    ];
    const position = testBlock(120);
    await inTransaction(db, (trx) =>
      insertRecheckMark(trx, { network, position, forks: 0, recheckedAt: createdAt }),
    );
    expect(await readCoverage(db, network)).toEqual({
      ranges,
      from: 101,
      completeTo: 150,
      recheckedTo: 120,
      gaps: [],
    });
    // A fork or an operator has set the cursor back below it: all above is read now.
    await setTestChain(db, network, { cursor: testBlock(54) });
    await setTestChain(db, network, { cursor: testBlock(150) });
    expect(await readCoverage(db, network)).toMatchObject({
      from: 55,
      completeTo: 54,
      recheckedTo: null,
      gaps: [{ from: 55, to: 59 }],
    });
  });

  test('takes a second reading back where a fork went below it, and notes every fork', async () => {
    const db = await openTestDb();
    const mark = { network, position: testBlock(120), forks: 0, recheckedAt: createdAt };
    await inTransaction(db, (trx) => insertRecheckMark(trx, mark));
    await inTransaction(db, (trx) => rewindRecheck(trx, network, testBlock(130)));
    expect(await readRecheckMark(db, network)).toEqual({ ...mark, forks: 1 });
    await inTransaction(db, (trx) => rewindRecheck(trx, network, testBlock(110)));
    expect(await readRecheckMark(db, network)).toEqual({ ...mark, position: testBlock(110), forks: 2 });
  });
});

const heights = fc.uniqueArray(fc.nat(60), { maxLength: 30 });

/** The same blocks as ranges, in order. */
function toRanges(blocks: readonly number[]): HeightRange[] {
  const found: HeightRange[] = [];
  for (const height of [...blocks].sort((a, b) => a - b)) {
    const last = found.at(-1);
    if (last !== undefined && last.to + 1 === height) last.to = height;
    else found.push({ from: height, to: height });
  }
  return found;
}

function toBlocks(found: readonly HeightRange[]): number[] {
  return found.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, i) => from + i));
}

test('the uncovered parts of a range are exactly its blocks that no other covers', () => {
  fc.assert(
    fc.property(heights, fc.nat(60), fc.nat(20), (covered, from, length) => {
      const range = { from, to: from + length };
      const expected = toBlocks([range]).filter((height) => !covered.includes(height));
      expect(toBlocks(uncovered(range, toRanges(covered)))).toEqual(expected);
    }),
  );
});

test('gaps are what lies between the first and the last block and in no range', () => {
  fc.assert(
    fc.property(heights, (covered) => {
      const all = toBlocks([{ from: Math.min(...covered, 61), to: Math.max(...covered, 0) }]);
      expect(toBlocks(gapsIn(toRanges(covered)))).toEqual(all.filter((height) => !covered.includes(height)));
    }),
  );
});
