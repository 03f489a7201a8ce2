import { Gauge, type Registry } from '@prometheus-io/client';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { oldestAnswerAt } from '../storage/providers/fetches.ts';
import { countUnmatchedCharges, findProviderState } from '../storage/providers/providers.ts';
import type { Db } from '../storage/schema.ts';

type Facts = {
  failing: number;
  succeededAt: number | null;
  answerAge: number | null;
  sweptAt: number | null;
  drift: number;
  unmatched: number;
  rejected: number;
};

/** How the fiat providers do, as the process that talks to them has written it down. */
export function createProviderMetrics(
  registry: Registry,
  { db, config, clock }: { db: Db; config: Pick<Config, 'providers'>; clock: Clock },
): void {
  const names = Object.keys(config.providers);
  let reading: Promise<Map<string, Facts>> | null = null;

  /** Every metric below asks for this when it is read; all of them share one round. */
  function read(): Promise<Map<string, Facts>> {
    reading ??= readAll().finally(() => {
      reading = null;
    });
    return reading;
  }

  /** Without a provider where the database does not answer, which a metric of its own tells. */
  async function readAll(): Promise<Map<string, Facts>> {
    const facts = new Map<string, Facts>();
    try {
      for (const name of names) {
        const state = await findProviderState(db, name);
        if (state === null) continue;
        const oldest = await oldestAnswerAt(db, name);
        facts.set(name, {
          failing: state.lastError === null ? 0 : 1,
          succeededAt: state.succeededAt,
          answerAge: oldest === null ? null : Math.max(0, (clock() - oldest) / 1000),
          sweptAt: state.sweptAt,
          drift: state.drift === null ? 0 : 1,
          unmatched: await countUnmatchedCharges(db, name),
          rejected: state.rejected,
        });
      }
    } catch {
      facts.clear();
    }
    return facts;
  }

  function define(name: string, help: string, pick: (facts: Facts) => number | null): void {
    new Gauge({
      name,
      help,
      labelNames: ['provider'] as const,
      registers: [registry],
      async collect() {
        const facts = await read();
        this.reset();
        for (const [provider, one] of facts) {
          const value = pick(one);
          if (value !== null) this.set({ provider }, value);
        }
      },
    });
  }

  const seconds = (at: number | null) => (at === null ? null : at / 1000);
  define(
    'depositd_provider_failing',
    '1 while a fiat provider cannot be reached, or refuses us.',
    ({ failing }) => failing,
  );
  define(
    'depositd_provider_success_timestamp_seconds',
    'When a provider last answered as it should.',
    ({ succeededAt }) => seconds(succeededAt),
  );
  define(
    'depositd_provider_oldest_answer_seconds',
    'For how long the open payment that was asked about longest ago has had no answer; absent while none is open.',
    ({ answerAge }) => answerAge,
  );
  define(
    'depositd_provider_swept_timestamp_seconds',
    "When the provider's own list was last read to its end.",
    ({ sweptAt }) => seconds(sweptAt),
  );
  define(
    'depositd_provider_webhook_drift',
    "1 while the provider's webhook configuration is not ours.",
    ({ drift }) => drift,
  );
  define(
    'depositd_provider_unmatched_charges',
    "Charges of the provider's list that no payment explains.",
    ({ unmatched }) => unmatched,
  );
  define(
    'depositd_provider_rejected_webhooks',
    'Webhooks to the path of a provider with a wrong signature.',
    ({ rejected }) => rejected,
  );
}
