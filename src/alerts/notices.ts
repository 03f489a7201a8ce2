import { doubled } from '../core/backoff.ts';
import type { Alert } from '../storage/operators/alerts.ts';
import { type AlertName, byUrgency } from './catalog.ts';
import { type Message, messageOf, summaryOf } from './message.ts';
import type { Way } from './ways.ts';

/** So many messages within an hour; what is more waits, and is said once. */
const mostPerHour = 20;
const hourMs = 3_600_000;

/** A way that refuses is tried again after this, then after twice as long, up to the longest, ms. */
const retryMs = 15_000;
const longestRetryMs = 10 * 60_000;

/** A way that took nothing for so long does not keep others from being done with a message, ms. */
const patienceMs = 6 * hourMs;

export type Refusal = { way: string; reason: string; retryInMs: number };

/** What became of one round: which alerts have been told of, and which ways refused. */
export type Round = { told: Alert[]; refused: Refusal[] };

type Standing = { failures: number; dueAt: number };

/**
 * Sends what has not been told, the most urgent first, each message once to each way. What a way refuses is sent there
 * again; it is done with when every way has it. Remembers what was sent in this process alone: after a crash a message
 * may come twice, and none is missing.
 */
export function createNotices({
  ways,
  mute,
  service,
}: {
  ways: readonly Way[];
  mute: readonly AlertName[];
  service: string;
}) {
  const standings = new Map<Way, Standing>();
  /** Which ways have what, by the message's id. */
  const taken = new Map<string, { ways: Set<Way>; since: number }>();
  let sentAt: number[] = [];
  let saidUntil = Number.NEGATIVE_INFINITY;

  async function give(message: Message, now: number, refused: Refusal[]): Promise<boolean> {
    const got = taken.get(message.id) ?? { ways: new Set(), since: now };
    taken.set(message.id, got);
    const sends = ways
      .filter((way) => !got.ways.has(way) && (standings.get(way)?.dueAt ?? 0) <= now)
      .map(async (way) => {
        const reason = await way.send(message, now);
        if (reason === null) {
          got.ways.add(way);
          standings.delete(way);
          return;
        }
        const failures = standings.get(way)?.failures ?? 0;
        const retryInMs = doubled(retryMs, failures, longestRetryMs);
        standings.set(way, { failures: failures + 1, dueAt: now + retryInMs });
        refused.push({ way: way.name, reason, retryInMs });
      });
    await Promise.all(sends);
    const all = ways.every((way) => got.ways.has(way));
    const enough = got.ways.size > 0 && now - got.since >= patienceMs;
    if (all || enough) taken.delete(message.id);
    return all || enough;
  }

  /** Whether there is room for one more that was not begun yet. */
  function takeRoom(message: Message, now: number): boolean {
    if (taken.has(message.id)) return true;
    sentAt = sentAt.filter((at) => at > now - hourMs);
    if (sentAt.length >= mostPerHour) return false;
    sentAt.push(now);
    return true;
  }

  async function round(open: readonly Alert[], now: number): Promise<Round> {
    const untold = open
      .filter(({ told, endedAt }) => (endedAt === null ? told === 'nothing' : told === 'begin'))
      .toSorted((a, b) => byUrgency(a.name, b.name) || a.beganAt - b.beganAt);
    const result: Round = { told: [], refused: [] };
    let heldBack = 0;
    for (const alert of untold) {
      const told = alert.endedAt === null ? 'begin' : 'end';
      const message = messageOf(alert, service);
      if (ways.length === 0 || mute.includes(alert.name)) result.told.push({ ...alert, told });
      else if (!takeRoom(message, now)) heldBack++;
      else if (await give(message, now, result.refused)) result.told.push({ ...alert, told });
    }
    forget(open);
    if (heldBack > 0 && now >= saidUntil) {
      const summary = summaryOf({ heldBack, perHour: mostPerHour, now }, service);
      // Once an hour, whatever becomes of it: the alerts themselves still wait.
      saidUntil = now + hourMs;
      await give(summary, now, result.refused);
      taken.delete(summary.id);
    }
    return result;
  }

  /** What ended, or began anew, before every way had it. */
  function forget(open: readonly Alert[]): void {
    const current = new Set(open.map((alert) => messageOf(alert, service).id));
    for (const id of taken.keys()) if (!current.has(id)) taken.delete(id);
  }

  return { round };
}
