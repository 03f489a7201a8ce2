import { type Clock, steadyClock } from '../../clock.ts';
import type { BlockHash, BlockRef } from '../../core/chain.ts';
import { RpcError } from '../../errors.ts';
import type { ChainSource } from '../source.ts';
import { createOutages, isAlone } from './ask.ts';

/** What the nodes say of a final block of ours, asked because one of them shows another at its height. */
export type FinalBlockFacts = {
  /** Nodes that are configured. */
  configured: number;
  /** Those that have our block, and the most that have the same other one. */
  ours: number;
  other: number;
  /** Whether all but one that has another have been silent for as long as a fact waits for a second node. */
  waited: boolean;
};

export type FinalBlockVerdict = 'replaced' | 'replaced alone' | 'stands' | 'wait';

/**
 * Has the chain replaced a block that was final? By its rules that cannot be, and whoever says so stops the chain. The
 * first row that fits decides:
 *
 *   configured   ours   the same other   waited   verdict
 *   one          –      –                –        replaced
 *   more         ≥ 1    any              –        stands: those with another are wrong
 *   more         0      ≥ 2              –        replaced
 *   more         0      1                yes      replaced, by the word of one alone
 *   more         0      ≤ 1              –        wait
 */
export function decideFinalBlock({ configured, ours, other, waited }: FinalBlockFacts): FinalBlockVerdict {
  if (configured < 2) return 'replaced';
  if (ours >= 1) return 'stands';
  if (other >= 2) return 'replaced';
  return waited && other === 1 ? 'replaced alone' : 'wait';
}

export type FinalBlockAgreement = {
  /**
   * Returns once nodes agree that the chain has another block; the host whose word that is where it is one alone.
   *
   * @throws RpcError when a node has it, or not enough of them can be asked yet.
   */
  refuseStanding(
    block: Pick<BlockRef, 'height' | 'hash'>,
    why: string,
    signal: AbortSignal,
  ): Promise<Replaced>;
};

export type Replaced = { alone: string | null };

export type FinalBlockDeps = {
  source: ChainSource;
  clock: Clock;
  /** How long another block waits for a second node while all others are silent, ms. */
  waitMs: number;
};

export function createFinalBlockAgreement({ source, clock, waitMs }: FinalBlockDeps): FinalBlockAgreement {
  const outages = createOutages(steadyClock(clock), source, waitMs, null);

  async function refuseStanding(
    { height, hash }: Pick<BlockRef, 'height' | 'hash'>,
    why: string,
    signal: AbortSignal,
  ): Promise<Replaced> {
    if (isAlone(source)) return { alone: null };
    const others: { host: string; hash: BlockHash }[] = [];
    const silent: string[] = [];
    const answers = await source.blocksOfEach([height], signal);
    for (const answer of answers) {
      // Who has not got that far has nothing to say.
      const block = answer.kind === 'answered' ? (answer.value.get(height) ?? null) : null;
      outages.note(answer.host, block === null);
      if (block === null) silent.push(answer.host);
      else if (block.hash !== hash) others.push({ host: answer.host, hash: block.hash });
    }
    const ours = answers.length - silent.length - others.length;
    const other = Math.max(0, ...others.map((one) => others.filter((same) => same.hash === one.hash).length));
    const waited = others.length === 1 && outages.haveLasted(silent);
    const verdict = decideFinalBlock({ configured: answers.length, ours, other, waited });
    switch (verdict) {
      case 'replaced':
        return { alone: null };
      case 'replaced alone':
        return { alone: others[0]?.host ?? null };
      case 'stands':
        for (const { host } of others)
          source.distrust(host, `it has another block at ${height}, ${why} elsewhere`);
        throw new RpcError('nodes_disagree', `no agreement about block ${height}, ${why}`);
      case 'wait':
        throw new RpcError('nodes_disagree', `only one node has another block ${height}, ${why}`);
      default:
        return verdict satisfies never;
    }
  }

  return { refuseStanding };
}
