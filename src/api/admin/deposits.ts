import { z } from 'zod';
import { quoteDecimals } from '../../core/assets.ts';
import { formatAmount } from '../../core/money.ts';
import type { Deposit } from '../../core/payment.ts';
import { isoTime } from '../../payments/present.ts';
import { findAddressTexts } from '../../storage/addresses.ts';
import { listDeposits } from '../../storage/deposits.ts';
import { findPaymentNumbers } from '../../storage/payment-numbers.ts';
import type { Db } from '../../storage/schema.ts';
import { decodeCursor, encodeCursor } from '../cursors.ts';
import type { Api } from '../routes.ts';
import {
  amountSchema,
  commonErrors,
  countSchema,
  currencySchema,
  cursorSchema,
  limitSchema,
  listOf,
  networkSchema,
  timeSchema,
} from '../schemas.ts';

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
  status: z.enum(['unmatched', 'late', 'seen', 'confirmed', 'orphaned']),
  reason: z.string().nullable().describe('Why it is unmatched.'),
  seen_at: timeSchema,
});

/** Everything that reached a watched address. */
export function registerDepositRoutes(api: Api, { db }: { db: Db }): void {
  api.route({
    method: 'GET',
    url: '/deposits/',
    schema: {
      tags: ['Deposits'],
      operationId: 'listDeposits',
      summary: 'Deposits, newest first',
      querystring: z.strictObject({
        status: z.enum(['unmatched', 'late', 'counted']).optional(),
        limit: limitSchema,
        cursor: cursorSchema,
      }),
      response: { ...commonErrors, 200: listOf(depositSchema) },
    },
    handler: async (request) => {
      const { status: role, limit, cursor } = request.query;
      const beforeId = decodeCursor(cursor, 'cursor');
      const { deposits, nextId } = await listDeposits(db, {
        limit,
        ...(role === undefined ? {} : { role }),
        ...(beforeId === undefined ? {} : { beforeId }),
      });
      const addressIds = deposits.map((deposit) => deposit.addressId);
      const paymentIds = deposits.flatMap((deposit) => deposit.paymentId ?? []);
      const addresses = await findAddressTexts(db, addressIds);
      const numbers = await findPaymentNumbers(db, paymentIds);
      return {
        data: deposits.map((deposit) => ({
          ...present(deposit),
          address: addresses.get(deposit.addressId) ?? '',
          payment_number: numbers.get(deposit.paymentId ?? 0) ?? null,
        })),
        next_cursor: encodeCursor(nextId),
      };
    },
  });
}

function present(deposit: Deposit): Omit<z.output<typeof depositSchema>, 'address' | 'payment_number'> {
  const places = Math.min(quoteDecimals(deposit), deposit.decimals);
  return {
    id: deposit.id,
    merchant_id: deposit.merchantId,
    network: deposit.network,
    currency: deposit.currency,
    amount: formatAmount(deposit.amount, deposit.decimals, places),
    tx_hash: deposit.txHash,
    block_height: deposit.height,
    block_time: isoTime(deposit.blockTime * 1000),
    status: shownStatus(deposit),
    reason: deposit.unmatchedReason,
    seen_at: isoTime(deposit.seenAt),
  };
}

function shownStatus({ status, role }: Deposit): z.output<typeof depositSchema>['status'] {
  if (status === 'orphaned' || role === 'counted' || role === 'accepted') return status;
  return role;
}
