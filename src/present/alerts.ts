import { alertCatalog, runbookOf } from '../alerts/catalog.ts';
import type { Alert } from '../storage/operators/alerts.ts';
import { isoTime, timeOrNull } from './values.ts';

/** The JSON of an alert. */
export function presentAlert({ name, subject, text, beganAt, endedAt }: Alert) {
  const { severity, action } = alertCatalog[name];
  return {
    alert: name,
    severity,
    subject,
    text,
    action,
    runbook: runbookOf(name),
    began_at: isoTime(beganAt),
    ended_at: timeOrNull(endedAt),
  };
}
