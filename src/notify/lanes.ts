import PQueue from 'p-queue';
import type { DueEndpoint } from '../storage/webhooks/queue.ts';

/*
 * How much each endpoint may have under way, so that none delays another. Deliveries are claimed no faster
 * than their endpoint takes them: what is not claimed costs nothing here, however much there is.
 *
 * An endpoint gets `perEndpoint` requests at a time, and one, a probe, from its first failure until it
 * answers properly again. A quick endpoint may have more claimed than under way, as much as it takes in a
 * quarter of a second, so that it never waits for the database.
 *
 * The more endpoints have something due, the less each may claim in its turn. Who is not behind comes first,
 * then who had its turn longest ago: after a long outage a thousand long queues share what there is, and do
 * not keep anybody's event of this moment waiting.
 */

/** One endpoint's traffic. */
export type EndpointLane = {
  readonly endpointId: string;
  readonly queue: PQueue;
  /** Claimed and not ended. */
  claimed: number;
  /** Those of `claimed` that are retries or replays. */
  claimedBacklog: number;
  failing: boolean;
  /** Moving average of its answers' times; null before the first. */
  latencyMs: number | null;
  usedAt: number;
  /** Which of all turns its last one was; 0 before the first. */
  turn: number;
};

export type LaneLimits = {
  /** Requests at a time to one endpoint. */
  perEndpoint: number;
  /** Claimed in all. */
  total: number;
};

/** What is due for longer is a queue; who has none goes before those who have. */
const behindMs = 2_000;

const aheadMs = 250;
const mostAhead = 128;

/** Slower than this and an endpoint shares a half of the whole with the failing ones. */
const slowMs = 1_000;

/** Lanes without traffic are forgotten after this. */
const idleMs = 60_000;

/** What is claimed in one transaction is shared by those who have something due. */
export const claimedAtOnce = 256;

export type Lanes = ReturnType<typeof createLanes>;

export function createLanes(limits: LaneLimits) {
  const lanes = new Map<string, EndpointLane>();
  let turns = 0;

  function laneOf(endpointId: string, failing: boolean, now: number): EndpointLane {
    let lane = lanes.get(endpointId);
    if (lane === undefined) {
      const queue = new PQueue({ concurrency: failing ? 1 : limits.perEndpoint });
      lane = {
        endpointId,
        queue,
        claimed: 0,
        claimedBacklog: 0,
        failing,
        latencyMs: null,
        usedAt: now,
        turn: 0,
      };
      lanes.set(endpointId, lane);
    }
    return lane;
  }

  /** How many deliveries may be under way or waiting in this process for one endpoint. */
  function windowOf(lane: EndpointLane): number {
    if (lane.failing) return 1;
    const ahead = lane.latencyMs === null ? 0 : (limits.perEndpoint * aheadMs) / Math.max(1, lane.latencyMs);
    return Math.min(mostAhead, Math.max(limits.perEndpoint, Math.round(ahead)));
  }

  /**
   * How many more may be claimed for an endpoint, given what it has due. Retries and replays get at most half
   * of its window, and at least one place of it that fresh deliveries leave them: neither waits for the
   * other. A probe goes to a fresh delivery where there is one. No more than `share` in all.
   */
  function roomOf(lane: EndpointLane, due: Pick<DueEndpoint, 'fresh' | 'backlog'>, share: number) {
    const window = windowOf(lane);
    const free = Math.min(share, Math.max(0, window - lane.claimed));
    const hasFresh = due.fresh !== null;
    const hasBacklog = due.backlog !== null;
    if (window === 1) return { fresh: hasFresh ? free : 0, backlog: hasFresh || !hasBacklog ? 0 : free };
    const backlog = hasBacklog
      ? Math.max(0, Math.min(free, Math.floor(window / 2) - lane.claimedBacklog))
      : 0;
    const kept = lane.claimedBacklog === 0 ? Math.min(1, backlog) : 0;
    const fresh = hasFresh ? free - kept : 0;
    return { fresh, backlog: hasFresh ? Math.min(backlog, Math.max(kept, free - fresh)) : backlog };
  }

  /** What the whole still has room for, for endpoints that are in trouble and for all others. */
  function budget(): { sound: number; troubled: number } {
    let claimed = 0;
    let troubled = 0;
    for (const lane of lanes.values()) {
      claimed += lane.claimed;
      if (isTroubled(lane)) troubled += lane.claimed;
    }
    const left = Math.max(0, limits.total - claimed);
    return { sound: left, troubled: Math.min(left, Math.max(0, Math.floor(limits.total / 2) - troubled)) };
  }

  return {
    laneOf,
    roomOf,
    budget,
    /** What each of `count` endpoints may claim in its turn. */
    shareOf: (count: number) => Math.max(limits.perEndpoint, Math.ceil(claimedAtOnce / Math.max(1, count))),
    /** Those first that are not behind with fresh deliveries, then those that had their turn longest ago, or never. */
    inTurn(due: readonly DueEndpoint[], now: number): DueEndpoint[] {
      const behind = ({ fresh }: DueEndpoint) => Number(fresh === null || now - fresh > behindMs);
      const turnOf = ({ endpointId }: DueEndpoint) => lanes.get(endpointId)?.turn ?? 0;
      return due.toSorted((a, b) => behind(a) - behind(b) || turnOf(a) - turnOf(b));
    },
    tookTurn(lane: EndpointLane): void {
      lane.turn = ++turns;
    },
    /** Learns from an attempt. `answered`: the endpoint itself is well, whatever it thought of the delivery. */
    observe(lane: EndpointLane, { answered, durationMs }: { answered: boolean; durationMs: number }): void {
      lane.failing = !answered;
      lane.latencyMs = lane.latencyMs === null ? durationMs : lane.latencyMs * 0.8 + durationMs * 0.2;
      lane.queue.concurrency = answered ? limits.perEndpoint : 1;
    },
    forgetIdle(now: number): void {
      for (const [endpointId, lane] of lanes) {
        if (lane.claimed === 0 && now - lane.usedAt > idleMs) lanes.delete(endpointId);
      }
    },
    /** Nothing that has not begun will begin. */
    clear(): void {
      for (const lane of lanes.values()) lane.queue.clear();
    },
  };
}

export function isTroubled(lane: EndpointLane): boolean {
  return lane.failing || (lane.latencyMs ?? 0) > slowMs;
}
