import { byUrgency } from '../alerts/catalog.ts';
import { testMessage } from '../alerts/message.ts';
import { createAlertsOutbound, createWay } from '../alerts/ways.ts';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { createScrubber, secretsOf } from '../config/scrub.ts';
import { CommandError } from '../errors.ts';
import { presentAlert } from '../present/alerts.ts';
import { listEndedAlerts, listOpenAlerts } from '../storage/operators/alerts.ts';
import { programVersion } from '../version.ts';
import { print, printJson, printTable } from './output.ts';
import { atWork, type CommandOptions } from './workplace.ts';

/** How many of those that ended are shown. */
const mostEnded = 50;

/** What needs an operator, as the daemon has found it. */
export async function alertList(options: CommandOptions & { ended?: boolean }): Promise<void> {
  await atWork(options, async ({ db }) => {
    const found = options.ended
      ? await listEndedAlerts(db, mostEnded)
      : (await listOpenAlerts(db)).filter(({ endedAt }) => endedAt === null);
    const shown = (options.ended ? found : found.toSorted((a, b) => byUrgency(a.name, b.name))).map(
      presentAlert,
    );
    if (options.json) return printJson({ data: shown });
    if (shown.length === 0) return print(options.ended ? 'nothing has ended lately' : 'nothing needs you');
    showAlerts(shown);
  });
}

export function showAlerts(alerts: readonly ReturnType<typeof presentAlert>[]): void {
  printTable(
    ['ALERT', 'SEVERITY', 'SINCE', 'WHAT', 'DO'],
    alerts.map((one) => [one.alert, one.severity, one.began_at, one.text, one.action]),
  );
}

/**
 * Sends a message every way that is configured. Touches no database.
 *
 * @throws CommandError when there is no way, or one did not take it.
 */
export async function alertTest(options: CommandOptions): Promise<void> {
  const config = loadConfig(options.config, process.env, { adminToken: 'unused' });
  if (config.alerts.to.length === 0) {
    throw new CommandError(
      'there is nobody to tell: alerts.to in the configuration is empty (docs/alerts.md)',
    );
  }
  const clean = createScrubber(secretsOf(config));
  const outbound = createAlertsOutbound(config.alerts, `depositd/${programVersion()}`);
  const now = systemClock();
  const message = testMessage(now, new URL(config.publicUrl).host);
  try {
    const results = await Promise.all(
      config.alerts.to.map(async (entry) => {
        const way = createWay(entry, outbound);
        const refused = await way.send(message, now);
        return { to: way.name, fault: refused === null ? null : clean(refused) };
      }),
    );
    if (options.json) printJson({ data: results });
    else
      printTable(
        ['TO', 'RESULT'],
        results.map(({ to, fault }) => [to, fault ?? 'sent']),
      );
    const refused = results.filter(({ fault }) => fault !== null).length;
    if (refused > 0) throw new CommandError(`not sent: ${refused} of ${results.length}`);
  } finally {
    await outbound.close();
  }
}
