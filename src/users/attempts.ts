import type { Clock } from '../clock.ts';

/** Failures are forgotten after this long, ms. */
const windowMs = 15 * 60 * 1000;

/** Failures that are borne of one account from one address, from one address, and of one account from anywhere. */
const limits = { both: 5, address: 20, account: 100 } as const;

/** Names remembered before those whose time is over are forgotten. */
const most = 10_000;

export type Attempts = {
  /** Seconds to wait before a password is looked at again; null: none. */
  wait(account: string, address: string): number | null;
  failed(account: string, address: string): void;
  succeeded(account: string, address: string): void;
};

/**
 * Counts sign-ins that failed, so that guessing takes for ever. An account alone is refused late: else anybody could keep
 * its owner out by failing on purpose.
 */
export function createAttempts(clock: Clock): Attempts {
  const failures = new Map<string, number[]>();

  function recent(key: string): number[] {
    return (failures.get(key) ?? []).filter((at) => at > clock() - windowMs);
  }

  function forgetOld(): void {
    for (const key of failures.keys()) if (recent(key).length === 0) failures.delete(key);
    // Whoever fills the memory is slowed down by address before; the oldest go first.
    for (const key of failures.keys()) {
      if (failures.size < most) break;
      failures.delete(key);
    }
  }

  const keysOf = (account: string, address: string) =>
    [
      [`both ${address} ${account}`, limits.both],
      [`address ${address}`, limits.address],
      [`account ${account}`, limits.account],
    ] as const;

  return {
    wait(account, address) {
      const waits = keysOf(account, address).map(([key, limit]) => {
        const times = recent(key);
        const blocking = times.at(-limit);
        return blocking === undefined ? 0 : blocking + windowMs - clock();
      });
      const longest = Math.max(...waits);
      return longest > 0 ? Math.ceil(longest / 1000) : null;
    },
    failed(account, address) {
      if (failures.size >= most) forgetOld();
      for (const [key, limit] of keysOf(account, address))
        failures.set(key, [...recent(key), clock()].slice(-limit));
    },
    succeeded(account, address) {
      failures.delete(`both ${address} ${account}`);
    },
  };
}
