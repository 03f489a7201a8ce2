import { z } from 'zod';
import type { Config } from '../../config.ts';
import { decodeCursor } from '../http/cursors.ts';
import {
  currencySchema,
  cursorSchema,
  limitSchema,
  momentSchema,
  networkSchema,
  plainText,
  requireNetwork,
  statusSchema,
} from './schemas.ts';

/** Which payments a list shows, the same for merchants and the operator. */
export const paymentListQuery = z.strictObject({
  status: statusSchema.optional(),
  network: networkSchema.optional(),
  currency: currencySchema.optional(),
  external_order_id: plainText(255).optional(),
  created_after: momentSchema.optional(),
  created_before: momentSchema.optional(),
  limit: limitSchema,
  cursor: cursorSchema,
});

/** What the storage is asked for, without the fields that were not given. */
export function paymentFilter(
  query: z.output<typeof paymentListQuery>,
  { chains, providers }: Pick<Config, 'chains' | 'providers'>,
) {
  if (query.network !== undefined) requireNetwork(query.network, chains, providers);
  const beforeId = decodeCursor(query.cursor);
  return {
    limit: query.limit,
    ...(beforeId === undefined ? {} : { beforeId }),
    ...(query.status === undefined ? {} : { status: query.status }),
    ...(query.network === undefined ? {} : { network: query.network }),
    ...(query.currency === undefined ? {} : { currency: query.currency }),
    ...(query.external_order_id === undefined ? {} : { externalOrderId: query.external_order_id }),
    ...(query.created_after === undefined ? {} : { createdAfter: Date.parse(query.created_after) }),
    ...(query.created_before === undefined ? {} : { createdBefore: Date.parse(query.created_before) }),
  };
}
