import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { getMerchant, type Merchant } from '../../storage/operators/merchants.ts';
import type { Db } from '../../storage/schema.ts';
import { getEndpoint } from '../../storage/webhooks/endpoints.ts';
import { detailError, notFound } from '../http/errors.ts';
import { refuseForeign } from './access.ts';

export const merchantPath = z.object({ merchant_id: z.string() });

const idPattern = /^[a-z]{2,5}_[0-9a-f]{1,64}$/;

/** An id of ours (`mer_…`, `we_…`) in a query or a body. */
export const idSchema = z.string().regex(idPattern, 'expected an id');

/** Whether a text looks like one: anything else is not found without asking. */
export function isId(text: string): boolean {
  return idPattern.test(text);
}

/** The number of a row in a path. @throws HttpError 404 when it is none. */
export function rowId(text: string): number {
  if (!/^[0-9]{1,15}$/.test(text)) throw notFound();
  return Number(text);
}

/** Also one that was removed. @throws HttpError 404 when there is no such merchant. */
export async function requireMerchant(db: Db, id: string): Promise<Merchant> {
  const merchant = isId(id) ? await getMerchant(db, id) : null;
  if (merchant === null) throw notFound();
  return merchant;
}

/** One to which something is added. @throws HttpError 404 when there is no such merchant, or it was removed. */
export async function requireMerchantInUse(db: Db, id: string): Promise<Merchant> {
  const merchant = await requireMerchant(db, id);
  if (merchant.removedAt !== null) throw detailError(404, 'This merchant was removed.');
  return merchant;
}

/** @throws HttpError 404 for an endpoint of a merchant whose objects the caller may not see. */
export async function requireEndpointSeen(db: Db, request: FastifyRequest, id: string): Promise<void> {
  if (request.onlyMerchant === null) return;
  refuseForeign(request, (await getEndpoint(db, id))?.merchantId ?? '');
}
