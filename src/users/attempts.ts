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
  /**
   * Counts a try before it is looked at: of many that come at once, no more are made than of those that come one by one. One
   * that ends in an error, because the database is away, says nothing of what was given and is not counted.
   */
  count<T>(account: string, address: string, look: (attempt: Attempt) => Promise<T>): Promise<T>;
};

/** A try that counts as failed until one of these is called. */
export type Attempt = {
  /** Nothing was wrong with it. What failed from elsewhere, or for another account from here, still counts. */
  takeBack(): void;
  /** The account's owner is here: what failed from this address for this account is forgotten too. */
  succeeded(): void;
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

  /** One failure of that moment. */
  function forget(key: string, at: number): void {
    const times = failures.get(key) ?? [];
    const index = times.indexOf(at);
    if (index >= 0) times.splice(index, 1);
    if (times.length === 0) failures.delete(key);
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
    async count(account, address, look) {
      if (failures.size >= most) forgetOld();
      const at = clock();
      const keys = keysOf(account, address);
      for (const [key, limit] of keys) failures.set(key, [...recent(key), at].slice(-limit));
      const takeBack = () => {
        for (const [key] of keys) forget(key, at);
      };
      const succeeded = () => {
        takeBack();
        failures.delete(`both ${address} ${account}`);
      };
      try {
        return await look({ takeBack, succeeded });
      } catch (error) {
        takeBack();
        throw error;
      }
    },
  };
}
