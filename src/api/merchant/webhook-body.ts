import { z } from 'zod';
import { eventTypes } from '../../core/events.ts';
import {
  amountSchema,
  countSchema,
  currencySchema,
  livemodeSchema,
  networkSchema,
  paymentSchema,
  sessionSchema,
  statusSchema,
  timeSchema,
} from './schemas.ts';

/** What was expected by the payment for which an unmatched deposit was probably meant. */
export const expectationSchema = z.object({
  payment_number: z.string(),
  external_order_id: z.string(),
  status: statusSchema,
  network: networkSchema,
  currency: currencySchema,
  amount: amountSchema,
});

/** The body of every webhook, and of every item of the events feed. */
export const webhookBodySchema = z
  .object({
    event: z.enum(eventTypes),
    payment_id: z.string().nullable().describe('The payment number; null where no payment is concerned.'),
    external_order_id: z.string(),
    amount: amountSchema.nullable().describe('Received; what is expected where nothing was received.'),
    currency: z.string().meta({ example: 'USDT' }),
    chain: z.string().meta({ example: 'BNB Smart Chain' }),
    tx_hash: z.string(),
    confirmed_at: z.string().nullable().meta({ format: 'date-time', example: '2026-05-24T11:35:00+00:00' }),
    status: z.string(),
    network: z.string(),
    metadata: z.record(z.string(), z.unknown()),
    created_at: timeSchema,
    checkout_session: z
      .string()
      .describe(
        'The checkout session that the payment was chosen in, or that this is about; empty for none.',
      ),
    livemode: livemodeSchema,
    payment: paymentSchema
      .omit({ payment_token: true, checkout_url: true })
      .optional()
      .describe('In `payment.*`.')
      .meta({ id: 'PaymentInEvent' }),
    session: sessionSchema
      .omit({ checkout_url: true })
      .optional()
      .describe('In `checkout_session.*`.')
      .meta({ id: 'CheckoutSessionInEvent' }),
    deposit: z
      .object({
        id: countSchema,
        network: networkSchema,
        currency: z.string().nullable(),
        amount: amountSchema,
        address: z.string(),
        tx_hash: z.string(),
        block_height: countSchema,
        block_time: timeSchema,
        reason: z.string().nullable(),
      })
      .optional()
      .describe('In `deposit.unmatched`.'),
    expected: expectationSchema
      .nullish()
      .describe('In `deposit.unmatched`: what the likely payment asked for.'),
    pool: z
      .object({
        network: networkSchema,
        currency: currencySchema,
        total: countSchema,
        held: countSchema,
        free: countSchema,
      })
      .optional()
      .describe('In `pool.low` and `pool.exhausted`.'),
    provider_event: z
      .object({
        name: z.string(),
        type: z.string(),
        event: z.string().describe("The provider's word for what happened; empty where it has none."),
        body: z.string().describe('What it sent, word for word.'),
      })
      .optional()
      .describe('In `provider.event`.'),
    endpoint: z
      .object({
        id: z.string(),
        host: z.string(),
        description: z.string(),
        disabled_reason: z.string().nullable(),
      })
      .optional()
      .describe('In `webhook.disabled` and `webhook.test`.'),
  })
  .meta({ id: 'WebhookBody' });
