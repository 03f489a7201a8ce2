import { type Clock, steadyClock } from '../../clock.ts';
import type { ChainConfig } from '../../config.ts';
import type { BlockHash, BlockRef } from '../../core/chain.ts';
import type { Network } from '../../core/networks.ts';
import type { Deposit } from '../../core/payment.ts';
import { InvariantError, RpcError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { DepositBlock } from '../../storage/deposits/deposits.ts';
import { listDepositsIn } from '../../storage/deposits/range.ts';
import type { Db } from '../../storage/schema.ts';
import type { ChainSource } from '../source.ts';

/** What the nodes of a chain say of a block of ours, asked because one of them shows another at its height. */
export type BlockFacts = {
  /** Nodes that are configured. */
  configured: number;
  /** Those that have our block, and those that have another, of the nodes that have got as far as we have. */
  ours: number;
  other: number;
  /** Those with another block that have got further than we have. */
  otherPast: number;
  /** Whether that has been open for as long as a fact waits for a second node. */
  waited: boolean;
};

/** `revert alone`: on the word of one node though there are others. `keep`: those with another block are wrong. */
export type BlockVerdict = 'revert' | 'revert alone' | 'keep' | 'wait';

/**
 * May what was confirmed in a block be taken back? It was confirmed by two nodes, and a node on a fork of its own, or
 * one that lies, shows a reorg that never was. The first row that fits decides:
 *
 *   configured   ours               other               waited   verdict
 *   one          –                  –                   –        revert
 *   more         ≥ 1 and ≥ other    any                 –        keep
 *   more         fewer than other   ≥ 2                 –        revert
 *   more         0                  ≤ 1                 no       wait
 *   more         0                  1 past our cursor   yes      revert alone
 *   more         0                  0                   yes      wait
 */
export function decideBlock({ configured, ours, other, otherPast, waited }: BlockFacts): BlockVerdict {
  if (configured < 2) return 'revert';
  if (ours >= 1 && ours >= other) return 'keep';
  if (other >= 2) return 'revert';
  return waited && otherPast >= 1 ? 'revert alone' : 'wait';
}

/** Blocks of ours that a node says the chain has others for. */
export type Replaced = {
  blocks: readonly DepositBlock[];
  /** Where our reading stands: while the question is open, it does not move. */
  cursor: BlockRef;
  /** Who has not got this far may just not know. */
  reach: number;
};

/** A block that may be taken back, with the ids of the deposits in it that were confirmed when that was decided. */
export type JudgedBlock = DepositBlock & { confirmed: ReadonlySet<number> };

export type BlockAgreement = {
  /**
   * Returns the blocks once what was confirmed in them may be taken back.
   *
   * @throws RpcError when it may not, or not yet.
   */
  agree(replaced: Replaced, signal: AbortSignal): Promise<JudgedBlock[]>;
};

export type BlockAgreementDeps = {
  db: Db;
  chain: ChainConfig;
  source: ChainSource;
  clock: Clock;
  log: Logger;
};

/** What the nodes say: host names. */
type Said = { ours: string[]; other: string[]; otherPast: string[] };

/**
 * Asks each node about the lowest confirmed block that is said to be replaced: if that one stands, those above it may
 * too; if it is gone, so are they. Nobody is asked where nothing confirmed is touched, or where there is no other node.
 * A chain is held up for `secondNodeWaitSeconds` at most: after that a node that has only just got as far as we have
 * counts no longer, for it may be stuck there.
 */
export function createBlockAgreement(deps: BlockAgreementDeps): BlockAgreement {
  const { db, chain, source, log } = deps;
  const clock = steadyClock(deps.clock);
  /** Since when the question has been open with the cursor in this block. */
  let open: { at: BlockHash; since: number } | null = null;
  /** What the log has told last. */
  let told = '';

  async function agree({ blocks, cursor, reach }: Replaced, signal: AbortSignal): Promise<JudgedBlock[]> {
    const judged = await judgeNow(db, chain.network, blocks);
    const contested = judged.find(({ confirmed }) => confirmed.size > 0);
    const configured = new Set(source.endpoints().map(({ host }) => host)).size;
    if (contested === undefined || configured < 2) return judged;
    const waited = waitedAt(cursor) >= chain.secondNodeWaitSeconds * 1000;
    const said = await ask(contested, { reach, waited }, signal);
    const [ours, other, otherPast] = [said.ours.length, said.other.length, said.otherPast.length];
    switch (decideBlock({ configured, ours, other, otherPast, waited })) {
      case 'revert':
        return judged;
      case 'revert alone':
        log.warn(
          { height: contested.height, denied_by: said.other },
          'confirmed deposits taken back without second node',
        );
        return judged;
      case 'keep':
        report(contested, said);
        for (const host of said.other)
          source.distrust(host, `it has another block at ${contested.height}, where a deposit is confirmed`);
        throw disagreement(contested, 'another node still has it');
      case 'wait':
        throw disagreement(contested, 'no second node can be asked');
      default:
        throw new InvariantError('a block about which nothing was decided');
    }
  }

  function waitedAt({ hash }: BlockRef): number {
    if (open?.at !== hash) open = { at: hash, since: clock() };
    return clock() - open.since;
  }

  /** What each node has there, of those that have got as far as we have; {@link createBlockAgreement} says whose counts. */
  async function ask(
    { height, hash }: DepositBlock,
    { reach, waited }: { reach: number; waited: boolean },
    signal: AbortSignal,
  ): Promise<Said> {
    const said: Said = { ours: [], other: [], otherPast: [] };
    const heights = [...new Set([height, reach, reach + 1])];
    for (const answer of await source.blocksOfEach(heights, signal)) {
      if (answer.kind === 'silent' || answer.value.get(reach) == null) continue;
      const { host, value } = answer;
      const past = value.get(reach + 1) != null;
      if (value.get(height)?.hash !== hash) {
        said.other.push(host);
        if (past) said.otherPast.push(host);
      } else if (past || !waited) said.ours.push(host);
    }
    return said;
  }

  function report({ height, hash }: DepositBlock, { ours, other }: Said): void {
    const what = [hash, ...other].join(' ');
    const fields = { height, upheld_by: ours, denied_by: other };
    log[what === told ? 'debug' : 'warn'](fields, 'nodes disagree about a block');
    told = what;
  }

  return { agree };
}

/** Blocks that may be taken back as they are now, lowest first. */
export async function judgeNow(
  db: Db,
  network: Network,
  blocks: readonly DepositBlock[],
): Promise<JudgedBlock[]> {
  const inOrder = blocks.toSorted((a, b) => a.height - b.height);
  const [lowest, highest] = [inOrder[0], inOrder.at(-1)];
  if (lowest === undefined || highest === undefined) return [];
  const range = { above: lowest.height - 1, upTo: highest.height };
  const deposits = await listDepositsIn(db, network, range);
  return inOrder.map((block) => ({ ...block, confirmed: confirmedIn(block, deposits) }));
}

export function confirmedIn({ hash }: DepositBlock, deposits: readonly Deposit[]): ReadonlySet<number> {
  const confirmed = deposits.filter((one) => one.status === 'confirmed' && one.blockHash === hash);
  return new Set(confirmed.map(({ id }) => id));
}

function disagreement({ height }: DepositBlock, why: string): RpcError {
  return new RpcError(
    'nodes_disagree',
    `a node has another block at ${height}, where a deposit is confirmed: ${why}`,
  );
}
