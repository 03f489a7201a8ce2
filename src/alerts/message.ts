import { counted } from '../core/plural.ts';
import type { Alert } from '../storage/operators/alerts.ts';
import { type AlertName, alertCatalog, runbookOf, type Severity } from './catalog.ts';

export type MessageEvent = 'alert.began' | 'alert.ended' | 'alert.summary' | 'alert.test';

/** What is sent to an operator. Holds no secret: it leaves the machine, in a mail perhaps. */
export type Message = {
  event: MessageEvent;
  /** Of this event, so that a receiver knows it again. */
  id: string;
  alert: AlertName | null;
  severity: Severity;
  title: string;
  /** Sentences, one a line. */
  text: string;
  runbook: string;
  beganAt: number | null;
  endedAt: number | null;
};

/** `service`: where this depositd is for customers. */
export function messageOf(alert: Alert, service: string): Message {
  const { severity, action, happened } = alertCatalog[alert.name];
  const ended = alert.endedAt;
  const lines =
    ended === null
      ? [`${alert.text}.`, action, `Runbook: ${runbookOf(alert.name)}`]
      : [`Over after ${lasted(ended - alert.beganAt)}: ${alert.text}.`];
  const title = `${service}: ${alert.name}${ended === null ? '' : ' is over'}`;
  return {
    event: ended === null ? 'alert.began' : 'alert.ended',
    id: [alert.name, alert.subject, alert.beganAt, ended ?? (happened ? 'once' : 'began')].join(' '),
    alert: alert.name,
    severity,
    title,
    text: lines.join('\n'),
    runbook: runbookOf(alert.name),
    beganAt: alert.beganAt,
    endedAt: ended,
  };
}

export function summaryOf(
  { heldBack, perHour, now }: { heldBack: number; perHour: number; now: number },
  service: string,
): Message {
  return {
    event: 'alert.summary',
    id: `summary ${now}`,
    alert: null,
    severity: 'page',
    title: `${service}: more alerts than are sent`,
    text: `Sent within an hour: ${counted(perHour, 'message')}. Waiting: ${counted(heldBack, 'alert')}.\ndepositd alert list shows them all.`,
    runbook: 'docs/alerts.md#more-alerts-than-are-sent',
    beganAt: now,
    endedAt: null,
  };
}

export function testMessage(now: number, service: string): Message {
  return {
    event: 'alert.test',
    id: `test ${now}`,
    alert: null,
    severity: 'ticket',
    title: `${service}: a test`,
    text: 'This is how an alert arrives. Nothing is wrong.',
    runbook: 'docs/alerts.md',
    beganAt: now,
    endedAt: null,
  };
}

function lasted(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  return minutes < 120 ? counted(minutes, 'minute') : counted(Math.round(minutes / 60), 'hour');
}
