import type { Clock } from '../clock.ts';
import type { BlockHash } from '../core/chain.ts';
import type { Deposit } from '../core/payment.ts';
import { doubled } from '../nodes/backoff.ts';

/** What came of looking at a deposit that could not be confirmed yet. */
export type Doubt = {
  blockHash: BlockHash;
  /** Unix ms of the first look, and until when it is left alone. */
  since: number;
  until: number;
  /** Looks so far, and those of them in which it was not there. */
  looks: number;
  denials: number;
  /** Host names of those who said so, the last one last. */
  deniedBy: ReadonlySet<string>;
  /** Unix ms since when everybody who was asked said so, the one that had shown it too; null while anybody has it. */
  goneSince: number | null;
  /** Whether the log tells that nodes disagree. */
  told: boolean;
};

/** A deposit about which nobody could say is left alone so long, ms, at first and at most: that holds up no others. */
const firstRestMs = 500;
const longestRestMs = 5_000;

/** The same for one that was not there: it is the chain that changes, or a node lies. */
const firstDenialRestMs = 5_000;
const longestDenialRestMs = 60_000;

/** What was not looked at for so long, ms, is gone. */
const forgottenMs = 10 * 60_000;

/** Remembers deposits that were looked at in vain, while the process lives, by a clock that never goes back. */
export function createDoubts(clock: Clock) {
  const doubts = new Map<number, Doubt>();

  /** What is known of a deposit in the block where it is now. */
  function of({ id, blockHash }: Deposit): Doubt {
    const known = doubts.get(id);
    if (known !== undefined && known.blockHash === blockHash) return known;
    const none = { looks: 0, denials: 0, deniedBy: new Set<string>(), goneSince: null, told: false };
    return { blockHash, since: clock(), until: clock(), ...none };
  }

  function rest(deposit: Deposit): Doubt {
    const { looks, ...doubt } = of(deposit);
    const until = clock() + doubled(firstRestMs, looks, longestRestMs);
    return keep(deposit, { ...doubt, until, looks: looks + 1 });
  }

  /** `host` is null where it was whoever had to be asked. */
  function deny(deposit: Deposit, host: string | null): Doubt {
    const { looks, denials, deniedBy, ...doubt } = of(deposit);
    const others = [...deniedBy].filter((other) => other !== host);
    return keep(deposit, {
      ...doubt,
      until: clock() + doubled(firstDenialRestMs, denials, longestDenialRestMs),
      looks: looks + 1,
      denials: denials + 1,
      deniedBy: new Set(host === null ? others : [...others, host]),
    });
  }

  /** Nobody has it. */
  function lose(deposit: Deposit): Doubt {
    const doubt = of(deposit);
    return keep(deposit, { ...doubt, goneSince: doubt.goneSince ?? clock() });
  }

  /** The one that showed it stands by it, whatever others say. */
  function uphold(deposit: Deposit): void {
    if (doubts.has(deposit.id)) keep(deposit, { ...of(deposit), goneSince: null });
  }

  function tell(deposit: Deposit): void {
    keep(deposit, { ...of(deposit), told: true });
  }

  function keep({ id }: Deposit, doubt: Doubt): Doubt {
    doubts.set(id, doubt);
    return doubt;
  }

  return {
    of,
    rest,
    deny,
    lose,
    uphold,
    tell,
    settle: ({ id }: Deposit) => void doubts.delete(id),
    has: (deposit: Deposit) => of(deposit).until > clock(),
    count: () => doubts.size,
    forgetOld(): void {
      for (const [id, { until }] of doubts) if (until + forgottenMs < clock()) doubts.delete(id);
    },
  };
}
