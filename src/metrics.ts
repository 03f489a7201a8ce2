import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from '@prometheus-io/client';
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import type { Network } from './core/networks.ts';
import { createDatabaseMetrics } from './metrics/database.ts';
import { createNodeMetrics, type NodesOf } from './metrics/nodes.ts';
import { createProviderMetrics } from './metrics/providers.ts';
import type { DatabaseTime } from './storage/database.ts';
import type { Db } from './storage/schema.ts';
import { programVersion } from './version.ts';

/** How one attempt to deliver a webhook ended. */
export type AttemptEnd = 'delivered' | 'retry' | 'give-up';

/** Why a delivery was given up: refused by the receiver, by our guard, or out of attempts. */
export type GiveUp = 'rejected' | 'gone' | 'blocked' | 'exhausted';

/** What `/metrics` shows. Whatever is in the database is counted there when somebody asks. */
export type Metrics = {
  registry: Registry;
  loopFailed(name: string): void;
  attemptEnded(end: AttemptEnd, durationMs: number): void;
  /** A receiver has an event, so long after it happened. */
  eventDelivered(afterMs: number): void;
  deliveryGivenUp(reason: GiveUp): void;
  recheckFound(network: Network, finding: RecheckFinding): void;
};

/** What reading blocks a second time can show. */
export type RecheckFinding = 'missed' | 'vanished' | 'disputed';

export type MetricsOptions = {
  db: Db;
  config: Pick<Config, 'chains' | 'payments' | 'providers'>;
  clock: Clock;
  /** For tests, whose time is their own. */
  timeOf?: DatabaseTime;
  /** The nodes of a chain that this process reads. */
  nodesOf: NodesOf;
};

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  createDatabaseMetrics(registry, options);
  createNodeMetrics(registry, options);
  createProviderMetrics(registry, options);

  new Gauge({
    name: 'depositd_build_info',
    help: 'Always 1; the labels tell the version.',
    labelNames: ['version', 'node'] as const,
    registers,
  }).set({ version: programVersion(), node: process.version }, 1);

  const loopFailures = new Counter({
    name: 'depositd_loop_failures_total',
    help: 'Steps of a loop that threw and will be tried again.',
    labelNames: ['loop'] as const,
    registers,
  });
  const attempts = new Counter({
    name: 'depositd_delivery_attempts_total',
    help: 'Attempts to deliver a webhook, by how they ended.',
    labelNames: ['end'] as const,
    registers,
  });
  for (const end of ['delivered', 'retry', 'give-up'] satisfies AttemptEnd[]) attempts.inc({ end }, 0);
  const attemptSeconds = new Histogram({
    name: 'depositd_delivery_attempt_seconds',
    help: 'Time that receivers took.',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });

  const delivered = new Histogram({
    name: 'depositd_event_delivered_seconds',
    help: 'From an event to the answer of the receiver that has it, at whichever attempt.',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3_600, 86_400],
    registers,
  });

  const givenUp = new Counter({
    name: 'depositd_deliveries_given_up_total',
    help: 'Webhooks given up by this process, by reason. Each is listed and can be replayed.',
    labelNames: ['reason'] as const,
    registers,
  });
  for (const reason of ['rejected', 'gone', 'blocked', 'exhausted'] satisfies GiveUp[])
    givenUp.inc({ reason }, 0);

  const findings = new Counter({
    name: 'depositd_recheck_findings_total',
    help: 'Transfers that a second reading showed and the first had not, or that it did not show.',
    labelNames: ['network', 'finding'] as const,
    registers,
  });
  for (const network of Object.keys(options.config.chains)) {
    for (const finding of ['missed', 'vanished', 'disputed'] satisfies RecheckFinding[])
      findings.inc({ network, finding }, 0);
  }

  return {
    registry,
    deliveryGivenUp: (reason) => givenUp.inc({ reason }),
    recheckFound: (network, finding) => findings.inc({ network, finding }),
    loopFailed: (loop) => loopFailures.inc({ loop }),
    // Clocks differ: nothing comes before its cause.
    eventDelivered: (afterMs) => delivered.observe(Math.max(0, afterMs) / 1000),
    attemptEnded: (end, durationMs) => {
      attempts.inc({ end });
      attemptSeconds.observe(durationMs / 1000);
    },
  };
}
