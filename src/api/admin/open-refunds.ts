import { z } from 'zod';
import { refundStatuses } from '../../core/charge.ts';
import { presentOpenRefund } from '../../present/providers.ts';
import type { ProviderDesk } from '../../providers/desk.ts';
import { notFound, serviceError } from '../http/errors.ts';
import {
  amountSchema,
  bodyErrors,
  commonErrors,
  listOf,
  plainText,
  serviceErrorSchema,
  timeSchema,
} from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';

const tags = ['Providers'];

const openRefundSchema = z.object({
  id: z.string(),
  status: z.enum(refundStatuses),
  amount: amountSchema,
  currency: z.string(),
  payment_number: z.string(),
  charge_id: z.string().nullable().describe("The provider's id of the payment."),
  reason: z.string(),
  created_at: timeSchema,
});

/** Refunds whose answer was lost, and the operator's word on them. */
export function registerOpenRefundRoutes(api: Api, { providers }: { providers: ProviderDesk }): void {
  api.route({
    method: 'GET',
    url: '/providers/:name/open-refunds/',
    schema: {
      tags,
      operationId: 'listOpenRefunds',
      summary: 'Refunds of which nobody knows yet what became of them, the longest waiting first',
      description: 'While one is open there is no other refund of its payment; with GateNOC, of no payment.',
      params: z.object({ name: z.string() }),
      response: { ...commonErrors, 200: listOf(openRefundSchema) },
    },
    handler: async (request) => {
      const refunds = await providers.openRefunds(request.params.name);
      if (refunds === null) throw notFound();
      return { data: refunds.map(presentOpenRefund), next_cursor: null };
    },
  });

  api.route({
    method: 'POST',
    url: '/providers/:name/open-refunds/:refund_id/settle/',
    schema: {
      tags,
      operationId: 'settleOpenRefund',
      summary: 'Say what became of a refund that the provider tells nothing of',
      description:
        "Read it on the provider's own pages first: one said to have failed can be made again. The payment is fetched at once.",
      params: z.object({ name: z.string(), refund_id: z.string().regex(/^re_[0-9a-f]{24}$/) }),
      body: z.strictObject({
        status: z.enum(['succeeded', 'failed']),
        provider_refund_id: plainText(100).nullable().default(null),
        reason: plainText(200),
      }),
      response: { ...bodyErrors, 409: serviceErrorSchema, 200: openRefundSchema },
    },
    handler: async (request) => {
      const { status, provider_refund_id: providerRefundId, reason } = request.body;
      const id = request.params.refund_id;
      const word = { id, status, providerRefundId, reason, actor: request.actor };
      const outcome = await providers.settleRefund(request.params.name, word);
      if (outcome === null || outcome.outcome === 'not_found') throw notFound();
      if (outcome.outcome === 'not_settleable') {
        throw serviceError(409, 'not_settleable', `The refund cannot be settled: ${outcome.reason}.`);
      }
      return presentOpenRefund(outcome);
    },
  });
}
