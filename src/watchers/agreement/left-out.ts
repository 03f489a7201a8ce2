/** What nodes say of a recorded deposit that a second reading of its block leaves out. */
export type LeftOutFacts = {
  /** Nodes that neither read its block before nor now. */
  third: readonly LeftOutVote[];
  /** Nodes that read its block before. */
  earlier: readonly LeftOutVote[];
  /** The node that leaves it out, asked about the deposit itself. */
  reader: LeftOutVote;
  confirmed: boolean;
  /** Whether all but the reader have had nothing to say for as long as a fact waits for a second node. */
  waited: boolean;
};

export type LeftOutVote = 'has' | 'denies' | 'silent';

export type LeftOutVerdict =
  /** It stays. `byThird`: a node says so that took part in neither reading. */
  { kind: 'disputed'; byThird: boolean } | { kind: 'vanished' } | { kind: 'undecided' };

/**
 * What becomes of a deposit that the second reading leaves out? The first row that fits decides:
 *
 *   a third node has it                                disputed, and the reader is distrusted
 *   the reader has it after all, when asked            disputed
 *   a third node denies it                             vanished: that and the reader are two
 *   an earlier reader has it                           disputed
 *   an earlier reader denies it                        vanished
 *   only the reader can answer, and denies it          vanished; undecided where it is confirmed and there are others
 *   else                                               undecided
 *
 * Only the reader can answer where there is no other node, or where the others have been silent for as long as a fact
 * waits for a second node.
 */
export function decideLeftOut({ third, earlier, reader, confirmed, waited }: LeftOutFacts): LeftOutVerdict {
  if (third.includes('has')) return { kind: 'disputed', byThird: true };
  if (reader === 'has') return { kind: 'disputed', byThird: false };
  if (third.includes('denies')) return { kind: 'vanished' };
  if (earlier.includes('has')) return { kind: 'disputed', byThird: false };
  if (earlier.includes('denies')) return { kind: 'vanished' };
  if (reader === 'silent') return { kind: 'undecided' };
  if (third.length + earlier.length === 0) return { kind: 'vanished' };
  return waited && !confirmed ? { kind: 'vanished' } : { kind: 'undecided' };
}
