import PQueue from 'p-queue';

/*
 * How much each endpoint may have under way, so that none delays another. Deliveries are claimed no faster
 * than their endpoint takes them: what is not claimed costs nothing here, however much there is.
 *
 * An endpoint gets `perEndpoint` requests at a time, and one, a probe, from its first failure until it
 * answers properly again. A quick endpoint may have more claimed than under way, as much as it takes in a
 * quarter of a second, so that it never waits for the database.
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
};

export type LaneLimits = {
  /** Requests at a time to one endpoint. */
  perEndpoint: number;
  /** Claimed in all. */
  total: number;
};

const aheadMs = 250;
const mostAhead = 128;

/** Slower than this and an endpoint shares a half of the whole with the failing ones. */
const slowMs = 1_000;

/** Lanes without traffic are forgotten after this. */
const idleMs = 60_000;

export type Lanes = ReturnType<typeof createLanes>;

export function createLanes(limits: LaneLimits) {
  const lanes = new Map<string, EndpointLane>();

  function laneOf(endpointId: string, failing: boolean, now: number): EndpointLane {
    let lane = lanes.get(endpointId);
    if (lane === undefined) {
      const queue = new PQueue({ concurrency: failing ? 1 : limits.perEndpoint });
      lane = { endpointId, queue, claimed: 0, claimedBacklog: 0, failing, latencyMs: null, usedAt: now };
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
   * other. A probe goes to a fresh delivery where there is one.
   */
  function roomOf(lane: EndpointLane, due: { fresh: boolean; backlog: boolean }) {
    const window = windowOf(lane);
    const free = Math.max(0, window - lane.claimed);
    if (window === 1) return { fresh: due.fresh ? free : 0, backlog: due.fresh || !due.backlog ? 0 : free };
    const backlog = due.backlog
      ? Math.max(0, Math.min(free, Math.floor(window / 2) - lane.claimedBacklog))
      : 0;
    const kept = lane.claimedBacklog === 0 ? Math.min(1, backlog) : 0;
    const fresh = due.fresh ? free - kept : 0;
    return { fresh, backlog: due.fresh ? Math.min(backlog, Math.max(kept, free - fresh)) : backlog };
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
