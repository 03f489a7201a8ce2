import { type Clock, steadyClock } from '../../clock.ts';
import { chainTimeAt, clockSkew, skewLimits } from '../../core/chain-time.ts';
import type { Network } from '../../core/networks.ts';
import { type DatabaseTime, databaseTime } from '../database.ts';
import type { Db } from '../schema.ts';
import { readChains } from './chains.ts';

/** How far this process's clock is ahead of each chain's time, ms; null where that is not known. */
export async function readClockSkews(
  db: Db,
  clock: Clock,
  timeOf: DatabaseTime = databaseTime,
): Promise<Map<Network, number | null>> {
  const states = await readChains(db);
  const times = { now: await timeOf(db, steadyClock(clock)), clock: clock() };
  return new Map(states.map(({ network, time }) => [network, clockSkew(time, times)]));
}

/**
 * Whether this process's clock is known to be wrong: by all chains whose time is known. While that is so, a receiver that
 * refuses our signatures may be right about nothing but the time.
 */
export async function isClockWrong(db: Db, clock: Clock, timeOf?: DatabaseTime): Promise<boolean> {
  const skews = await readClockSkews(db, clock, timeOf);
  const known = [...skews.values()].filter((skew) => skew !== null);
  return known.length > 0 && known.every((skew) => Math.abs(skew) > skewLimits.warnMs);
}

/** A head that tells the time is shown again within ten minutes while its chain is read; with some room, ms. */
const shownLatelyMs = 15 * 60_000;

/**
 * Whether any of the chains that are read bears this process's clock out, or there is none to ask: what is older than its time may
 * be deleted by it. One that is days ahead would delete what is still needed. Only a head that was shown lately counts: the time
 * since then is measured by the clock that is in question. It may be older than it looks, which makes no wrong clock right.
 */
export async function isClockConfirmed(
  db: Db,
  clock: Clock,
  networks: readonly string[],
  timeOf: DatabaseTime = databaseTime,
): Promise<boolean> {
  if (networks.length === 0) return true;
  const now = await timeOf(db, steadyClock(clock));
  return (await readChains(db)).some(({ network, time }) => {
    const shownAgo = now - time.shownAt;
    const skew = Math.abs(clock() - chainTimeAt(time, now));
    return (
      networks.includes(network) && shownAgo >= 0 && shownAgo <= shownLatelyMs && skew <= skewLimits.refuseMs
    );
  });
}
