import { z } from 'zod';
import { formatRate } from '../../core/money.ts';
import { timeOrNull } from '../../present/values.ts';
import type { RatesService } from '../../rates/create.ts';
import { commonErrors, timeSchema } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';

export type RateStatus = RatesService['status'];

const sourceSchema = z.object({
  name: z.string(),
  host: z.string().nullable().describe('Null for prices of the configuration.'),
  answered_at: timeSchema.nullable(),
  last_error: z.string().nullable().describe('Null while it answers.'),
  backoff_until: timeSchema.nullable(),
});

const coinSchema = z.object({
  coin: z.string(),
  usd: z.string().nullable().describe('US dollars per coin, as it would be quoted now; null: nothing is.'),
  sources: z.array(z.string()).describe('Those that agree on it.'),
  outliers: z.array(z.string()).describe('Those whose price is too far off to count.'),
  rejected: z.string().nullable().describe('A source that alone states another price, and is not believed.'),
  reason: z.string().nullable().describe('Why there is none.'),
  fetched_at: timeSchema.nullable().describe('Of the oldest answer in it.'),
});

/** The prices as this process has them. */
export function registerRateRoutes(api: Api, { rateStatus }: { rateStatus: RateStatus }): void {
  api.route({
    method: 'GET',
    url: '/rates/',
    schema: {
      tags: ['Rates'],
      operationId: 'readRates',
      summary: 'What each coin is quoted at, and how each source does',
      response: {
        ...commonErrors,
        200: z.object({ sources: z.array(sourceSchema), coins: z.array(coinSchema) }),
      },
    },
    handler: async () => {
      const { sources, coins } = rateStatus();
      return {
        sources: sources.map(({ name, host, answeredAt, lastError, backoffUntil }) => ({
          name,
          host,
          answered_at: timeOrNull(answeredAt),
          last_error: lastError,
          backoff_until: timeOrNull(backoffUntil),
        })),
        coins: coins.map(({ coin, quote, reason, outliers, rejected }) => ({
          coin,
          usd: quote === null ? null : formatRate(quote.usdPerCoin),
          sources: [...(quote?.sources ?? [])],
          outliers: [...outliers],
          rejected: rejected?.source ?? null,
          reason,
          fetched_at: timeOrNull(quote?.fetchedAt ?? null),
        })),
      };
    },
  });
}
