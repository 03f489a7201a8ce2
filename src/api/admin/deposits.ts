import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Deposit } from '../../core/payment.ts';
import { InvariantError } from '../../errors.ts';
import { attachDeposit } from '../../payments/attach.ts';
import { ignoreDeposit } from '../../payments/ignore.ts';
import { presentDeposits } from '../../present/deposits.ts';
import { lastActOn } from '../../present/last-act.ts';
import { listDeposits } from '../../storage/deposits/deposits.ts';
import type { Db } from '../../storage/schema.ts';
import { decodeCursor, encodeCursor } from '../http/cursors.ts';
import { type ErrorCode, fieldError, type HttpError, notFound, serviceError } from '../http/errors.ts';
import { isPaymentNumber } from '../merchant/payments.ts';
import {
  amountSchema,
  bodyErrors,
  commonErrors,
  countSchema,
  currencySchema,
  cursorSchema,
  limitSchema,
  listOf,
  networkSchema,
  operatorReason,
  serviceErrorSchema,
  timeSchema,
} from '../merchant/schemas.ts';
import { expectationSchema } from '../merchant/webhook-body.ts';
import type { Api } from '../routes.ts';
import { rowId } from './paths.ts';

const tags = ['Deposits'];

const depositSchema = z.object({
  id: countSchema,
  merchant_id: z.string(),
  payment_number: z.string().nullable(),
  network: networkSchema,
  currency: currencySchema,
  amount: amountSchema,
  address: z.string(),
  tx_hash: z.string(),
  block_height: countSchema,
  block_time: timeSchema,
  status: z.enum(['unmatched', 'ignored', 'late', 'accepted', 'seen', 'confirmed', 'orphaned']),
  reason: z.string().nullable().describe('Why it is unmatched.'),
  expected: expectationSchema
    .nullable()
    .describe('Of an unmatched deposit: the payment that it was probably meant for.'),
  seen_at: timeSchema,
});

/** Everything that reached a watched address. */
export function registerDepositRoutes(api: Api, { db, clock }: { db: Db; clock: Clock }): void {
  api.route({
    method: 'GET',
    url: '/deposits/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'listDeposits',
      summary: 'Deposits, newest first',
      querystring: z.strictObject({
        status: z
          .enum(['unmatched', 'ignored', 'late', 'accepted', 'counted'])
          .optional()
          .describe('`unmatched` are those that wait for you, `ignored` those that you ignored.'),
        limit: limitSchema,
        cursor: cursorSchema,
      }),
      response: { ...commonErrors, 200: listOf(depositSchema) },
    },
    handler: async (request) => {
      const { status: role, limit, cursor } = request.query;
      const beforeId = decodeCursor(cursor);
      const { deposits, nextId } = await listDeposits(db, {
        limit,
        ...(role === undefined ? {} : { role }),
        ...(request.onlyMerchant === null ? {} : { merchantId: request.onlyMerchant }),
        ...(beforeId === undefined ? {} : { beforeId }),
      });
      return { data: await presentDeposits(db, deposits), next_cursor: encodeCursor(nextId) };
    },
  });

  api.route({
    method: 'POST',
    url: '/deposits/:deposit_id/attach/',
    schema: {
      tags,
      operationId: 'attachDeposit',
      summary: 'Give an unmatched deposit, or late money of another payment, to the payment it was meant for',
      description: 'It confirms the payment when what came suffices. Repeating changes nothing.',
      params: z.object({ deposit_id: z.string() }),
      body: z.strictObject({ payment_number: z.string().max(100), reason: operatorReason }),
      response: { ...bodyErrors, 200: depositSchema, 409: serviceErrorSchema },
    },
    handler: async (request) => {
      const depositId = rowId(request.params.deposit_id);
      const { payment_number: paymentNumber, reason } = request.body;
      if (!isPaymentNumber(paymentNumber)) throw unknownPayment();
      const outcome = await attachDeposit(
        { db, clock },
        { depositId, paymentNumber, reason, actor: request.actor },
      );
      switch (outcome.outcome) {
        case 'attached':
          return present(outcome.deposit);
        case 'not_found':
          throw notFound();
        case 'unknown_payment':
          throw unknownPayment();
        case 'not_attachable':
          throw await refused('not_attachable', `The deposit cannot be attached: ${outcome.why}.`, depositId);
        default:
          return outcome satisfies never;
      }
    },
  });

  for (const ignored of [true, false]) {
    api.route({
      method: 'POST',
      url: ignored ? '/deposits/:deposit_id/ignore/' : '/deposits/:deposit_id/unignore/',
      schema: {
        tags,
        operationId: ignored ? 'ignoreDeposit' : 'unignoreDeposit',
        summary: ignored
          ? 'Take an unmatched deposit out of what waits for you'
          : 'Put an ignored deposit back to what waits for you',
        description: 'It stays in the books and can be attached. Repeating changes nothing.',
        params: z.object({ deposit_id: z.string() }),
        body: z.strictObject({ reason: operatorReason }),
        response: { ...bodyErrors, 200: depositSchema, 409: serviceErrorSchema },
      },
      handler: async (request) => {
        const depositId = rowId(request.params.deposit_id);
        const { reason } = request.body;
        const act = { depositId, ignored, reason, actor: request.actor };
        const outcome = await ignoreDeposit({ db, clock }, act);
        switch (outcome.outcome) {
          case 'done':
            return present(outcome.deposit);
          case 'not_found':
            throw notFound();
          case 'not_ignorable':
            throw await refused('not_ignorable', `The deposit cannot be ignored: ${outcome.why}.`, depositId);
          default:
            return outcome satisfies never;
        }
      },
    });
  }

  /** Whoever comes second is told what the first did. */
  async function refused(code: ErrorCode, text: string, depositId: number): Promise<HttpError> {
    return serviceError(409, code, text + (await lastActOn(db, String(depositId))));
  }

  async function present(deposit: Deposit) {
    const [shown] = await presentDeposits(db, [deposit]);
    if (shown === undefined) throw new InvariantError('a deposit that cannot be shown');
    return shown;
  }
}

function unknownPayment(): HttpError {
  return fieldError('payment_number', 'there is no such payment');
}
