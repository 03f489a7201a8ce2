/** Unused addresses in a row after which wallets stop looking (BIP-44). */
const walletGapLimit = 20;

/** How a wallet that restores the account will find its money: by looking until so many in a row are unused. */
export type GapReport = {
  derived: number;
  /** Derived addresses that something ever reached. */
  used: number;
  /** Indexes that were passed over, because somebody had listed their address by hand. */
  skipped: number;
  /** The longest row of indexes that nothing reached, those at the end included. */
  longestGap: number;
};

/** `indexes` in order; `nextIndex` is the one that will be derived next. */
export function reportGaps(
  indexes: readonly { index: number; used: boolean }[],
  nextIndex: number,
): GapReport {
  let longestGap = 0;
  let lastUsed = -1;
  for (const { index, used } of indexes) {
    if (!used) continue;
    longestGap = Math.max(longestGap, index - lastUsed - 1);
    lastUsed = index;
  }
  return {
    derived: indexes.length,
    used: indexes.filter(({ used }) => used).length,
    skipped: nextIndex - indexes.length,
    longestGap: Math.max(longestGap, nextIndex - lastUsed - 1),
  };
}

/** What the owner of the account must know; null while every wallet finds everything. */
export function gapWarning({ longestGap }: GapReport): string | null {
  if (longestGap < walletGapLimit) return null;
  return `${longestGap} addresses in a row were never paid: let your wallet look further than ${longestGap} unused addresses (its gap limit), or it will not show what comes later`;
}
