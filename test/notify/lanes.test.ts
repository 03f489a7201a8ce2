import { describe, expect, test } from 'vitest';
import { createLanes, type EndpointLane } from '../../src/notify/lanes.ts';

const both = { fresh: true, backlog: true };
const fresh = { fresh: true, backlog: false };
const backlog = { fresh: false, backlog: true };

function openLane(failing = false) {
  const lanes = createLanes({ perEndpoint: 4, total: 1_000 });
  const lane = lanes.laneOf('we_1', failing, 0);
  return { lanes, lane, roomOf: (due = fresh) => lanes.roomOf(lane, due) };
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
