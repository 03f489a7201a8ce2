import type { Alert } from '../storage/operators/alerts.ts';
import { type AlertName, alertCatalog } from './catalog.ts';
import type { Finding } from './evaluate.ts';

/** Not seen for so long, an alert has ended: what comes and goes is told of once, ms. */
export const goneAfterMs = 2 * 60_000;
/** What happened is shown for a day, ms. */
export const shownForMs = 24 * 3_600_000;

/** Since when something was seen that has not lasted long enough yet, by its key. */
export type Waiting = ReadonlyMap<string, number>;

export type Decision = {
  began: Alert[];
  /** Seen again. */
  lasting: Alert[];
  ended: Alert[];
  waiting: Waiting;
};

export function keyOf({ name, subject }: { name: AlertName; subject: string }): string {
  return `${name} ${subject}`;
}

/**
 * What becomes of the alerts, given what is found at `now` (Unix ms).
 *
 * - Found, and not an alert: it waits until it has lasted `afterSeconds`, and then begins.
 * - Found, and an alert: it goes on. One that has ended begins anew, and is told of anew.
 * - Not found for two minutes: it ends. One that was never told of ends in silence.
 * - What happened ends a day after it was last found.
 */
export function decide(
  open: readonly Alert[],
  found: readonly Finding[],
  waiting: Waiting,
  now: number,
): Decision {
  const known = new Map(open.map((alert) => [keyOf(alert), alert]));
  const [began, lasting, ended]: [Alert[], Alert[], Alert[]] = [[], [], []];
  const stillWaiting = new Map<string, number>();
  const seen = new Set<string>();
  for (const finding of found) {
    const key = keyOf(finding);
    if (seen.has(key)) continue;
    seen.add(key);
    const alert = known.get(key);
    if (alert !== undefined && alert.endedAt === null) {
      lasting.push({ ...alert, text: finding.text, seenAt: now });
      continue;
    }
    const since = waiting.get(key) ?? now;
    if (now - since < alertCatalog[finding.name].afterSeconds * 1000) stillWaiting.set(key, since);
    else began.push({ ...finding, beganAt: since, seenAt: now, endedAt: null, told: 'nothing' });
  }
  for (const alert of open) {
    if (alert.endedAt !== null || seen.has(keyOf(alert))) continue;
    const { happened = false } = alertCatalog[alert.name];
    if (now - alert.seenAt < (happened ? shownForMs : goneAfterMs)) continue;
    // An event has no end that would be news.
    const told = happened || alert.told === 'nothing' ? 'end' : alert.told;
    ended.push({ ...alert, endedAt: now, told });
  }
  return { began, lasting, ended, waiting: stillWaiting };
}
