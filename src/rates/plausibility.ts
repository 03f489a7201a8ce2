import type { Rate } from '../core/money.ts';
import { type Consensus, differsAtMost } from './consensus.ts';

/*
 * How far a source is trusted that stands alone. Whoever controls it, or breaks it, must not be able to walk the rate
 * away in small steps: so it is measured against what two sources last agreed on, not against its own last price.
 */

/** What is remembered of one coin, in this process only: after a restart nothing old is quoted or trusted. */
export type Memory = {
  /**
   * What a source that stands alone is measured against: the rate that two sources last agreed on, moved since then
   * by no more than {@link driftBpsPerDay} towards what a lone source says. Null before the first rate.
   */
  reference: Rate | null;
  /** When the reference was last set or moved, Unix ms. */
  at: number;
};

/** A source that stands alone may differ by so much from the reference. */
export const jumpBps = 1_000n;

/** So fast the reference follows a source that stands alone. */
export const driftBpsPerDay = 1_000n;

/** A silence, or a clock that jumps, counts as this long at most. */
const longestDriftMs = 3_600_000;

const dayMs = 86_400_000n;

export type Judge = {
  /** What the coin is pegged to, in dollars; null for a coin without a peg. */
  parity: Rate | null;
  /** How far from it a price is still taken for it. */
  pegBandBps: number;
  /** Whether every source has answered or failed since the start: the others may be about to contradict the first. */
  everyoneAsked: boolean;
};

/**
 * Whether a consensus may be quoted: it may when two sources agree on it. A single one is believed within
 * {@link jumpBps} of the reference (the first one, once everyone was asked); and of a stablecoin only that it keeps
 * its peg: that the peg is lost takes two.
 */
export function isPlausible(
  consensus: Consensus,
  reference: Rate | null,
  { parity, pegBandBps, everyoneAsked }: Judge,
): boolean {
  if (consensus.kind === 'none') return false;
  if (consensus.sources.length > 1) return true;
  if (parity !== null) return differsAtMost(consensus.usdPerCoin, parity, BigInt(pegBandBps));
  if (reference === null) return everyoneAsked;
  return differsAtMost(consensus.usdPerCoin, reference, jumpBps);
}

/** The memory after a consensus was found. */
export function remember(memory: Memory, consensus: Consensus, now: number, judge: Judge): Memory {
  if (consensus.kind === 'none') return memory;
  const { usdPerCoin, sources } = consensus;
  if (sources.length > 1) return { reference: usdPerCoin, at: now };
  const { reference, at } = memory;
  if (reference === null) return judge.everyoneAsked ? { reference: usdPerCoin, at: now } : memory;
  const elapsedMs = BigInt(Math.min(Math.max(0, Math.floor(now - at)), longestDriftMs));
  const most = (reference * driftBpsPerDay * elapsedMs) / (10_000n * dayMs);
  return { reference: towards(reference, usdPerCoin, most), at: now };
}

function towards(from: Rate, to: Rate, most: bigint): Rate {
  if (to > from) return to - from > most ? from + most : to;
  return from - to > most ? from - most : to;
}
