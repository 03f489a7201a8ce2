import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { chargeStatuses } from '../../core/charge.ts';
import { presentTransaction } from '../../present/providers.ts';
import type { Offer, ProviderDesk } from '../../providers/desk.ts';
import { findPaymentOfCharge } from '../../storage/providers/payments.ts';
import type { Db } from '../../storage/schema.ts';
import { notFound } from '../http/errors.ts';
import type { Api } from '../routes.ts';
import { providerError } from './provider-answers.ts';
import {
  amountSchema,
  commonErrors,
  listOf,
  providerCursor,
  serviceErrorSchema,
  timeSchema,
} from './schemas.ts';

const tags = ['Providers'];
const params = z.object({ name: z.string() });
const errors = { ...commonErrors, 409: serviceErrorSchema, 502: serviceErrorSchema };

export const balanceSchema = z
  .object({
    currency: z.string().meta({ example: 'HTG' }),
    amounts: z.record(z.string(), z.string()).describe("By the provider's own names."),
  })
  .meta({ id: 'ProviderBalance' });

export const transactionSchema = z
  .object({
    id: z.string().describe("The provider's."),
    payment_number: z.string().nullable().describe('Null for what was not made through us.'),
    status: z.enum(chargeStatuses),
    amount: amountSchema.nullable(),
    currency: z.string().nullable(),
    fee: amountSchema.nullable(),
    net: amountSchema.nullable(),
    created_at: timeSchema.nullable(),
  })
  .meta({ id: 'ProviderTransaction' });

export const providerMethodSchema = z.object({ code: z.string(), name: z.string(), currency: z.string() });

export type ProviderRouteDeps = { db: Db; clock: Clock; providers: ProviderDesk };

/** What the providers say of the account, to the merchants that may use it. */
export function registerProviderRoutes(api: Api, { db, clock, providers }: ProviderRouteDeps): void {
  api.route({
    method: 'GET',
    url: '/providers/:name/balance/',
    schema: {
      tags,
      operationId: 'readProviderBalance',
      summary: "The account's balance, where the provider tells it",
      params,
      response: { ...errors, 200: balanceSchema },
    },
    handler: async (request) => {
      const offer = requireOffer(request.params.name, request.merchantId);
      const answer = await providers.balance(offer.name);
      if (answer === null) throw notFound();
      if (answer.outcome !== 'done') throw providerError(answer, offer.label);
      return { currency: answer.value.currency, amounts: { ...answer.value.amounts } };
    },
  });

  api.route({
    method: 'GET',
    url: '/providers/:name/transactions/',
    schema: {
      tags,
      operationId: 'listProviderTransactions',
      summary: "The provider's own list, of the last 30 days",
      description: 'Your payments; and what was not made through us, where the account is yours alone.',
      params,
      querystring: z.strictObject({ cursor: providerCursor }),
      response: { ...errors, 200: listOf(transactionSchema) },
    },
    handler: async (request) => {
      const { merchantId } = request;
      const offer = requireOffer(request.params.name, merchantId);
      const page = await listTransactions({ db, clock, providers }, offer, request.query.cursor ?? null);
      const isAlone = offer.merchants?.length === 1;
      const own = page.rows.filter(
        (row) => row.merchantId === merchantId || (isAlone && row.merchantId === null),
      );
      return { data: own.map(({ shown }) => shown), next_cursor: page.next };
    },
  });

  api.route({
    method: 'GET',
    url: '/providers/:name/methods/',
    schema: {
      tags,
      operationId: 'listProviderMethods',
      summary: 'How payers can pay there, where the provider tells it',
      params,
      response: { ...errors, 200: listOf(providerMethodSchema) },
    },
    handler: async (request) => {
      const offer = requireOffer(request.params.name, request.merchantId);
      const answer = await providers.methods(offer.name);
      if (answer === null) throw notFound();
      if (answer.outcome !== 'done') throw providerError(answer, offer.label);
      return { data: [...answer.value], next_cursor: null };
    },
  });

  /** @throws HttpError 404: also for one of other merchants. */
  function requireOffer(name: string, merchantId: string): Offer {
    const offer = providers.offers().find((one) => one.name === name);
    const isOurs = offer?.merchants?.includes(merchantId) ?? true;
    if (offer === undefined || !isOurs) throw notFound();
    return offer;
  }
}

const listedMs = 30 * 24 * 60 * 60 * 1000;

type Row = { merchantId: string | null; shown: z.output<typeof transactionSchema> };

/** A page of a provider's list, each row with whose it is. @throws HttpError when the provider does not show it. */
export async function listTransactions(
  { db, clock, providers }: ProviderRouteDeps,
  offer: Pick<Offer, 'name' | 'label'>,
  cursor: string | null,
): Promise<{ rows: Row[]; next: string | null }> {
  const answer = await providers.transactions(offer.name, { since: clock() - listedMs, cursor });
  if (answer === null) throw notFound();
  if (answer.outcome !== 'done') throw providerError(answer, offer.label);
  const rows: Row[] = [];
  for (const charge of answer.value.charges) {
    const payment = await findPaymentOfCharge(db, offer.name, {
      chargeId: charge.id,
      reference: charge.reference,
    });
    rows.push({
      merchantId: payment?.merchantId ?? null,
      shown: presentTransaction(charge, payment?.paymentNumber ?? null),
    });
  }
  return { rows, next: answer.value.next };
}
