import type { AddressKey } from '../../core/address.ts';
import type { BlockHash, BlockRef, Cursor } from '../../core/chain.ts';
import { behind, contradiction } from '../../nodes/fault.ts';
import { type FullBlock, type Header, readFullBlock, readHeader } from './decode.ts';
import { type MatchedLog, matchLog, readTransferLog } from './logs.ts';

/*
 * What one node's answers must prove before anything in them is believed. Pure. The danger is not the node
 * that fails but the one that answers: a range it has not got with an empty list, half a list, the logs of
 * another fork. Nothing here repairs an answer: it is accepted whole, or refused with a NodeError.
 */

/** What is known before the node is asked. */
export type Expectation = {
  /** The block up to which everything was read. */
  cursor: Cursor;
  /** The block to read to, as an earlier answer showed it; its hash is null where none did. */
  to: { height: number; hash: BlockHash | null };
  /** The highest block seen before, where the one to read to is above it: expected to exist by now. */
  seen?: number;
  /** The highest finalized height seen. */
  finalizedHeight: number | null;
};

/**
 * `top` is the block read to or, where an earlier answer showed that one, the node's latest. `cursor` is undefined where
 * the latest block alone should show that the cursor stands.
 */
export type HeaderAnswers = { top: unknown; finalized: unknown; cursor: unknown };

/** Hashes that the answer shows, by height. */
export type Witnesses = ReadonlyMap<number, BlockHash>;

export type HeadersVerdict =
  /** The node is past the block to read to, on the chain that we read so far. */
  | {
      kind: 'proven';
      top: Header;
      finalized: Header | null;
      witnesses: Map<number, BlockHash>;
      /**
       * The highest block up to the one to read to that is known to be on the node's chain now. The head seen before
       * is not, unless the answer shows its hash: should it have been replaced, the next poll finds another there.
       */
      standing: number;
    }
  /** The chain has another block at the cursor's height. */
  | { kind: 'reorg' }
  /** The cursor stands, but the block to read to was replaced since it was seen; `top` is on the new branch. */
  | { kind: 'moved'; top: Header }
  /** The latest block is another one than was expected: the block to read to is not shown, or not that the cursor stands. */
  | { kind: 'unproven'; top: Header };

/**
 * Judges the headers of one answer. `finalized` is null where the node does not tell it.
 *
 * @throws NodeError `behind` or `contradiction`.
 */
export function judgeHeaders(
  expected: Expectation,
  answers: HeaderAnswers,
  asked: 'latest' | 'block',
): HeadersVerdict {
  const finalized =
    answers.finalized === null ? null : must(readHeader(answers.finalized), 'the finalized block');
  if (finalized !== null && finalized.height < (expected.finalizedHeight ?? 0)) {
    throw behind(`its finalized block ${finalized.height} is below ${expected.finalizedHeight}, seen before`);
  }
  const top = judgeTop(expected, answers.top, asked, finalized);
  const cursor = answers.cursor === undefined ? null : judgeCursor(expected, answers.cursor);
  // Before the cursor is compared: an answer that does not agree with itself is no news of a reorg.
  const witnesses = gather([cursor, finalized, top].filter((header) => header !== null));
  if (cursor !== null && cursor.hash !== expected.cursor.hash) return { kind: 'reorg' };
  if (cursor === null && witnesses.get(expected.cursor.height) !== expected.cursor.hash)
    return { kind: 'unproven', top };
  if (expected.seen !== undefined && top.height !== expected.to.height) return { kind: 'unproven', top };
  const seen = witnesses.get(expected.to.height);
  if (expected.to.hash !== null) {
    if (seen !== undefined && seen !== expected.to.hash) return { kind: 'moved', top };
    witnesses.set(expected.to.height, expected.to.hash);
  }
  const shown = expected.to.hash === null || seen !== undefined;
  const standing = shown ? expected.to.height : expected.cursor.height;
  return { kind: 'proven', top, finalized, witnesses, standing };
}

/**
 * Judges whether the node has a block that we know, above those that it is asked for: what it says of these is then
 * about our chain.
 *
 * @throws NodeError `behind` or `contradiction`.
 */
export function judgeAnchor(answer: unknown, anchor: BlockRef, witnesses: Witnesses): void {
  if (answer === null) throw behind(`it has no block ${anchor.height}, which was read before`);
  const header = must(readHeader(answer), `block ${anchor.height}`);
  if (header.height !== anchor.height)
    throw contradiction('it answered with another block than was asked for');
  const known = witnesses.get(anchor.height) ?? anchor.hash;
  if (header.hash !== anchor.hash || known !== anchor.hash)
    throw contradiction(`it has another block ${anchor.height} than the one that was read`);
}

function judgeCursor({ cursor }: Expectation, answer: unknown): Header {
  if (answer === null) throw behind(`it has no block ${cursor.height}, which was read before`);
  const header = must(readHeader(answer), 'the block at the cursor');
  if (header.height !== cursor.height)
    throw contradiction('it answered with another block than was asked for');
  return header;
}

function judgeTop(
  { to, seen = to.height }: Expectation,
  answer: unknown,
  asked: 'latest' | 'block',
  finalized: Header | null,
): Header {
  if (asked === 'block' && answer === null) throw behind(`it has no block ${to.height} yet`);
  const top = must(readHeader(answer), asked === 'latest' ? 'the latest block' : `block ${to.height}`);
  if (asked === 'block') {
    if (top.height !== to.height) throw contradiction('it answered with another block than was asked for');
    return top;
  }
  if (top.height < seen) throw behind(`its latest block is ${top.height}, and ${seen} was seen before`);
  // The finalized block is asked for first, so a chain that grows meanwhile cannot look like this.
  if (finalized !== null && finalized.height > top.height)
    throw contradiction('its finalized block is above its latest');
  return top;
}

/** What headers say about their own and their parents' heights. */
function gather(headers: readonly Header[]): Map<number, BlockHash> {
  const witnesses = new Map<number, BlockHash>();
  const note = (height: number, hash: BlockHash) => {
    const known = witnesses.get(height);
    if (known !== undefined && known !== hash)
      throw contradiction(`it showed two blocks at height ${height}`);
    witnesses.set(height, hash);
  };
  for (const header of headers) {
    note(header.height, header.hash);
    note(header.height - 1, header.parentHash);
  }
  return witnesses;
}

export type LogsExpectation = {
  /** Heights, both included. */
  from: number;
  to: number;
  /** Contracts that were asked for. */
  tokens: { has(key: AddressKey): boolean };
  witnesses: Witnesses;
};

/** Whether logs show that the block at their end was replaced since it was seen. */
export function showReplaced(logs: unknown, seen: Pick<BlockRef, 'height' | 'hash'>): boolean {
  const last = Array.isArray(logs) ? readTransferLog(logs.at(-1)) : null;
  return last !== null && last.height === seen.height && last.blockHash !== seen.hash;
}

/**
 * Judges the answer to a log query whole, and picks what pays a watched address, in chain order.
 *
 * @throws NodeError `contradiction`.
 */
export function judgeLogs(
  answer: unknown,
  { from, to, tokens, witnesses }: LogsExpectation,
  watched: (key: AddressKey) => boolean,
): MatchedLog[] {
  if (!Array.isArray(answer)) throw contradiction('its logs are not a list');
  const matched: MatchedLog[] = [];
  let height = -1;
  let logIndex = -1;
  let blockHash: BlockHash | null = null;
  for (const item of answer as unknown[]) {
    const log = readTransferLog(item);
    if (log === null) throw contradiction('a log is malformed, removed or no transfer');
    if (!tokens.has(log.token)) throw contradiction('a log is of a contract that was not asked for');
    if (log.height < from || log.height > to)
      throw contradiction(`a log of block ${log.height} is out of range`);
    if (log.height !== height) {
      if (log.height < height) throw contradiction('logs are out of order');
      const known = witnesses.get(log.height);
      if (known !== undefined && known !== log.blockHash)
        throw contradiction(`logs at ${log.height} are of another block`);
      height = log.height;
      blockHash = log.blockHash;
    } else {
      if (log.blockHash !== blockHash) throw contradiction(`logs at ${log.height} are of two blocks`);
      if (log.logIndex <= logIndex) throw contradiction('logs are repeated or out of order');
    }
    logIndex = log.logIndex;
    const match = matchLog(log, watched);
    if (match !== null) matched.push(match);
  }
  return matched;
}

/**
 * Judges whole blocks from the one above the cursor on: each the child of the one before, and the hashes
 * those that the rest of the answer shows.
 *
 * @throws NodeError `behind` or `contradiction`.
 */
export function judgeBlocks(
  answers: readonly unknown[],
  cursor: BlockRef,
  witnesses: Witnesses,
): FullBlock[] {
  let parent = cursor;
  return answers.map((answer) => {
    const height = parent.height + 1;
    if (answer === null) throw behind(`it has no block ${height} yet`);
    const block = must(readFullBlock(answer), `block ${height}`);
    if (block.height !== height) throw contradiction('it answered with another block than was asked for');
    if (block.parentHash !== parent.hash)
      throw contradiction(`block ${height} is not the child of the one before`);
    const known = witnesses.get(height);
    if (known !== undefined && known !== block.hash)
      throw contradiction(`it showed two blocks at height ${height}`);
    parent = block;
    return block;
  });
}

function must<T>(value: T | null, what: string): T {
  if (value === null) throw contradiction(`${what} is malformed or missing`);
  return value;
}
