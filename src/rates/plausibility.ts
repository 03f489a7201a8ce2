import type { Rate } from '../core/money.ts';
import { type Consensus, differsAtMost, outlierBps } from './consensus.ts';
import type { SourceName } from './source.ts';

/** What is remembered of one coin, in this process only: after a restart nothing old is quoted or trusted. */
export type Memory = {
  /** The rate last believed, of whatever age; null before the first. */
  believed: Rate | null;
  /** A jump that one source claims alone. */
  claim: Claim | null;
};

export type Claim = {
  source: SourceName;
  /** As last stated. */
  usdPerCoin: Rate;
  /** When the last price of it was observed. */
  observedAt: number;
  /** When it was first claimed. */
  since: number;
  /** Fresh prices that said so. */
  count: number;
};

/** A change of more than this, claimed by one source alone, is not believed at once. */
export const jumpBps = 1_000n;

/** How often and how long a source that stands alone must repeat itself. */
export const repetitions = 10;
export const repetitionMs = 600_000;

/**
 * Whether a consensus may be quoted: it may when two sources agree on it, or when a single one stays within
 * {@link jumpBps} of the rate last believed. A source that stands alone before anything was believed is
 * trusted only once `everyoneAsked`: the others may be about to contradict it.
 */
export function isPlausible(consensus: Consensus, believed: Rate | null, everyoneAsked: boolean): boolean {
  if (consensus.kind === 'none') return false;
  if (consensus.sources.length > 1) return true;
  if (believed === null) return everyoneAsked;
  return differsAtMost(consensus.usdPerCoin, believed, jumpBps);
}

/**
 * The memory after a consensus was found. A plausible one is believed. A jump becomes a claim, and is
 * believed after {@link repetitions} fresh prices over {@link repetitionMs}, each close to the one before;
 * silence, disagreement, another source or another price ends the claim.
 */
export function remember(memory: Memory, consensus: Consensus, now: number, everyoneAsked: boolean): Memory {
  if (consensus.kind === 'none') return { believed: memory.believed, claim: null };
  const { usdPerCoin, observedAt } = consensus;
  if (isPlausible(consensus, memory.believed, everyoneAsked)) return { believed: usdPerCoin, claim: null };
  if (memory.believed === null) return memory;
  const claim = repeat(memory.claim, consensus.sources[0] as SourceName, usdPerCoin, observedAt, now);
  const confirmed = claim.count >= repetitions && now - claim.since >= repetitionMs;
  return confirmed ? { believed: usdPerCoin, claim: null } : { believed: memory.believed, claim };
}

function repeat(
  claim: Claim | null,
  source: SourceName,
  usdPerCoin: Rate,
  observedAt: number,
  now: number,
): Claim {
  const same = claim?.source === source && differsAtMost(usdPerCoin, claim.usdPerCoin, outlierBps);
  if (!same) return { source, usdPerCoin, observedAt, since: now, count: 1 };
  if (observedAt <= claim.observedAt) return claim;
  return { ...claim, usdPerCoin, observedAt, count: claim.count + 1 };
}
