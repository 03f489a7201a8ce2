import type { Currency } from './assets.ts';
import type { Network } from './networks.ts';

/*
 * How a pool of receive addresses stands, and when it runs dry.
 */

/** The addresses of a merchant for one currency of a network, or (null) for every currency. */
export type PoolKey = { merchantId: string; network: Network; currency: Currency | null };

export type PoolCount = PoolKey & {
  /** Active: not retired. */
  total: number;
  /** Active, held by no payment, and not in quarantine. */
  free: number;
  /** Active, held by no payment, and let go by one within the time of the quarantine, or held back. */
  quarantined: number;
  /** Of the quarantined: those held back because payments may have been lost. Not even a soft quarantine gives them out. */
  heldBack: number;
  /** Active and held by pending payments. */
  held: number;
  /** Retired: no further payment gets one, though a payment may still hold it. */
  retired: number;
  /** Could still be derived. */
  derivable: number;
};

/** What one address is counted as. */
export type AddressState = 'free' | 'held' | 'quarantined' | 'retired';

/** Which addresses should be given to no payment, though none holds them. */
export type Quarantine = {
  /** Those let go after this, Unix ms; null: none because of that. */
  releasedAfter: number | null;
  /** Those with an id up to this one: they are held back, because a lost payment may have them. 0: none. */
  heldBackUpTo: number;
};

/** Tells the shop why it gets no address until a time (Unix ms). */
export function heldBackText(until: number): string {
  const time = new Date(until).toISOString().replace(/\.\d+Z$/, 'Z');
  return `the receive addresses are held back until ${time}, because payments that have them may have been lost with a part of the database; added ones are given out at once`;
}

/** Addresses let go after this (Unix ms) are in quarantine. */
export function quarantineStart({ quarantineSeconds }: { quarantineSeconds: number }, now: number): number {
  return now - quarantineSeconds * 1000;
}

export function addressState(
  address: { id: number; active: boolean; lockedBy: number | null; releasedAt: number | null },
  { releasedAfter, heldBackUpTo }: Quarantine,
): AddressState {
  if (!address.active) return 'retired';
  if (address.lockedBy !== null) return 'held';
  if (address.id <= heldBackUpTo) return 'quarantined';
  return releasedAfter !== null && (address.releasedAt ?? 0) > releasedAfter ? 'quarantined' : 'free';
}

/** A pool with what the last day says of it. */
export type PoolStatus = PoolCount & {
  level: 'ok' | 'low' | 'exhausted';
  /** Payments that got an address of it in the last day. */
  paymentsLastDay: number;
  /** Those of the busiest hour, by which the forecast goes. */
  busiestHour: number;
  /** How long payments of the last day held an address; the whole time to pay where none has ended. */
  meanLockSeconds: number;
  forecast: Forecast;
};

/** What a forecast is computed from. */
export type PoolPace = {
  /** Payments an hour. */
  paymentsPerHour: number;
  /** How long one keeps an address from others, seconds. */
  lockSeconds: number;
  /** Addresses that others cannot have now. */
  held: number;
  /** All of them, those that can still be derived included. */
  capacity: number;
};

export type Forecast = {
  /** How many addresses this pace holds at once in the end (Little's law). */
  expectedHeld: number;
  /** When all are held if it lasts, seconds from now; null when they suffice. */
  exhaustedInSeconds: number | null;
};

/**
 * When a pool runs dry if payments keep coming at this pace. Addresses are taken at a steady rate and given back
 * in proportion to how many are held, so the number held nears `expectedHeld` exponentially, with the time of a lock
 * as its time constant.
 */
export function forecastPool({ paymentsPerHour, lockSeconds, held, capacity }: PoolPace): Forecast {
  const expectedHeld = (paymentsPerHour / 3600) * lockSeconds;
  if (held >= capacity) return { expectedHeld, exhaustedInSeconds: 0 };
  if (expectedHeld <= capacity) return { expectedHeld, exhaustedInSeconds: null };
  const seconds = lockSeconds * Math.log((expectedHeld - held) / (expectedHeld - capacity));
  return { expectedHeld, exhaustedInSeconds: Math.round(seconds) };
}
