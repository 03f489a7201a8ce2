import { describe, expect, test } from 'vitest';
import { createLanes, type EndpointLane } from '../../src/notify/lanes.ts';

type Due = { fresh: number | null; backlog: number | null };
const both: Due = { fresh: 0, backlog: 0 };
const fresh: Due = { fresh: 0, backlog: null };
const backlog: Due = { fresh: null, backlog: 0 };

function openLane(failing = false) {
  const lanes = createLanes({ perEndpoint: 4, total: 1_000 });
  const lane = lanes.laneOf('we_1', failing, 0);
  return { lanes, lane, roomOf: (due = fresh, share = 1_000) => lanes.roomOf(lane, due, share) };
}

function claim(lane: EndpointLane, { fresh = 0, backlog = 0 }) {
  lane.claimed += fresh + backlog;
  lane.claimedBacklog += backlog;
}

describe("an endpoint's lane", () => {
  test('has four places at first', () => {
    const { lane, roomOf } = openLane();
    expect(roomOf()).toEqual({ fresh: 4, backlog: 0 });
    expect(lane.queue.concurrency).toBe(4);
    claim(lane, { fresh: 3 });
    expect(roomOf()).toEqual({ fresh: 1, backlog: 0 });
    claim(lane, { fresh: 1 });
    expect(roomOf()).toEqual({ fresh: 0, backlog: 0 });
  });

  test('has one place while the endpoint fails, four again with its first proper answer', () => {
    const { lanes, lane, roomOf } = openLane();
    lanes.observe(lane, { answered: false, durationMs: 300 });
    expect(roomOf()).toEqual({ fresh: 1, backlog: 0 });
    expect(lane.queue.concurrency).toBe(1);
    claim(lane, { fresh: 1 });
    expect(roomOf()).toEqual({ fresh: 0, backlog: 0 });
    lanes.observe(lane, { answered: true, durationMs: 300 });
    expect(roomOf()).toEqual({ fresh: 3, backlog: 0 });
    expect(lane.queue.concurrency).toBe(4);
  });

  test('begins with one place when the endpoint was failing before the restart', () => {
    const { lane, roomOf } = openLane(true);
    expect(roomOf(both)).toEqual({ fresh: 1, backlog: 0 });
    expect(roomOf(backlog)).toEqual({ fresh: 0, backlog: 1 });
    expect(lane.queue.concurrency).toBe(1);
  });

  test('is wider the quicker the endpoint is: what it takes in a quarter of a second, at most 128', () => {
    const widthAt = (durationMs: number) => {
      const { lanes, lane, roomOf } = openLane();
      lanes.observe(lane, { answered: true, durationMs });
      return roomOf().fresh;
    };
    expect(widthAt(0)).toBe(128);
    expect(widthAt(10)).toBe(100);
    expect(widthAt(100)).toBe(10);
    expect(widthAt(9_000)).toBe(4);
  });

  test('has no more room than its share of what is claimed at once, and shares that between fresh and retries', () => {
    const { lanes, lane, roomOf } = openLane();
    lanes.observe(lane, { answered: true, durationMs: 1 });
    expect(roomOf(fresh, 4)).toEqual({ fresh: 4, backlog: 0 });
    expect(roomOf(backlog, 4)).toEqual({ fresh: 0, backlog: 4 });
    expect(roomOf(both, 4)).toEqual({ fresh: 3, backlog: 1 });
    claim(lane, { fresh: 126 });
    expect(roomOf(fresh, 4)).toEqual({ fresh: 2, backlog: 0 });
  });

  test('gives retries at most half of its places, so that fresh deliveries always find one', () => {
    const { lane, roomOf } = openLane();
    expect(roomOf(backlog)).toEqual({ fresh: 0, backlog: 2 });
    claim(lane, { backlog: 2 });
    expect(roomOf(both)).toEqual({ fresh: 2, backlog: 0 });
  });

  test('keeps a place for retries, so that fresh deliveries do not starve them', () => {
    const { lane, roomOf } = openLane();
    expect(roomOf(both)).toEqual({ fresh: 3, backlog: 1 });
    claim(lane, { fresh: 3, backlog: 1 });
    lane.claimed -= 2;
    expect(roomOf(both)).toMatchObject({ fresh: 2 });
  });
});

describe('all lanes together', () => {
  test('claim no more than the total, and endpoints in trouble no more than half of it', () => {
    const lanes = createLanes({ perEndpoint: 4, total: 100 });
    expect(lanes.budget()).toEqual({ sound: 100, troubled: 50 });
    for (let i = 0; i < 40; i++) claim(lanes.laneOf(`we_dead_${i}`, true, 0), { fresh: 1 });
    expect(lanes.budget()).toEqual({ sound: 60, troubled: 10 });
    const slow = lanes.laneOf('we_slow', false, 0);
    lanes.observe(slow, { answered: true, durationMs: 5_000 });
    claim(slow, { fresh: 4 });
    expect(lanes.budget()).toEqual({ sound: 56, troubled: 6 });
    for (let i = 0; i < 14; i++) claim(lanes.laneOf(`we_well_${i}`, false, 0), { fresh: 4 });
    expect(lanes.budget()).toEqual({ sound: 0, troubled: 0 });
  });

  test('share what is claimed at once among those who have something due, but no less than each may have under way', () => {
    const lanes = createLanes({ perEndpoint: 4, total: 100 });
    expect([0, 1, 2, 10, 64, 1_000].map(lanes.shareOf)).toEqual([256, 256, 128, 26, 4, 4]);
  });

  test('have their turns by who is not behind, then by who had none for longest', () => {
    const lanes = createLanes({ perEndpoint: 4, total: 100 });
    const now = 60_000;
    const due = ['a', 'b', 'c', 'd', 'e', 'f'].map((id) => ({ endpointId: id, fresh: 0, backlog: null }));
    const order = (more: { endpointId: string; fresh: number | null; backlog: number | null }[] = []) =>
      lanes
        .inTurn([...due, ...more], now)
        .map(({ endpointId }) => endpointId)
        .join('');
    for (const id of ['b', 'a', 'd']) lanes.tookTurn(lanes.laneOf(id, false, 0));
    expect(order()).toBe('cefbad');
    for (const id of ['c', 'e', 'f', 'b', 'x', 'y']) lanes.tookTurn(lanes.laneOf(id, false, 0));
    expect(order()).toBe('adcefb');
    const current = [
      { endpointId: 'y', fresh: now, backlog: null },
      { endpointId: 'x', fresh: now - 2_000, backlog: 0 },
      { endpointId: 'z', fresh: now - 2_001, backlog: null },
      { endpointId: 'r', fresh: null, backlog: now },
    ];
    expect(order(current)).toBe('xyzradcefb');
  });

  test('forget endpoints without traffic, and keep those with deliveries under way', () => {
    const lanes = createLanes({ perEndpoint: 4, total: 100 });
    const idle = lanes.laneOf('we_idle', false, 0);
    const busy = lanes.laneOf('we_busy', false, 0);
    claim(busy, { fresh: 1 });
    lanes.forgetIdle(60_000);
    expect(lanes.laneOf('we_idle', false, 60_000)).toBe(idle);
    lanes.forgetIdle(60_001);
    expect(lanes.laneOf('we_idle', false, 60_001)).not.toBe(idle);
    expect(lanes.laneOf('we_busy', false, 60_001)).toBe(busy);
  });
});
